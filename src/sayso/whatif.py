"""What would be otherwise: under another rulebook, or at another instant.

Promises: decides again with the same engine; nothing is published or appended. Does not say
which of two rulebooks is right.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from sayso.decision.cells import tabulate
from sayso.decision.compare import CellsDiffer, compare_cells
from sayso.decision.content import content_columns
from sayso.decision.many import decide_many
from sayso.decision.states import STANDING_BITS, MemberStates
from sayso.errors import InputError
from sayso.model import Rulebook, reasons_of
from sayso.publishing import purposes_hint
from sayso.rulebook.in_force import in_force
from sayso.rulebook.parse import load_rulebook, parse_rulebook
from sayso.snapshot.load import circumstances
from sayso.snapshot.manifest import load_manifest
from sayso.snapshot.request import fold_states
from sayso.tables import connect, open_table, reading
from sayso.workspace import Workspace


@dataclass(frozen=True)
class Moved:
    """What a rulebook would move.

    Attributes:
        members_in: Members whose part of the decision would no longer refuse.
        members_out: Members whose part would begin to refuse.
        entering: Records that would be admitted and are not.
        leaving: Records that are admitted and would not be; by first reason in `leaving_for`.
    """

    members: int
    members_in: int
    members_out: int
    records: int
    entering: int
    leaving: int
    leaving_for: dict[str, int]


def named_rulebook(workspace: Workspace, name: str) -> Rulebook:
    """Return `draft`, `published`, the one published as entry N, or that in a folder.

    Raises:
        InputError: There is none.
        RulebookError: It has faults.
    """
    if name == "published":
        return workspace.rules().book
    if name == "draft":
        return parse_rulebook(workspace.draft_files())
    if name.isdigit():
        for entry in workspace.ledger.public("rulebook", workspace.ledger.size()):
            if entry.index == int(name):
                return parse_rulebook(entry.payload["files"])
        raise InputError(f"entry {name} publishes no rulebook", hint="see 'sayso rulebook show'")
    if Path(name).is_dir():
        return load_rulebook(Path(name))
    raise InputError(
        f"no rulebook '{name}'", hint="write draft, published, an entry's number or a folder"
    )


def compare_rulebooks(
    first: Rulebook, second: Rulebook, purpose: str, at: datetime
) -> list[CellsDiffer]:
    """Return what two rulebooks decide differently at an instant, as cells.

    Raises:
        InputError: Neither declares the purpose.
    """
    if purpose not in {*first.purposes, *second.purposes}:
        raise InputError(f"unknown purpose '{purpose}'", hint=purposes_hint(first, second))
    return compare_cells(
        tabulate(in_force(first, purpose, at)), tabulate(in_force(second, purpose, at))
    )


def what_if(
    workspace: Workspace,
    first: Rulebook,
    second: Rulebook,
    *,
    purpose: str,
    at: datetime,
    members: Path | None,
    content: Path | None,
) -> Moved:
    """Return how many members and records would move from `first` to `second`."""
    known = workspace.ledger.size()
    sides: list[MemberStates] = []
    with connect() as duck, reading(members or content or "the workspace's tables"):
        table = open_table(duck, members) if members else None
        records = open_table(duck, content) if content else None
        integer_ids = records is not None and records.has_integers("member_id")
        for book in (first, second):
            cells = tabulate(in_force(book, purpose, at))
            sides.append(
                fold_states(
                    workspace.ledger, duck, cells, known, members=table, integer_ids=integer_ids
                )
            )
    before, after = (_mask_by_member(states) for states in sides)
    moved_in = int(((before != 0) & (after == 0)).sum())
    moved_out = int(((before == 0) & (after != 0)).sum())
    if content is None:
        return Moved(len(before), moved_in, moved_out, 0, 0, 0, {})
    one, other = (decide_many(content, states) for states in sides)
    leaving = one.allow & ~other.allow
    reasons: dict[str, int] = {}
    for mask, rows in zip(*np.unique(other.masks[leaving], return_counts=True), strict=True):
        name = str(reasons_of(int(mask))[0])
        reasons[name] = reasons.get(name, 0) + int(rows)
    return Moved(
        members=len(before),
        members_in=moved_in,
        members_out=moved_out,
        records=len(one),
        entering=int((~one.allow & other.allow).sum()),
        leaving=int(leaving.sum()),
        leaving_for=reasons,
    )


def _mask_by_member(states: MemberStates) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    order = np.argsort(np.asarray(states.ids.to_pylist(), dtype=object), kind="stable")
    masks = states.mask.take(states.packed & ((1 << STANDING_BITS) - 1))
    return np.asarray(masks[order], np.uint32)


def why_moved(workspace: Workspace, snapshot: Path, moved: pa.Table) -> pa.Table:
    """Return `moved` with the reasons for which `snapshot` does not hold each record.

    Args:
        workspace: That both snapshots come from.
        snapshot: The one without the records.
        moved: Columns record_id, member_id, country.

    Returns:
        The same with `reasons`, a list of names: empty where the record is not in that
        snapshot's content, null where its inputs are no longer to be had.
    """
    names = pa.list_(pa.string())
    manifest = load_manifest(snapshot)
    content, members = circumstances(snapshot, "content"), circumstances(snapshot, "members")
    if not moved.num_rows or content is None or not content.exists():
        return moved.append_column("reasons", pa.nulls(moved.num_rows, names))
    with connect() as duck, reading(content):
        table = open_table(duck, content)
        integer_ids = table.has_integers("member_id")
        columns = content_columns(table, integer_ids=integer_ids)
        duck.register("moved", moved)
        rows = duck.sql(
            f"SELECT * FROM (SELECT {columns} FROM {table.sql}) "
            "WHERE record_id::VARCHAR IN (SELECT record_id FROM moved)"
        ).to_arrow_table()
        states = workspace.states(
            purpose=manifest.purpose, at=manifest.at_instant, known=manifest.known,
            members=members, integer_ids=integer_ids, content_ids=rows["member_id"],
        )  # fmt: skip
        decided = decide_many(rows, states)
        return _with_reasons(duck, rows, decided.to_arrow()["reasons"])


def _with_reasons(
    duck: duckdb.DuckDBPyConnection, rows: pa.Table, reasons: pa.ChunkedArray
) -> pa.Table:
    duck.register(
        "decided", pa.table({"record_id": rows["record_id"].cast(pa.string()), "reasons": reasons})
    )
    return duck.sql(
        "SELECT m.record_id, m.member_id, m.country, coalesce(d.reasons, []) AS reasons "
        "FROM moved m "
        "LEFT JOIN (SELECT record_id, any_value(reasons) reasons FROM decided GROUP BY 1) d "
        "USING (record_id) ORDER BY ALL"
    ).to_arrow_table()
