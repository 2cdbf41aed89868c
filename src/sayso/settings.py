"""Settings: what `sayso.toml` says.

Promises: a file that cannot be read, or says something that nobody understands, is an error
that says what to write. Reads nothing else.

Example:
    >>> load_settings(Path("ws")).database_url             # doctest: +SKIP
    'sqlite:///ledger.db'
"""

import json
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

from sayso.errors import InputError
from sayso.retention import DEFAULTS, Retention, parse_retention

CONFIG_NAME = "sayso.toml"
# Many times what a workspace has to say; a dotted key costs the square of its length to read.
MAX_CONFIG_BYTES = 16_384
# Keys of [assistant]: those that a remote model needs, and the others.
_NEEDED = ("url", "model", "recipient")
_ASSISTANT = (*_NEEDED, "api_version", "key_file")
# More often than once in a millisecond nobody asks.
MAX_PER_MINUTE = 60_000
# Hosts of this machine, to which a browser gives cookies that only encryption may carry.
LOOPBACK = ("127.0.0.1", "localhost", "::1")
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

[web]
# The service, 'sayso serve'. The address is what members type: https, or this machine alone.
address = "http://127.0.0.1:8000"
# Who says who somebody is: an OpenID Connect provider, and our name and secret there.
issuer = ""
client_id = "sayso"
client_secret_file = ""
# Claims that name a member by the platform's own id, and the roles of staff.
member_claim = "member_id"
roles_claim = "roles"
# What members wrote, and the release that the assistant serves; empty for none.
content = ""
release = ""
# Hosts inside your own network that webhooks may go to, with spaces between; empty for none.
webhook_hosts = ""
# How often one caller may ask for what is dear within a minute, from 1 to 60000.
scans_per_minute = 30
texts_per_minute = 10
batches_per_minute = 120
files_per_minute = 30
packs_per_minute = 10

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
class WebSettings:
    """The service, as `[web]` says it.

    Attributes:
        address: What members type, without a path.
        issuer: Of the OpenID Connect provider; empty for none, and then nobody signs in.
        client_id: Our name there.
        client_secret_file: Where our secret stands, as it was written; empty for none.
        member_claim: The claim that holds a member's id.
        roles_claim: The claim that lists the roles of staff.
        content: Where the content table stands, as it was written; empty for none.
        release: The release that the assistant serves, as it was written; empty for none.
        webhook_hosts: Hosts inside our own network that webhooks may go to, with spaces between.
        scans_per_minute: How often one caller may have content or training sets read.
        texts_per_minute: How often one caller may have the assistant write.
        batches_per_minute: How often one caller may have many records decided about.
        files_per_minute: How often one caller may send a file.
        packs_per_minute: How often one caller may have evidence made, or rulebooks compared.
    """

    address: str = "http://127.0.0.1:8000"
    issuer: str = ""
    client_id: str = "sayso"
    client_secret_file: str = ""
    member_claim: str = "member_id"
    roles_claim: str = "roles"
    content: str = ""
    release: str = ""
    webhook_hosts: str = ""
    scans_per_minute: int = 30
    texts_per_minute: int = 10
    batches_per_minute: int = 120
    files_per_minute: int = 30
    packs_per_minute: int = 10

    @property
    def webhook_hosts_allowed(self) -> frozenset[str]:
        """Hosts inside our own network that webhooks may go to."""
        return frozenset(self.webhook_hosts.lower().split())

    @property
    def host(self) -> str:
        """The host of the address, without a port."""
        return urlsplit(self.address).hostname or ""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names under which the service may be asked: every name of this machine, or its own."""
        return LOOPBACK if self.host in LOOPBACK else (self.host,)


# Keys of [web] that are numbers.
_COUNTS = frozenset(one.name for one in fields(WebSettings) if one.type in {int, "int"})


@dataclass(frozen=True, slots=True)
class Settings:
    """What a workspace is told.

    Attributes:
        database_url: Where the head of the ledger stands, as it was written.
        log_origin: Names the log in checkpoints.
        retention: How long each kind of data is kept.
        assistant: The assistant's remote model; None for none.
        web: The service.
    """

    database_url: str
    log_origin: str
    retention: Retention
    assistant: RemoteModel | None = None
    web: WebSettings = WebSettings()


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
    return Settings(
        url, origin, retention, parse_assistant(told.get("assistant", {})),
        parse_web(told.get("web", {})),
    )  # fmt: skip


def parse_web(section: object) -> WebSettings:
    """Return what `[web]` says.

    Raises:
        InputError: It says something else, or the address is none that is safe to sign in at.
    """
    names = tuple(one.name for one in fields(WebSettings))
    if not isinstance(section, dict) or not set(section) <= set(names):
        raise InputError("[web] of sayso.toml cannot be read", hint=f"use {', '.join(names)}")
    for name, value in section.items():
        if name in _COUNTS:
            if type(value) is not int or not 1 <= value <= MAX_PER_MINUTE:
                raise InputError(f"'web.{name}' is no number from 1 to {MAX_PER_MINUTE}")
        elif not isinstance(value, str):
            raise InputError("[web] of sayso.toml holds something that is no text")
    web = WebSettings(**section)
    _need_address(web)
    _need_provider(web)
    return web


def _need_address(web: WebSettings) -> None:
    try:
        parts = urlsplit(web.address)
        is_whole = bool(parts.hostname) and not (parts.path or parts.query or parts.fragment)
        _ = parts.port
    except ValueError:
        is_whole = False
    if not is_whole or parts.scheme not in {"http", "https"}:
        raise InputError(
            f"[web] of sayso.toml has the address '{web.address}'",
            hint="write a scheme and a host alone, such as https://privacy.example",
        )
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise InputError(
            f"members would sign in at '{web.address}' without encryption", hint="use https"
        )


def _need_provider(web: WebSettings) -> None:
    for name in ("client_id", "member_claim", "roles_claim"):
        if not getattr(web, name).strip():
            raise InputError(
                f"'web.{name}' is empty", hint="write it as the provider does, or leave it out"
            )
    if not web.issuer:
        return
    try:
        parts = urlsplit(web.issuer)
        is_whole = bool(parts.hostname) and not (parts.query or parts.fragment)
        _ = parts.port
    except ValueError:
        is_whole = False
    if not is_whole or parts.scheme not in {"http", "https"}:
        raise InputError(
            f"[web] of sayso.toml has the issuer '{web.issuer}'",
            hint="write the provider's address, such as https://login.example",
        )


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
