"""Settings: what `sayso.toml` says.

Promises: a file that cannot be read, or says something that nobody understands, is an error
that says what to write. Reads nothing else.

Example:
    >>> load_settings(Path("ws")).database_url             # doctest: +SKIP
    'sqlite:///ledger.db'
"""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

from sayso.errors import InputError
from sayso.retention import DEFAULTS, Retention, parse_retention

CONFIG_NAME = "sayso.toml"
# Many times what a workspace has to say; a dotted key costs the square of its length to read.
MAX_CONFIG_BYTES = 16_384
# Keys of [assistant]: those that a remote model needs, and the others.
_NEEDED = ("url", "model", "recipient")
_ASSISTANT = (*_NEEDED, "api_version", "key_file")
_CONFIG = """# A workspace of Sayso. The design's words are in docs/glossary.md.

[database]
# sqlite:///ledger.db is this folder's own; postgresql://user@host/name for a service.
url = {url}

[log]
# Names the log in checkpoints; choose it once.
origin = {origin}

[assistant]
# A remote model for 'sayso write'; all empty for none. The key stands in a file of its own,
# or in SAYSO_ASSISTANT_KEY. The recipient is one that the purpose 'assistance' lists.
url = ""
model = ""
recipient = ""
api_version = ""
key_file = ""

[retention]
# How long what no longer decides anything is kept ("730 days" or "forever"), and why.
# 'sayso retention run' deletes the rest; see docs/erasure.md.
{retention}
"""


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A remote model for the assistant.

    Attributes:
        url: Where it answers.
        model: Its name there.
        recipient: Who answers, as the purpose lists it.
        api_version: Azure's version of the interface; empty where it is not Azure's form.
        key_file: Where the key stands, as it was written; empty for nowhere.
    """

    url: str
    model: str
    recipient: str
    api_version: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a workspace is told.

    Attributes:
        database_url: Where the head of the ledger stands, as it was written.
        log_origin: Names the log in checkpoints.
        retention: How long each kind of data is kept.
        assistant: The assistant's remote model; None for none.
    """

    database_url: str
    log_origin: str
    retention: Retention
    assistant: RemoteModel | None = None


def settings_text(url: str, origin: str) -> str:
    """Return the file of a new workspace; `url` and `origin` are TOML strings."""
    kept = "\n".join(
        f"{kind} = {{ keep = {json.dumps(str(one))}, reason = {json.dumps(one.reason)} }}"
        for kind, one in DEFAULTS.items()
    )
    return _CONFIG.format(url=url, origin=origin, retention=kept)


def load_settings(path: Path) -> Settings:
    """Read the settings of the workspace in a folder.

    Raises:
        InputError: There is no workspace, or `sayso.toml` cannot be read.
    """
    config = path / CONFIG_NAME
    if not config.is_file():
        raise InputError(
            f"no workspace in '{path}'",
            hint="run 'sayso init DIR', or name one with --workspace or SAYSO_WORKSPACE",
        )
    if config.stat().st_size > MAX_CONFIG_BYTES:
        raise InputError(f"'{config}' is longer than {MAX_CONFIG_BYTES:,} bytes", hint="shorten it")
    try:
        told = tomllib.loads(config.read_text(encoding="utf-8"))
        url, origin = str(told["database"]["url"]), str(told["log"]["origin"])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, RecursionError):
        raise InputError(
            f"'{config}' cannot be read", hint="give [database] a url and [log] an origin"
        ) from None
    retention = parse_retention(told.get("retention", {}))
    return Settings(url, origin, retention, parse_assistant(told.get("assistant", {})))


def parse_assistant(section: object) -> RemoteModel | None:
    """Return what `[assistant]` says; None where all of it is empty.

    Raises:
        InputError: It says something else, or url, model and recipient are not all there.
    """
    if not isinstance(section, dict) or not set(section) <= set(_ASSISTANT):
        raise InputError(
            "[assistant] of sayso.toml cannot be read", hint=f"use {', '.join(_ASSISTANT)}"
        )
    if not all(isinstance(value, str) for value in section.values()):
        raise InputError("[assistant] of sayso.toml holds something that is no text")
    if not any(section.values()):
        return None
    if not all(section.get(name) for name in _NEEDED):
        raise InputError(
            "[assistant] of sayso.toml is not whole", hint=f"give {', '.join(_NEEDED)}"
        )
    return RemoteModel(**section)
