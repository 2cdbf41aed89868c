"""Objections: what stands today against learning from a snapshot, and against serving it.

Promises: the published rulebook and the ledger are asked, never drafts; every record of a
snapshot is decided again by `sayso.decision`, as of now and all that is known. Unknown means
no. An `off` is spared where every rule that counts says `future-runs`: the stricter of the
rules at the training and at the `off`. Does not stop or delete anything.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sayso.decision.content import content_columns
from sayso.decision.many import decide_many
from sayso.decision.states import STANDING_BITS, MemberStates
from sayso.facts import instant_of
from sayso.ledger.kept import deleted_kept, kept_id_of
from sayso.ledger.rows import MEMBERS, NOTICES
from sayso.ledger.versions import version_at
from sayso.model import (
    EVERY_PURPOSE,
    REASONS,
    Choice,
    Jurisdiction,
    Mode,
    Others,
    Place,
    Reason,
    Rule,
    RuleInForce,
    Withdrawal,
    mask_of,
    reasons_of,
)
from sayso.receipting import choices_of
from sayso.rulebook.in_force import InForce, in_force
from sayso.snapshot.load import circumstances
from sayso.snapshot.manifest import Manifest, load_manifest
from sayso.tables import connect, open_table, reading, sha256_of
from sayso.training.shards import bucket_tables
from sayso.workspace import Workspace

# Records decided at once; bounds what is in memory.
GATHERED_ROWS = 1 << 17
# Beside the decision's own reasons: the member lives in another country now, whose holds
# and rules the shard would not follow.
MOVED = "MOVED"
_OFF = mask_of((Reason.CHOSEN_OFF, Reason.NOT_CHOSEN))
# What holds and rules refuse; these stand against a whole country, and end.
COUNTRY_WIDE = mask_of((Reason.ON_HOLD, Reason.NOT_ENABLED, Reason.NO_RULE))
_NOWHERE = Place("", 0)


# ---- countries: holds and rules ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Objection:
    """One country in which nobody may learn now.

    Attributes:
        hold: Id of the hold; empty where it is the rules.
    """

    country: str
    hold: str
    text: str


def against_countries(
    countries: Sequence[str], then: InForce, now: InForce
) -> tuple[Objection, ...]:
    """Return what stands against some countries now that did not when a snapshot was built."""
    found: list[Objection] = []
    for country in countries:
        law, before = now.jurisdiction(country), then.jurisdiction(country)
        holds = law.holds if law else ()
        found += [
            Objection(country, hold.hold_id, f"hold '{hold.hold_id}' stands over {country}")
            for hold in holds
        ]
        if law is None or before is None or _law(law) != _law(before):
            found.append(Objection(country, "", f"the rules of {country} are others now"))
        elif law.unruled or any(held.rule.mode is Mode.NOT_ENABLED for held in law.rules):
            found.append(Objection(country, "", f"no rule permits it in {country}"))
    return tuple(found)


def _law(law: Jurisdiction) -> tuple[object, ...]:
    """Return what the rules say, without where they stand and who says so."""
    return (law.unruled, law.minimum_age, tuple(_bare(held) for held in law.rules))


def _bare(held: RuleInForce) -> tuple[Rule, datetime | None, datetime | None]:
    rule = replace(held.rule, place=_NOWHERE, sources={}, assessments=())
    return (rule, held.notice_since_at, held.earliest_at)


def closed_countries(countries: Sequence[str], now: InForce) -> dict[str, str]:
    """Return what closes each country that is closed now; an unknown one is."""
    found = {}
    for country in countries:
        law = now.jurisdiction(country)
        if (
            law is None
            or law.unruled
            or any(one.rule.mode is Mode.NOT_ENABLED for one in law.rules)
        ):
            found[country] = f"no rule permits it in {country}"
        if law is not None and law.holds:
            found[country] = f"hold '{law.holds[0].hold_id}' stands over {country}"
    return found


def law_then(workspace: Workspace, manifest: Manifest) -> InForce:
    """Return what was in force for a snapshot."""
    book = workspace.rules(manifest.rulebook.entry + 1).book
    return in_force(book, manifest.purpose, manifest.at_instant)


# ---- inputs -----------------------------------------------------------------------------


def changed_inputs(workspace: Workspace, snapshot: Path, known: int) -> list[str]:
    """Return which inputs of a snapshot are others by now; a file that is gone is not looked at."""
    manifest = load_manifest(snapshot)
    changed = []
    for kind, path in (("content", "content"), (MEMBERS, "members")):
        file = circumstances(snapshot, path)
        if file is None or not file.exists() or kind not in manifest.inputs:
            continue
        with connect() as duck, reading(file):
            digest = sha256_of(open_table(duck, file).paths)
        changed += [kind] if digest != manifest.inputs[kind].sha256 else []
    for kind in (MEMBERS, NOTICES):
        if kind == MEMBERS and circumstances(snapshot, "members") is not None:
            continue
        version = version_at(workspace.ledger, kind, known)
        pinned = manifest.inputs.get(kind)
        if (version.root if version else None) != (pinned.sha256 if pinned else None):
            changed.append(kind)
    return changed


# ---- records ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a record would be refused today.

    Attributes:
        reasons: Names, in order; `MOVED` last.
        spared: Whether the member's part of it is an `off` and nothing else, under
            `future-runs` alone.
    """

    country: str
    reasons: tuple[str, ...]
    spared: bool


