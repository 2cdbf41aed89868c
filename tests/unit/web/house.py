"""A small platform with its service: a few members, what they wrote, somebody signed in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from starlette.testclient import TestClient

from sayso.opening import init_workspace
from sayso.web.access import Caller, Role
from sayso.web.app import app_for
from sayso.web.desk import Desk, open_desk
from sayso.web.sessions import COOKIE, Session
from sayso.workspace import Workspace
from tests.town import MEMBER_COLUMNS, Clock, member_row, record_row, write_content, write_csv

ADDRESS = "https://privacy.example"
WHO = {"wing": "HK", "jonas": "DE", "maya": "US"}
NOTICES = [("member_id", "purpose", "served_at")] + [
    (who, "content-generation-training", "2025-09-15T09:00:00Z") for who in WHO
]


@dataclass
class House:
    """A service that answers in this process.

    Attributes:
        clock: What the service takes for now.
    """

    app: FastAPI
    desk: Desk
    clock: Clock

    @property
    def workspace(self) -> Workspace:
        return self.desk.workspace

    def visitor(self, *, language: str = "en") -> TestClient:
        """Return a browser at which nobody is signed in."""
        made = TestClient(self.app, base_url=ADDRESS, follow_redirects=False)
        made.headers["accept-language"] = language
        return made

    def signed_in(self, caller: Caller) -> tuple[TestClient, Session]:
        """Return a browser at which somebody is."""
        session = self.desk.sessions.begin(caller, self.desk.now_us())
        browser = self.visitor()
        browser.cookies.set(COOKIE, session.secret)
        return browser, session

    def member(self, who: str) -> "Browser":
        """Return the browser of a member."""
        return self.person(Caller(subject=who, member_id=who, roles=frozenset({Role.MEMBER})))

    def staff(self, *roles: Role) -> "Browser":
        """Return the browser of somebody who works here."""
        return self.person(Caller(subject="staff", roles=frozenset(roles)))

    def person(self, caller: Caller) -> "Browser":
        browser, session = self.signed_in(caller)
        return Browser(browser, session)


@dataclass
class Browser:
    """The browser of somebody who is signed in."""

    client: TestClient
    session: Session

    def get(self, path: str, **headers: str) -> str:
        """Return the text of a page that must be there."""
        answer = self.client.get(path, headers=headers)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:300])
        return str(answer.text)

    def post(self, path: str, **form: str) -> str:
        """Send a form with its token; return where that leads."""
        answer = self.client.post(path, data={"csrf_token": self.session.csrf, **form})
        assert answer.status_code == 303, (path, answer.status_code, answer.text[:2000])
        return str(answer.headers["location"])

    def refused(self, path: str, **form: str) -> str:
        """Send a form that is not in order; return the page that says so."""
        answer = self.client.post(path, data={"csrf_token": self.session.csrf, **form})
        assert answer.status_code == 422, (path, answer.status_code)
        return str(answer.text)


@contextmanager
def made_house(folder: Path, **settings: str) -> Iterator[House]:
    """Make a platform in a folder, with its service."""
    clock = Clock()
    workspace = init_workspace(folder / "ws", clock, template="linkedin-2024")
    write_csv(
        folder / "members.csv", [member_row(who, where) for who, where in WHO.items()],
        MEMBER_COLUMNS,
    )  # fmt: skip
    workspace.ingest("members", folder / "members.csv")
    notices = folder / "notices.csv"
    notices.write_text("".join(",".join(row) + "\n" for row in NOTICES))
    workspace.ingest("notices", notices)
    workspace.close()
    records = [
        *(
            record_row(f"{who}-{n}", who, text=f"{who} wrote line {n}")
            for who in WHO
            for n in (1, 2)
        ),
        record_row("wing-3", "wing", category="message", visibility="private", text="in private"),
    ]
    write_content(folder / "content.parquet", records)
    told = {"address": ADDRESS, "content": str(folder / "content.parquet"), **settings}
    lines = "".join(f'{name} = "{value}"\n' for name, value in told.items())
    config = folder / "ws" / "sayso.toml"
    head, _, tail = config.read_text().partition("[web]\n")
    rest = tail[tail.index("[retention]") :]
    config.write_text(f"{head}[web]\n{lines}\n{rest}")
    desk = open_desk(folder / "ws", clock)
    app = app_for(desk)
    with TestClient(app, base_url=ADDRESS):
        yield House(app, desk, clock)
