"""Retention: how long what no longer decides anything is kept, and deleting it.

Promises: nothing that bears on a decision of the present is deleted; what was deleted is
never answered for again, so that no answer changes: asking about it is an error that says
so. Commitments and roots stay, and every proof with them. Holds no clock.

Kinds: `members` and `notices` are versions of these tables that another version has taken
the place of; `snapshots` are the records of snapshots; `reads` are notes of who read what of a
member; `choices` and `tombstones` are kept
for ever, and `prompts`, what the assistant was given and wrote, until the member deletes them.

Example:
    >>> parse_retention({"members": {"keep": "30 days", "reason": "audits"}})["members"].days
    30
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq
import sqlalchemy as sa

from sayso.attest.trust import load_attest_key
from sayso.errors import InputError
from sayso.ledger import schema
from sayso.ledger.erase import erasing, sweep_files
from sayso.ledger.files import blank_rows, next_name, remove
from sayso.ledger.reads import count_reads, delete_reads
from sayso.ledger.rows import MEMBERS, NOTICES, row_commitments
from sayso.ledger.store import Ledger, temporary_name
from sayso.ledger.versions import Version, every_version
from sayso.snapshot.known import Known, known_snapshots
from sayso.snapshot.manifest import load_manifest
from sayso.snapshot.notes import bring_handovers, visiting, write_expiry
from sayso.tables import connect

Progress = Callable[[str, int], None]

DAY_US = 86_400_000_000
FOREVER = "forever"
SNAPSHOTS, CHOICES, TOMBSTONES, PROMPTS = "snapshots", "choices", "tombstones", "prompts"
READS = "reads"


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long one kind of data is kept, and why.

    Attributes:
        days: Whole days of 24 hours; None for ever.
        reason: Why so long, in the platform's words.
    """

    days: int | None
    reason: str

    def __str__(self) -> str:
        """As `sayso.toml` says it."""
        return FOREVER if self.days is None else f"{self.days} days"


Retention = Mapping[str, Keeping]

DEFAULTS: Retention = {
    MEMBERS: Keeping(730, "an answer of the last two years can be given again"),
    NOTICES: Keeping(730, "an answer of the last two years can be given again"),
    SNAPSHOTS: Keeping(1095, "a model's training set can be examined for three years"),
    READS: Keeping(730, "who read what of a member can be examined for two years"),
    CHOICES: Keeping(None, "an objection must be answerable as long as anything is built"),
    TOMBSTONES: Keeping(None, "an erased member must stay refused"),
    PROMPTS: Keeping(None, "they are the member's, who deletes them"),
}
# Why these are never deleted; retention could only make them answer wrongly.
FOR_EVER = {
    CHOICES: "an earlier `off` stands again where a member moves and a later `on` does not count",
    TOMBSTONES: "without it a file or a backup would bring the erased back",
    PROMPTS: "who wrote them says for how long, with 'sayso write delete'",
}


def parse_retention(section: object) -> Retention:
    """Return what `[retention]` of `sayso.toml` says; what it leaves out has its default.

    Raises:
        InputError: A kind, a key or a duration is none.
    """
    if not isinstance(section, dict):
        raise InputError("[retention] is no table", hint=_like(MEMBERS))
    found = dict(DEFAULTS)
    for kind, given in section.items():
        if kind not in DEFAULTS:
            raise InputError(f"unknown kind 'retention.{kind}'", hint=f"use {', '.join(DEFAULTS)}")
        if not isinstance(given, dict) or set(given) != {"keep", "reason"}:
            raise InputError(f"'retention.{kind}' needs keep and reason", hint=_like(kind))
        keep, reason = given["keep"], given["reason"]
        if not isinstance(reason, str) or not reason.strip():
            raise InputError(f"'retention.{kind}' gives no reason", hint="say why it is kept")
        found[kind] = Keeping(_days(kind, keep), reason.strip())
    return found


def _like(kind: str) -> str:
    keeping = DEFAULTS[kind]
    return f'write {kind} = {{ keep = "{keeping}", reason = "{keeping.reason}" }}'


def _days(kind: str, keep: object) -> int | None:
    if keep == FOREVER:
        return None
    told = re.fullmatch(r"([1-9]\d{0,5}) days", keep) if isinstance(keep, str) else None
    if told is None:
        raise InputError(f"'retention.{kind}.keep' is no duration", hint=_like(kind))
    if kind in FOR_EVER:
        raise InputError(
            f"'retention.{kind}.keep' can only be forever: {FOR_EVER[kind]}", hint=_like(kind)
        )
    return int(told[1])


