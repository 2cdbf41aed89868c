"""A world in a real workspace: SQLite, files, segments, keys.

Promises: the history is replayed entry by entry through the doors that a platform uses
(`publish`, `ingest`, `choose`, `erase`), so that `known` of the world and of the workspace
differ only by the entries that `sayso init` makes. Needs a world with `sound=True`.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sayso.ledger.sealing import seal
from sayso.model import Rulebook
from sayso.opening import init_workspace
from sayso.workspace import Workspace
from tests.differential.books import files_of
from tests.differential.engines import content_table, members_table, microseconds
from tests.world import Ask, ChoiceLine, Entry, Members, NoticeLine, Notices, RecordLine, World


class Clock:
    """A clock that stands where it was put."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the present."""
        return self.now


class Stored:
    """A workspace that a world is replayed into.

    Attributes:
        offset: Entries before the world's first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._files = folder, 0
        self.clock = Clock()
        self.workspace: Workspace = init_workspace(folder / "workspace", self.clock)
        self.offset = self.workspace.ledger.size()

    def replay(self, entries: Iterable[Entry], *, bulk: bool = False) -> None:
        """Append entries, one index each.

        Args:
            entries: In order.
            bulk: Choices that stand side by side come as one file; their indexes are then
                in the order of the segment.
        """
        waiting: list[ChoiceLine] = []
        for entry in entries:
            if isinstance(entry, ChoiceLine) and bulk:
                waiting.append(entry)
                continue
            self._take_choices(waiting)
            waiting = []
            self._take(entry)
        self._take_choices(waiting)

    def _take(self, entry: Entry) -> None:
        size = self.workspace.ledger.size()
        match entry:
            case Rulebook():
                self.workspace.publish(files_of(entry))
            case Members():
                self.workspace.ingest("members", self._file(members_table(entry.rows)))
            case Notices():
                self.workspace.ingest("notices", self._file(_notices_file(entry.rows)))
            case ChoiceLine():
                # Said when it counts from: a back-dated `on` would count from its recording.
                self.clock.now = entry.effective_at
                self.workspace.choose(
                    entry.member_id, entry.choice, purpose=entry.purpose, country=entry.country
                )
        assert self.workspace.ledger.size() == size + 1, "each entry takes one index"

    def _take_choices(self, choices: list[ChoiceLine]) -> None:
        if not choices:
            return
        lines = [asdict(one) | {"effective_at": one.effective_at.isoformat()} for one in choices]
        path = self._folder / f"choices-{self._files}.jsonl"
        self._files += 1
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        self.workspace.ingest("choices", path)

    def _file(self, table: pa.Table) -> Path:
        path = self._folder / f"table-{self._files}.parquet"
        self._files += 1
        # A file that equals the current version would make no entry.
        pq.write_table(table.replace_schema_metadata({"number": str(self._files)}), path)
        return path

    def seal(self) -> int:
        """Move all choices of the head into a segment."""
        return seal(self.workspace.ledger, microseconds(self.clock()), threshold_rows=1)

    def known(self, known: int) -> int:
        """Return the size of this ledger when the world's had `known` entries."""
        return known + self.offset

    def masks(self, records: tuple[RecordLine, ...], ask: Ask, *, integer_ids: bool) -> list[int]:
        """Return the mask of every record."""
        table = content_table(records, integer_ids=integer_ids)
        decisions = self.workspace.decide_many(table, at=ask.at, known=self.known(ask.known))
        found: list[int] = decisions.masks.tolist()
        return found

    def content(self, records: tuple[RecordLine, ...], *, integer_ids: bool) -> Path:
        """Return records as a Parquet file with texts, so that a build has something to seal."""
        table = content_table(records, integer_ids=integer_ids)
        texts = pa.array([f"invented words of record {place}" for place in range(len(records))])
        path = self._folder / f"content-{self._files}.parquet"
        self._files += 1
        pq.write_table(table.append_column("text", texts), path)
        return path


def stored_world(world: World, folder: Path, *, bulk: bool = False) -> Stored:
    """Return a workspace with all of a world in it, the erased erased."""
    stored = Stored(folder)
    stored.replay(world.history, bulk=bulk)
    for member_id in sorted(world.erased):
        stored.workspace.erase(member_id)
    return stored


def _notices_file(lines: Iterable[NoticeLine]) -> pa.Table:
    rows: list[dict[str, Any]] = [
        asdict(line) | {"served_at": line.served_at.isoformat()} for line in lines
    ]
    return pa.table(
        {
            name: pa.array([row[name] for row in rows], pa.string())
            for name in ("member_id", "served_at", "purpose", "outcome")
        }
    )
