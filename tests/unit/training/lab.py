"""A small world to train on: a few members, short texts, a base of some thousand weights."""

import tempfile
from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path
from random import Random

from sayso.opening import init_workspace
from sayso.training import Order, Recipe, Trained, train
from sayso.training.foundation import Size, digests_of, own_base
from sayso.training.shards import bucket_tables
from sayso.workspace import Workspace
from tests.town import MEMBER_COLUMNS, Clock, Row, member_row, record_row, write_content, write_csv

RECIPE = Recipe(shards=4, rank=4, alpha=8, block_tokens=64, batch_blocks=4)
SIZE = Size(width=32, layers=2, heads=2, texts=30)
MEMBERS = 24
PER_MEMBER = 3
FEW = tuple(f"m{n}" for n in range(6))


@lru_cache(maxsize=1)
def small_base() -> Path:
    """A base that all tests of one process share."""
    place, _ = own_base(Path(tempfile.mkdtemp(prefix="sayso-base-")), SIZE)
    return place


def country_of(number: int) -> str:
    """Return where a member of the lab lives: two of three in the United States."""
    return "BR" if number % 3 == 0 else "US"


def member_rows() -> list[Row]:
    """Return the members of the lab."""
    return [member_row(f"m{n}", country_of(n)) for n in range(MEMBERS)]


def content_rows(*, without: Collection[str] = (), seed: int | None = None) -> list[Row]:
    """Return what they wrote, shuffled where a seed is given."""
    rows = [
        record_row(
            f"r{n}-{k}", f"m{n}", text=f"Member {n} wrote line {k}: {'so it goes, ' * (1 + n % 3)}"
        )
        for n in range(MEMBERS)
        for k in range(PER_MEMBER)
        if f"m{n}" not in without
    ]
    if seed is not None:
        Random(seed).shuffle(rows)
    return rows


def few_rows() -> list[Row]:
    """Return what the first few members wrote: two of them in Brazil."""
    return [row for row in content_rows() if row["member_id"] in FEW]


def tags_of(snapshot: Path, *members: str) -> set[bytes]:
    """Return the tags of what some members wrote."""
    tables = [table for _, table in bucket_tables(snapshot)]
    rows = [row for table in tables for row in table.select(["tag", "member_id"]).to_pylist()]
    return {row["tag"] for row in rows if row["member_id"] in members}


def make_lab(
    folder: Path, clock: Clock | None = None, rows: Sequence[Row] | None = None, **rules: str
) -> Workspace:
    """Return a workspace with members and a snapshot of what they wrote, in `folder`."""
    workspace = init_workspace(folder / "ws", clock or Clock(), template="linkedin-2024")
    if rules:
        files = workspace.draft_files()
        for old, new in rules.items():
            key = old.replace("_", "-")
            files = {name: text.replace(key, new) for name, text in files.items()}
        workspace.publish(files)
    write_csv(folder / "members.csv", member_rows(), MEMBER_COLUMNS)
    workspace.ingest("members", folder / "members.csv")
    build(workspace, folder, "first", content_rows() if rows is None else rows)
    return workspace


def build(workspace: Workspace, folder: Path, name: str, rows: Sequence[Row]) -> Path:
    """Build a snapshot of some content."""
    write_content(folder / f"{name}.parquet", rows)
    return workspace.build(folder / f"{name}.parquet", folder / name).path


def run(workspace: Workspace, snapshot: Path, out: Path, recipe: Recipe = RECIPE) -> Trained:
    """Train on the small base."""
    return train(workspace, Order(snapshot, out, recipe, small_base()))


def learned_files(folder: Path) -> dict[str, str]:
    """Return the digests of everything in a run that learning made."""
    return {
        name: digest
        for name, digest in digests_of(folder).items()
        if not name.startswith("evidence/")
    }