def refused_today(
    workspace: Workspace, snapshot: Path, content: Path | None = None
) -> dict[bytes, Refusal]:
    """Return the records of a snapshot that would be refused today, by tag.

    Erased records are not in the snapshot any more and so not in the answer.

    Args:
        workspace: Asked as of now.
        snapshot: A finished snapshot of it.
        content: Records as they are now; what it lacks was deleted. None: as in the snapshot.

    Raises:
        InputError: There is no finished snapshot, or the content cannot be read.
        IntegrityError: A file differs from the manifest.
    """
    manifest = load_manifest(snapshot)
    at, known = workspace.clock(), workspace.ledger.size()
    states = workspace.states(
        purpose=manifest.purpose, at=at, known=known, members=circumstances(snapshot, "members")
    )
    then = law_then(workspace, manifest)
    now = in_force(workspace.rules(known).book, manifest.purpose, at)
    spare = _Sparing(workspace, manifest.purpose, known, then, now)
    asked = None if content is None else _masks_of(content, states)
    deleted = deleted_kept(workspace.ledger)
    found: dict[bytes, Refusal] = {}
    for table in _gathered(table for _, table in bucket_tables(snapshot)):
        for tag, member, country, mask, moved in _decided(table, states, then, asked, deleted):
            reasons = tuple(str(reason) for reason in reasons_of(mask))
            spared = not moved and spare.is_spared(member, country, mask)
            more = (MOVED,) if moved else ()
            found[tag] = Refusal(country, (*reasons, *more), spared)
    return found


def _gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield tables joined until they are large: each decision costs some milliseconds of setup."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(one.num_rows for one in waiting) >= GATHERED_ROWS:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _decided(
    table: pa.Table,
    states: MemberStates,
    then: InForce,
    asked: Mapping[tuple[str, str], int] | None,
    deleted: Collection[tuple[str, str]],
) -> Iterator[tuple[bytes, str, str, int, bool]]:
    """Yield tag, member, country, mask and whether they moved, of what is refused."""
    if not table.num_rows:
        return
    masks = decide_many(_as_content(table, then), states).masks
    place = pc.index_in(table["member_id"], value_set=states.ids)
    packed = np.concatenate([np.zeros(1, np.int64), states.packed])[
        pc.fill_null(place, -1).to_numpy() + 1
    ]
    standing = packed & ((1 << STANDING_BITS) - 1)
    lives = [states.countries[code] for code in states.country[standing].tolist()]
    columns = table.select(["tag", "member_id", "country", "record_id"]).to_pylist()
    gone = mask_of((Reason.RECORD_DELETED,))
    for row, mask, country in zip(columns, masks.tolist(), lives, strict=True):
        if asked is not None:
            mask |= asked.get((row["member_id"], row["record_id"]), gone)  # noqa: PLW2901
        if deleted and (row["member_id"], kept_id_of(row["record_id"])) in deleted:
            mask |= gone  # noqa: PLW2901
        moved = country != row["country"]
        if mask or moved:
            yield bytes(row["tag"]), row["member_id"], row["country"], mask, moved


def _as_content(table: pa.Table, then: InForce) -> pa.Table:
    """Return a bucket as content; a snapshot does not hold who is mentioned.

    Where the rule of the time refused mentions, nobody was; elsewhere nobody knows.
    """
    strict = {
        country
        for country in pc.unique(table["country"]).to_pylist()
        if (law := then.jurisdiction(country)) is not None
        and any(held.rule.others is Others.REFUSE for held in law.rules)
    }
    names: list[list[str] | None] = [
        [] if country in strict else None for country in table["country"].to_pylist()
    ]
    kept = table.select(
        ["record_id", "member_id", "category", "visibility", "authorship", "context", "written_at"]
    )
    return kept.append_column("mentions", pa.array(names, pa.list_(pa.string())))


def _masks_of(content: Path, states: MemberStates) -> dict[tuple[str, str], int]:
    """Return the mask of every record of content, by member and record."""
    with connect() as duck, reading(content):
        table = open_table(duck, content)
        columns = content_columns(table, integer_ids=False)
        rows = duck.sql(f"SELECT {columns} FROM {table.sql}").to_arrow_table()
    masks = decide_many(rows, states).masks.tolist()
    members = rows["member_id"].cast(pa.string()).to_pylist()
    records = rows["record_id"].cast(pa.string()).to_pylist()
    return {
        (member, record): mask for member, record, mask in zip(members, records, masks, strict=True)
    }


@dataclass
class _Sparing:
    """Whether an `off` leaves what was trained as it is."""

    workspace: Workspace
    purpose: str
    known: int
    then: InForce
    now: InForce

    def is_spared(self, member: str, country: str, mask: int) -> bool:
        """Whether the record's only fault is an `off` under rules that look ahead alone."""
        chose_off = mask & mask_of((Reason.CHOSEN_OFF,))
        if (
            not chose_off
            or mask & ~_OFF & ~COUNTRY_WIDE
            or _forgets(self.then.jurisdiction(country))
        ):
            return False
        said = [
            one
            for one in choices_of(self.workspace.ledger, member, self.known)
            if one.choice is Choice.OFF and one.purpose in {self.purpose, EVERY_PURPOSE}
        ]
        laws = [in_force(self.now.book, self.purpose, instant_of(one.effective_us)) for one in said]
        return bool(said) and not any(_forgets(law.jurisdiction(country)) for law in laws)


def _forgets(law: Jurisdiction | None) -> bool:
    """Whether a rule demands it; where no rule is known, so does not knowing."""
    if law is None or not law.rules:
        return True
    return any(held.rule.withdrawal is Withdrawal.FORGET for held in law.rules)


def told(refusals: Mapping[bytes, Refusal]) -> dict[str, int]:
    """Return records by first reason, in the order of the reasons."""
    order = [*map(str, REASONS), MOVED]
    firsts = [one.reasons[0] for one in refusals.values()]
    return {name: firsts.count(name) for name in order if name in firsts}
