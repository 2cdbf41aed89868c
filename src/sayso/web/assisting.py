"""Who writes for members: the release that the settings name, or a remote model.

Promises: a release is loaded by the first text that a worker writes and watched from then on;
nothing is loaded where members ask for nothing.
"""

import os
import threading
from contextlib import ExitStack
from pathlib import Path

from sayso.errors import UnavailableError
from sayso.settings import load_settings
from sayso.workspace import Workspace
from sayso.writing import Provider, Recipient, ServedRelease, watching
from sayso.writing.configured import configured_remote

KEY_VARIABLE = "SAYSO_ASSISTANT_KEY"


class Writer:
    """Gives out the provider of one worker.

    Args:
        workspace: Whose.
        release: The folder of the release; None where a remote model writes, or nobody.
    """

    def __init__(self, workspace: Workspace, release: Path | None) -> None:
        self._workspace = workspace
        self._release = release
        self._remote = load_settings(workspace.path).assistant
        self._loading = threading.Lock()
        self._stack = ExitStack()
        self._provider: Provider | None = None

    @property
    def is_there(self) -> bool:
        """Whether anybody would write."""
        return self._release is not None or self._remote is not None

    @property
    def recipient(self) -> Recipient | None:
        """Who else gets what a member says; None for nobody."""
        if self._release is not None or self._remote is None:
            return None
        return Recipient(self._remote.recipient, self._remote.url)

    def provider(self) -> Provider:
        """Return who writes.

        Raises:
            SaysoError: Nobody does, or the release may not be served.
        """
        with self._loading:
            if self._provider is None:
                self._provider = self._open()
            return self._provider

    def _open(self) -> Provider:
        if self._release is not None:
            served = ServedRelease(self._workspace, self._release)
            return self._stack.enter_context(watching(served))
        if self._remote is None:
            raise UnavailableError(
                "nobody is named who would write",
                hint="name a release in [web] or a model in [assistant] of sayso.toml",
            )
        key = os.environ.get(KEY_VARIABLE, "")
        return configured_remote(self._workspace.path, self._remote, key)

    def close(self) -> None:
        """Let go of what was loaded."""
        self._stack.close()