# ---- what is due ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Due:
    """What retention deletes.

    Attributes:
        versions: Versions of tables, their rows.
        snapshots: Snapshots, their records.
        reads: How many notes of who read what of a member.
    """

    versions: tuple[Version, ...]
    snapshots: tuple[Known, ...]
    reads: int


def what_is_due(ledger: Ledger, retention: Retention, now_us: int) -> Due:
    """Return what was kept for as long as it may be.

    A version of a table is kept from when another took its place; a snapshot from its entry.
    """
    recorded = _recorded(ledger)
    versions = []
    standing = every_version(ledger)
    for number, one in enumerate(standing):
        later = [other for other in standing[number + 1 :] if other.kind == one.kind]
        if later and not one.expired:
            since_us = recorded[later[0].entry]
            if _is_over(retention[one.kind], since_us, now_us):
                versions.append(one)
    snapshots = [
        known
        for known in known_snapshots(ledger)
        if known.entry is not None
        and _is_over(retention[SNAPSHOTS], recorded[known.entry], now_us)
        and _has_records(known)
    ]
    until_us = _reads_until(retention, now_us)
    reads = 0 if until_us is None else count_reads(ledger, until_us)
    return Due(tuple(versions), tuple(snapshots), reads)


def _reads_until(retention: Retention, now_us: int) -> int | None:
    """Return the instant up to which reads are due; None for never."""
    days = retention[READS].days
    return None if days is None else now_us - days * DAY_US


def _recorded(ledger: Ledger) -> dict[int, int]:
    """Return when each entry about a table or a snapshot was recorded."""
    column = schema.entry.c
    query = sa.select(column.index, column.recorded_us).where(
        column.kind.in_(("table", "snapshot"))
    )
    with ledger.reading() as con:
        return {int(index): int(us) for index, us in con.execute(query)}


def _is_over(keeping: Keeping, since_us: int, now_us: int) -> bool:
    return keeping.days is not None and since_us + keeping.days * DAY_US <= now_us


def _has_records(known: Known) -> bool:
    """Whether records are there, also some that a killed run left beside its note."""
    try:
        return any((known.path / "records").iterdir()) and (
            load_manifest(known.path).digest == known.manifest
        )
    except (OSError, InputError):
        return False


# ---- deleting ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Deleted:
    """What retention deleted.

    Attributes:
        swept: Files that nobody listed, deleted as well.
    """

    due: Due
    swept: tuple[str, ...]


def apply_retention(
    ledger: Ledger,
    retention: Retention,
    now_us: int,
    progress: Progress = lambda _stage, _rows: None,
) -> Deleted:
    """Delete what was kept for as long as it may be.

    Killed at any moment, the next run does what is left.
    """
    with erasing(ledger):
        due = what_is_due(ledger, retention, now_us)
        for number, version in enumerate(due.versions):
            progress("deleting rows of tables", number)
            _expire_version(ledger, version, now_us)
        for number, known in enumerate(due.snapshots):
            progress("deleting records of snapshots", number)
            _expire_snapshot(ledger, known, retention[SNAPSHOTS], now_us)
        if due.reads and (until_us := _reads_until(retention, now_us)) is not None:
            delete_reads(ledger, until_us)
        swept, _ = sweep_files(ledger)
    return Deleted(due, swept)


def _expire_version(ledger: Ledger, version: Version, now_us: int) -> None:
    """Make every row of a version null, but for its commitment."""
    with connect() as duck:
        with ledger.reading() as con:
            ledger.keys.load(con, duck)
        commitments = row_commitments(duck, version.kind, version.path)
    target = version.path.with_name(next_name(version.path))
    made = target.with_name(temporary_name(target.name))
    places = np.arange(int(pq.read_metadata(version.path).num_rows), dtype=np.int64)
    try:
        digest = blank_rows(version.path, made, places, frozenset(), commitments)
        made.rename(target)
    finally:
        made.unlink(missing_ok=True)
    column = schema.table.c
    with ledger.writing() as con:
        con.execute(
            sa.update(schema.table)
            .where(column.entry == version.entry)
            .values(name=target.name, sha256=digest, expired_us=now_us)
        )
        con.execute(sa.update(schema.head).values(rewritten=schema.head.c.rewritten + 1))
    remove([version.path])


def _expire_snapshot(ledger: Ledger, known: Known, keeping: Keeping, now_us: int) -> None:
    """Delete the records of a snapshot; manifest and evidence stay."""
    with visiting(known.path, alone=True):
        bring_handovers(ledger.folder, known.path)
        write_expiry(
            known.path, load_attest_key(ledger.folder),
            deleted_us=now_us, keep=str(keeping), reason=keeping.reason,
        )  # fmt: skip
        remove(sorted((known.path / "records").iterdir()))
