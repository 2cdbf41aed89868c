"""Sayso: no model learns against anyone's say-so.

Promises: `open` gives a workspace with `choose`, `decide`, `decide_many`, `explain`, `build`
and `trace`; `load_dataset` gives an admitted training set. Everything else is in the rooms.

Example:
    >>> import sayso
    >>> workspace = sayso.open("ws")                       # doctest: +SKIP
    >>> workspace.choose(7, "off").index                   # doctest: +SKIP
    1
"""

import os
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sayso.opening import OpenedWorkspace as Workspace
    from sayso.snapshot.load import load_dataset

__all__ = ["Workspace", "__version__", "init", "load_dataset", "open"]
__version__ = version("sayso")

# Fetched on first use: the rooms that prove and verify start without the engines.
_ROOMS = {
    "Workspace": ("sayso.opening", "OpenedWorkspace"),
    "load_dataset": ("sayso.snapshot.load", "load_dataset"),
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'sayso' has no attribute '{name}'")
    room, word = _ROOMS[name]
    return getattr(import_module(room), word)


def init(path: str | os.PathLike[str], *, template: str | None = None) -> "Workspace":
    """Make a workspace in a folder and publish its rulebook, with the system's clock.

    Raises:
        ConflictError: There is one.
        InputError: There is no such template.
    """
    from sayso.opening import init_workspace  # noqa: PLC0415

    return init_workspace(Path(path), lambda: datetime.now(UTC), template=template)


def open(path: str | os.PathLike[str]) -> "Workspace":  # noqa: A001  the design's word
    """Open the workspace in a folder, with the system's clock.

    Raises:
        InputError: There is none.
        UnavailableError: Its database did not answer.
    """
    from sayso.opening import open_workspace  # noqa: PLC0415

    return open_workspace(Path(path), lambda: datetime.now(UTC))
