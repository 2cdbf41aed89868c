"""Members, content and a provider that says what it was given: no model is needed."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

from sayso.opening import init_workspace, open_workspace
from sayso.workspace import Workspace
from sayso.writing import Recipient, Sampling
from sayso.writing.prompt import Prompt
from tests.town import (
    MEMBER_COLUMNS,
    START,
    Clock,
    Row,
    member_row,
    record_row,
    write_content,
    write_csv,
)

OURS = Recipient("LinkedIn", "http://127.0.0.1:1/v1")
TEMPLATE = "linkedin-2024"
MEMBERS = [
    member_row("m1", "HK"), member_row("m2", "US"), member_row("m3", None),
    member_row("gone", status="deceased"), member_row("odd", status="strange"),
]  # fmt: skip


@dataclass
class Echo:
    """Answers with the prompt itself, in pieces; remembers what it got."""

    recipient: Recipient | None = None
    name: str = "echo"
    got: list[tuple[Prompt, Sampling]] = field(default_factory=list)

    def cuts(self, prompt: Prompt, sampling: Sampling) -> bool:
        return False

    def stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[str]:
        self.got.append((prompt, sampling))
        yield from (f"{sampling.seed}:", *prompt.material.split(" "))


def make_workspace(folder: Path) -> Workspace:
    """Return a workspace of the template with a few members: a copy of one made once."""
    shutil.copytree(_made() / "ws", folder / "ws")
    return open_workspace(folder / "ws", Clock())


@lru_cache(maxsize=1)
def _made() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="sayso-writing-"))
    workspace = init_workspace(folder / "ws", Clock(START - timedelta(hours=1)), template=TEMPLATE)
    write_csv(folder / "members.csv", MEMBERS, MEMBER_COLUMNS)
    workspace.ingest("members", folder / "members.csv")
    workspace.close()
    return folder


def profile_row(record_id: str, member_id: str | None, text: str, **more: object) -> Row:
    """Return a public profile record."""
    return record_row(record_id, member_id, category="profile", text=text, **more)


def write_profiles(folder: Path) -> Path:
    """Write content with a profile of m1 and m2."""
    rows = [
        profile_row("p1", "m1", "Plans long projects in logistics."),
        profile_row("p2", "m2", "Checks old machines for hospitals."),
        record_row("r1", "m1", text="A post that is no profile."),
    ]
    return write_content(folder / "content.parquet", rows)
