"""A site for tests of public pages: asked by nobody who is signed in."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

from starlette.testclient import TestClient

from sayso.opening import init_workspace
from sayso.web.app import app_for
from sayso.web.desk import open_desk
from tests.town import Clock

LANGUAGES = ("en", "zh-Hant")
PAGES = (
    "/transparency", "/transparency/timeline", "/transparency/data", "/transparency/switch-off",
    "/transparency/changes", "/transparency/holds", "/transparency/training-content",
    "/methodology", "/accessibility",
)  # fmt: skip
TABLES = ("jurisdictions", "timeline", "holds", "changes", "snapshots")


@contextmanager
def site(workspace: Path) -> Iterator[TestClient]:
    """Serve a workspace."""
    desk = open_desk(workspace, Clock())
    with TestClient(app_for(desk), base_url=desk.settings.address) as client:
        yield client


def make_workspace(folder: Path, files: Mapping[str, str] | None) -> Path:
    """Make a workspace with a rulebook, or with none that was published."""
    place = folder / "ws"
    workspace = init_workspace(place, Clock(), template="linkedin-2024")
    if files is not None:
        workspace.publish(files)
    workspace.close()
    return place


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def text_of(html: str) -> str:
    """Return what a reader sees, in one line."""
    parser = _Text()
    parser.feed(html)
    return " ".join(" ".join(parser.texts).split())


def tags_of(html: str) -> list[tuple[str, dict[str, str | None]]]:
    """Return every tag with its attributes."""
    parser = _Text()
    parser.feed(html)
    return parser.tags
