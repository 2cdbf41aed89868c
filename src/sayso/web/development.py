"""A demonstration: invented members, what they wrote, and a provider who vouches for anybody.

Promises: everything stands below one folder, which it marks as its own; the provider is
`oidc-provider-mock`, which asks for no password, and listens on this machine alone. Not for
anybody real: nobody can sign in to a workspace of real members through it, for the settings
name the provider.
"""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from sayso.demo import NOTICE_AT, WEIGHTS, generate
from sayso.errors import ConflictError, UnavailableError
from sayso.model import DEFAULT_PURPOSE
from sayso.opening import init_workspace
from sayso.training import Order, Recipe, release, train
from sayso.training.environment import need_torch
from sayso.web.desk import system_clock
from sayso.web.people import PEOPLE
from sayso.web.sealed import new_secret
from sayso.workspace import Workspace

MARK = ".sayso-demonstration"
SECRET_FILE = "keys/client.secret"  # noqa: S105  where it stands
TOWN = 400
PROVIDER_SECONDS = 20.0
# What the small model learns from, which takes some seconds.
TAUGHT = frozenset({"HK", "DE", "US"})
RECIPE = Recipe(shards=2, epochs=2, batch_blocks=1, learning_rate="0.003")
MEMBERS = {
    "wing": ("HK", "1991-04-02"),
    "jonas": ("DE", "1984-11-23"),
    "maya": ("US", "1996-07-15"),
}
_WROTE = (
    ("profile", "public", "Translator for eleven years, mostly of instructions."),
    ("post", "public", "The second draft is where the thinking starts."),
    ("post", "connections", "Looking for somebody who repairs old typewriters."),
    ("comment", "public", "Agreed, and thank you for the figures."),
    ("article", "public", "What I learned from a year of shorter meetings."),
    ("message", "private", "See you at six, then."),
    ("group_message", "group", "Who takes the minutes this time?"),
)


def make_demonstration(
    folder: Path, say: Callable[[str], None], *, address: str, issuer: str
) -> Path:
    """Make a workspace of invented members, where there is none, and return it.

    Args:
        folder: Where to.
        say: Told what is done.
        address: Of the service.
        issuer: Of the provider.

    Raises:
        ConflictError: The folder holds something else.
    """
    place = folder / "ws"
    if (folder / MARK).is_file() and (place / "sayso.toml").is_file():
        _set(place, address=address, issuer=issuer)
        return place
    if folder.exists() and any(folder.iterdir()):
        raise ConflictError(f"'{folder}' holds something else", hint="choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    say("  inventing members and what they wrote ...")
    made = generate(folder / "input", TOWN)
    workspace = init_workspace(place, system_clock, template="linkedin-2024")
    try:
        _add_people(made.members, made.notices, made.content)
        for kind in ("members", "choices", "notices"):
            workspace.ingest(kind, folder / "input" / f"{kind}.parquet")
        say("  building a training set ...")
        first = workspace.build(made.content, folder / "first").path
        release = _teach(workspace, first, folder, say)
        workspace.integrate()
    finally:
        workspace.close()
    # The provider takes any; a platform's own is made there.
    (place / SECRET_FILE).write_text(f"{new_secret()}\n")
    _set(
        place,
        address=address,
        issuer=issuer,
        content=str(made.content.resolve()),
        client_secret_file=SECRET_FILE,
        release=str(release.resolve()) if release else "",
    )
    (folder / MARK).write_text("made by 'sayso serve --demonstration'; delete it to begin again\n")
    return place


def _add_people(members: Path, notices: Path, content: Path) -> None:
    """Add the people of the first page to the files of the town."""
    rows: list[dict[str, object]] = [
        {"member_id": who, "country": country, "birth_date": born, "status": None}
        for who, (country, born) in MEMBERS.items()
    ]
    _append(members, rows)
    _append(
        notices,
        [
            {
                "member_id": who, "purpose": DEFAULT_PURPOSE, "served_at": NOTICE_AT,
                "outcome": "delivered",
            }
            for who in MEMBERS
        ],
    )  # fmt: skip
    _append(
        content,
        [
            {
                "record_id": f"{who}-{number}", "member_id": who, "category": category,
                "visibility": seen, "authorship": "own", "mentions": [], "text": text,
                "written_at": datetime(2023, 3 + number, 14, 9, 30, tzinfo=UTC), "licence": None,
            }
            for who in MEMBERS
            for number, (category, seen, text) in enumerate(_WROTE)
        ],
    )  # fmt: skip


def _teach(
    workspace: Workspace, snapshot: Path, folder: Path, say: Callable[[str], None]
) -> Path | None:
    """Teach a small model by shard, and release it; nothing where PyTorch is missing."""
    try:
        need_torch()
    except UnavailableError:
        say("  without PyTorch there is no model and no assistant; install 'sayso[train]' for one")
        return None
    say("  teaching a small model, once; half a minute ...")
    run = train(
        workspace, Order(snapshot, folder / "run", RECIPE, without=frozenset(WEIGHTS) - TAUGHT)
    ).path
    return release(workspace, run, folder / "releases").path


def _append(path: Path, rows: list[dict[str, object]]) -> None:
    table = pq.read_table(path)
    pq.write_table(pa.concat_tables([table, pa.Table.from_pylist(rows, table.schema)]), path)


def _set(place: Path, **values: str) -> None:
    """Write settings of `[web]` into `sayso.toml`."""
    config = place / "sayso.toml"
    head, _, web = config.read_text("utf-8").partition("[web]\n")
    for name, value in values.items():
        line = f"{name} = {json.dumps(value)}".replace("\\", r"\\")
        web = re.sub(rf"(?m)^{name} = .*$", line, web, count=1)
    config.write_text(f"{head}[web]\n{web}", "utf-8")


@contextmanager
def provider(port: int) -> Iterator[None]:
    """Run the provider of a demonstration until the block ends.

    Raises:
        UnavailableError: It is not installed, does not answer, or somebody else listens there.
    """
    _need_free(port)
    users = [
        argument
        for one in PEOPLE
        for argument in ("--user-claims", json.dumps({"sub": one.subject, **one.claims}))
    ]
    process = subprocess.Popen(  # noqa: S603  our own arguments
        [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), *users],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        _wait_for(process, port)
        yield
    finally:
        process.terminate()
        process.wait()


def _need_free(port: int) -> None:
    """Need a port that nobody listens at: they would be taken for the provider."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise UnavailableError(
                f"the provider of a demonstration cannot listen at port {port}: {reason}",
                hint="end what listens there, or choose another --provider-port",
            ) from None


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    until = time.monotonic() + PROVIDER_SECONDS
    while time.monotonic() < until:
        answers = _is_provider(port)
        if process.poll() is not None:
            raise UnavailableError(
                "the provider of a demonstration did not start",
                hint=f"pip install 'sayso[server]' brings it; port {port} must be free",
            )
        if answers:  # and it lives: who could not listen would have ended
            return
        time.sleep(0.05)
    raise UnavailableError("the provider of a demonstration does not answer", hint="try again")


def _is_provider(port: int) -> bool:
    """Whether what answers at a port says that it is a provider there."""
    issuer = f"http://127.0.0.1:{port}"
    try:
        answer = httpx.get(f"{issuer}/.well-known/openid-configuration", timeout=1, trust_env=False)
        told = answer.json()
    except (httpx.HTTPError, ValueError):
        return False
    return isinstance(told, dict) and str(told.get("issuer")).rstrip("/") == issuer
