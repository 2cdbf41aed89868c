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
_CONFIG = """# A workspace of Sayso. The design's words are in docs/glossary.md.

[database]
# sqlite:///ledger.db is this folder's own; postgresql://user@host/name for a service.
url = {url}

[log]
# Names the log in checkpoints; choose it once.
origin = {origin}

[retention]
# How long what no longer decides anything is kept ("730 days" or "forever"), and why.
# 'sayso retention run' deletes the rest; see docs/erasure.md.
{retention}
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a workspace is told.

    Attributes:
        database_url: Where the head of the ledger stands, as it was written.
        log_origin: Names the log in checkpoints.
        retention: How long each kind of data is kept.
    """

    database_url: str
    log_origin: str
    retention: Retention


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
    try:
        told = tomllib.loads(config.read_text(encoding="utf-8"))
        url, origin = str(told["database"]["url"]), str(told["log"]["origin"])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError):
        raise InputError(
            f"'{config}' cannot be read", hint="give [database] a url and [log] an origin"
        ) from None
    return Settings(url, origin, parse_retention(told.get("retention", {})))
