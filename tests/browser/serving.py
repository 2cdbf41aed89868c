"""A platform of invented people and its service: a process that browsers talk to.

`sayso serve` runs as its users run it. Tests plant the session of whoever they are, so that
one test signs in through the provider and the others need not.
"""

import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Playwright

from sayso.errors import UnavailableError
from sayso.ledger.kept import keep
from sayso.model import DEFAULT_PURPOSE, Dated
from sayso.opening import init_workspace
from sayso.receipting import Said, choices_of
from sayso.training import Order, Recipe, release, train
from sayso.training.environment import need_torch
from sayso.web.access import Caller, Role
from sayso.web.desk import Desk, open_desk, system_clock
from sayso.web.development import MARK, SECRET_FILE
from sayso.web.sealed import new_secret
from sayso.web.sessions import COOKIE
from sayso.workspace import Workspace
from sayso.writing.exchange import Exchange
from tests.e2e.cli import COMMAND, environment
from tests.town import (
    MEMBER_COLUMNS,
    NOTICE_COLUMNS,
    member_row,
    record_row,
    write_content,
    write_csv,
)
from tests.unit.training.lab import small_base
from tests.unit.web.affiliates import add_affiliates

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
START_SECONDS = 60.0

# Who is who; those whom the first page offers are members of the demonstration.
WING, JONAS, MAYA = "wing", "jonas", "maya"
HELD, HELD_FROM = "odile", date(2025, 12, 1)
COUNTRIES = {WING: "HK", JONAS: "DE", MAYA: "US", HELD: "CA"}
NEWCOMERS = tuple(f"newcomer-{number:02}" for number in range(120))
WROTE = (
    ("profile", "public", "Translator for eleven years, mostly of instructions."),
    ("post", "public", "The second draft is where the thinking starts."),
    ("post", "connections", "Looking for somebody who repairs old typewriters."),
    ("message", "private", "See you at six, then."),
)
# A few thousand weights that learned next to nothing: they write, and nobody asks how well.
RECIPE = Recipe(shards=1, rank=4, alpha=8, block_tokens=64, batch_blocks=4)


@dataclass
class Service:
    """The process that answers, and the workspace behind it.

    Attributes:
        address: Of the service.
        desk: The tests' own way into the workspace.
        writes: Whether the assistant has a model.
    """

    address: str
    desk: Desk
    writes: bool
    _newcomers: Iterator[str] = field(default_factory=lambda: iter(NEWCOMERS))

    def newcomer(self) -> str:
        """Return a member in the United States who has said nothing, and is nobody else's."""
        return next(self._newcomers)

    def said(self, who: str) -> list[Said]:
        """Return what stands in the ledger of a member."""
        ledger = self.desk.workspace.ledger
        return choices_of(ledger, who, ledger.size())

    def sign_in(self, context: BrowserContext, who: str) -> None:
        """Plant the session of a member, or of `officer`, in a browser."""
        if who == "officer":
            caller = Caller(subject=who, roles=frozenset({Role.OFFICER}))
        else:
            caller = Caller(subject=who, member_id=who, roles=frozenset({Role.MEMBER}))
        session = self.desk.sessions.begin(caller, self.desk.now_us())
        context.add_cookies([{
            "name": COOKIE, "value": session.secret, "url": self.address.replace("http:", "https:"),
            "secure": True, "httpOnly": True, "sameSite": "Lax",
        }])  # fmt: skip


def make_platform(folder: Path) -> bool:
    """Make a workspace in a folder as a demonstration's; return whether the assistant can write."""
    place = folder / "ws"
    workspace = init_workspace(place, system_clock, template="linkedin-2024")
    try:
        _add_people(workspace, folder)
        add_affiliates(workspace)
        # A hold protects one member; another said off before anything was built.
        workspace.place_hold(
            "CA", begins=Dated(HELD_FROM), placed_by="the platform", asked_by="the authority",
            hold_id="h1",
        )  # fmt: skip
        workspace.choose(JONAS, "off", channel="settings", setting_version="2024-09")
        workspace.build(folder / "content.parquet", folder / "first")
        released = _teach(workspace, folder)
        exchange = Exchange(
            "post", "A quiet week", (), ("Calm, and then calm.",), "release 1a2b", ""
        )
        keep(workspace.ledger, MAYA, "c0ffee", exchange.to_bytes(), 1_760_000_000_000_000)
        workspace.integrate()
    finally:
        workspace.close()
    (place / SECRET_FILE).write_text(f"{new_secret()}\n")
    told = {"content": folder / "content.parquet", "client_secret_file": SECRET_FILE}
    if released is not None:
        told["release"] = released
    config = place / "sayso.toml"
    text = config.read_text("utf-8")
    for name, value in told.items():
        text = re.sub(rf'(?m)^{name} = ""$', f'{name} = "{value}"', text, count=1)
    config.write_text(text, "utf-8")
    (folder / MARK).write_text("made by the browser tests\n")
    return released is not None


def _add_people(workspace: Workspace, folder: Path) -> None:
    countries = COUNTRIES | dict.fromkeys(NEWCOMERS, "US")
    members = [member_row(who, where) for who, where in countries.items()]
    write_csv(folder / "members.csv", members, MEMBER_COLUMNS)
    workspace.ingest("members", folder / "members.csv")
    told = dict.fromkeys(NOTICE_COLUMNS) | {
        "purpose": DEFAULT_PURPOSE, "served_at": "2025-09-15T09:00:00Z"
    }  # fmt: skip
    notices = [told | {"member_id": who} for who in countries]
    write_csv(folder / "notices.csv", notices, NOTICE_COLUMNS)
    workspace.ingest("notices", folder / "notices.csv")
    records = [
        record_row(f"{who}-{n}", who, category=category, visibility=seen, text=text)
        for who in COUNTRIES
        for n, (category, seen, text) in enumerate(WROTE)
    ]
    write_content(folder / "content.parquet", records)


def _teach(workspace: Workspace, folder: Path) -> Path | None:
    try:
        need_torch()
    except UnavailableError:
        return None
    base = small_base()
    run = train(workspace, Order(folder / "first", folder / "run", RECIPE, base)).path
    return release(workspace, run, folder / "releases", base=base).path


@contextmanager
def running(folder: Path) -> Iterator[Service]:
    """Make a platform in a folder, and answer for it until the block ends."""
    writes = make_platform(folder)
    port, provider = _free_port(), _free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *COMMAND, "serve", "--demonstration", "--out", folder,
                "--port", str(port), "--provider-port", str(provider),
            ],
            stdout=log, stderr=log, start_new_session=True,
            env=environment(PYTHONPATH=str(ROOT / "src")),
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(process, address, folder / "log")
        desk = open_desk(folder / "ws")
        try:
            yield Service(address, desk, writes)
        finally:
            desk.close()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
    # What went wrong without anybody noticing stands there.
    told = (folder / "log").read_text("utf-8")
    assert "Traceback" not in told, told
    assert "Error at " not in told, told


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/livez", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise AssertionError(f"the service did not start: {log.read_text('utf-8')}")


def open_browser(playwright: Playwright) -> Browser:
    """Start Debian's Chromium; without its sandbox where root would need one."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(
        executable_path=CHROMIUM,
        # Nothing leaves this machine, not even for the styles of the provider's page.
        args=[
            *arguments,
            "--disable-dev-shm-usage",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ],
    )
