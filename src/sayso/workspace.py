"""A workspace: the folder in which rulebook, ledger, tables and keys of one platform stand.

Promises: ties the rooms together and holds no policy of its own. Time comes in through
`clock`, which `sayso.open` and the command line set.

Example:
    >>> workspace = sayso.open("ws")                       # doctest: +SKIP
    >>> workspace.choose("7", Choice.OFF).index            # doctest: +SKIP
    12
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from numbers import Integral
from pathlib import Path

import duckdb
import pyarrow as pa

from sayso.attest.trust import Trust
from sayso.decision.cells import Cells, tabulate
from sayso.decision.content import content_table
from sayso.decision.explain import Explanation
from sayso.decision.many import Decisions, decide_many
from sayso.decision.one import decide
from sayso.decision.states import MemberStates, microseconds
from sayso.erasure import Erasure, erase, reapply
from sayso.errors import InputError
from sayso.facts import find_record, member_facts, standing_of_one
from sayso.ledger.committing import Committer
from sayso.ledger.entries import NewChoice, Receipt
from sayso.ledger.ingest import Ingested, ingest_choices, ingest_table
from sayso.ledger.integrate import Integrated, integrate
from sayso.ledger.sealing import seal
from sayso.ledger.store import Ledger
from sayso.model import (
    DEFAULT_PURPOSE,
    EVERY_PURPOSE,
    Choice,
    Dated,
    Facts,
    Position,
    Presence,
    RecordFacts,
    Rulebook,
    Source,
)
from sayso.publishing import (
    NO_RULES,
    edit_and_publish,
    lifting,
    need_purpose,
    placing,
    publish,
    published,
    purposes_hint,
)
from sayso.retention import (
    DEFAULTS,
    Deleted,
    Due,
    Retention,
    apply_retention,
    what_is_due,
)
from sayso.rulebook.civil import COUNTRIES
from sayso.rulebook.in_force import InForce, in_force
from sayso.rulebook.parse import load_files
from sayso.rulebook.schema import is_purpose_name
from sayso.snapshot.build import build, rebuild
from sayso.snapshot.load import circumstances
from sayso.snapshot.manifest import load_manifest
from sayso.snapshot.request import Built, Progress, Request, Rules, Tools, fold_states
from sayso.snapshot.spark import run_spark_pass
from sayso.snapshot.stream import Engine
from sayso.tables import connect, open_table, reading

Clock = Callable[[], datetime]

# What can decide, and makes a whole pass; each gives the same snapshot. None: DuckDB.
ENGINES: Mapping[str, Engine | None] = {"duckdb": None, "spark": run_spark_pass}


@dataclass
class Workspace:
    """One platform's workspace. Use `open_workspace`, or `sayso.open`.

    Attributes:
        path: The folder.
        clock: Gives the present as an aware instant.
        trust: Who signs, and whose word a checkpoint needs.
        retention: How long each kind of data is kept.
        progress: Told of long work.
        committer: What appends choices where many threads make them; None: each by itself.
    """

    path: Path
    ledger: Ledger
    clock: Clock
    trust: Trust
    retention: Retention = field(default_factory=lambda: DEFAULTS)
    progress: Progress = lambda _stage, _rows: None
    committer: Committer | None = None

    def close(self) -> None:
        """Append what waits, and release the database."""
        if self.committer is not None:
            self.committer.close()
        self.ledger.close()

    def _now_us(self) -> int:
        return microseconds(self.clock())

    def _at(self, at: datetime | None) -> datetime:
        return self.clock() if at is None else _utc(at)

    # ---- log ----

    def integrate(self) -> Integrated:
        """Bring every entry into the log and publish a checkpoint; see `sayso.ledger.integrate`.

        Raises:
            IntegrityError: The log and the ledger, or a witness, disagree.
            UnavailableError: A witness that the policy needs does not answer.
        """
        return integrate(
            self.ledger, self.trust.log, self.trust.policy,
            retiring=self.trust.retiring, progress=self.progress,
        )  # fmt: skip

    # ---- rulebook ----

    def rules(self, known: int | None = None) -> Rules:
        """Return the last rulebook published below `known`; an empty one before the first."""
        return published(self.ledger, self.ledger.known(known))

    def draft_files(self, *, lossy: bool = False) -> dict[str, str]:
        """Return the rulebook's files as they stand in the folder; see `load_files`."""
        return load_files(self.path / "rulebook", lossy=lossy)

    def publish(self, files: Mapping[str, str] | None = None) -> tuple[Receipt, Rulebook]:
        """Publish the drafts, or `files`; see `sayso.publishing.publish`."""
        wanted = self.draft_files() if files is None else files
        return publish(self.ledger, wanted, self._now_us())

    def place_hold(
        self,
        scope: str,
        *,
        begins: Dated,
        placed_by: str,
        asked_by: str = "",
        ordered_by: str = "",
        purposes: tuple[str, ...] = (DEFAULT_PURPOSE,),
        condition: str = "",
        source: Source | None = None,
        hold_id: str | None = None,
    ) -> tuple[str, Receipt]:
        """Place a hold and publish it in one step; return its id and entry."""
        edit, names = placing(
            hold_id, scope, purposes=purposes, begins=begins, placed_by=placed_by,
            asked_by=asked_by, ordered_by=ordered_by, condition=condition, source=source,
        )  # fmt: skip
        receipt = edit_and_publish(self.ledger, self.path / "rulebook", self._now_us(), edit)
        return names[-1], receipt

    def lift_hold(
        self, hold_id: str, *, lifted: Dated, source: Source | None, position: Position
    ) -> Receipt:
        """Lift a hold, in one step with publishing it.

        Raises:
            InputError: There is no such hold, or it was lifted before.
            RefusedError: It was ordered, and who ordered it has not approved.
        """
        edit = lifting(hold_id, lifted=lifted, source=source, position=position)
        return edit_and_publish(self.ledger, self.path / "rulebook", self._now_us(), edit)

    def in_force(
        self, purpose: str = DEFAULT_PURPOSE, at: datetime | None = None, known: int | None = None
    ) -> InForce:
        """Return what is in force for a purpose; nothing where it is not declared."""
        return in_force(self.rules(known).book, purpose, self._at(at))

    def cells(
        self, purpose: str = DEFAULT_PURPOSE, at: datetime | None = None, known: int | None = None
    ) -> Cells:
        """Return what is in force, tabulated."""
        return tabulate(self.in_force(purpose, at, known))

    # ---- ledger ----

    def choose(
        self,
        member: str | int,
        choice: Choice | str,
        *,
        purpose: str = DEFAULT_PURPOSE,
        effective_at: datetime | None = None,
        country: str | None = None,
        channel: str | None = None,
        setting_version: str | None = None,
    ) -> Receipt:
        """Record what a member said; durable when this returns.

        Raises:
            InputError: The choice, purpose or country is not one, or an `on` is dated ahead.
            RefusedError: The member was erased.
        """
        said = _choice(choice)
        if purpose == EVERY_PURPOSE and said is not Choice.OFF:
            raise InputError("purpose '*' goes only with off", hint="name the purpose")
        if purpose != EVERY_PURPOSE and purpose not in (book := self.rules().book).purposes:
            hint = f"{purposes_hint(book)} or, with off, *"
            raise InputError(f"unknown purpose '{purpose}'", hint=hint)
        if country is not None and country not in COUNTRIES:
            raise InputError(f"unknown country '{country}'", hint="give an ISO 3166-1 code")
        for what, text in (("channel", channel), ("setting version", setting_version)):
            _text(what, text)
        now_us = self._now_us()
        effective_us = now_us if effective_at is None else microseconds(_utc(effective_at))
        if said is Choice.ON and effective_us > now_us:  # it would undo an `off` said until then
            raise InputError("an on cannot be dated ahead", hint="record it when it is said")
        new = NewChoice.of(
            member_id(member), purpose, said, effective_us=effective_us, recorded_us=now_us,
            country=country, channel=channel, setting_version=setting_version,
        )  # fmt: skip
        receipt = (self.committer or self.ledger).append_choice(new)
        if self.committer is None:  # which seals by itself
            seal(self.ledger, now_us)
        return receipt

    def ingest(self, kind: str, path: Path) -> Ingested:
        """Take a file of members, choices or notices: whole, or not at all."""
        if kind == "choices":
            return ingest_choices(self.ledger, path, self._now_us(), progress=self.progress)
        return ingest_table(self.ledger, kind, path, self._now_us(), progress=self.progress)

    def unknown_purposes(self, path: Path) -> dict[str, int]:
        """Return rows of a choices or notices file by each purpose that no rulebook declares.

        They are kept, since a purpose may be declared later. A slip of the pen would hide an
        `off`, and so whoever ingests is told. What cannot name a purpose is summed under "".
        """
        known = {*self.rules().book.purposes, EVERY_PURPOSE}
        found: dict[str, int] = {}
        with connect() as duck, reading(path):
            table = open_table(duck, path)
            counted = duck.sql(
                f"SELECT {table.text('purpose')} p, count(*) FROM {table.sql} GROUP BY p ORDER BY p"
            ).fetchall()
        for name, rows in counted:
            if name not in known:
                plain = name if isinstance(name, str) and is_purpose_name(name) else ""
                found[plain] = found.get(plain, 0) + rows
        return found

    def erase(self, member: str | int, *, copies: Sequence[Path] = ()) -> Erasure:
        """Erase a member everywhere; see `sayso.erasure.erase`."""
        return erase(
            self.ledger, member_id(member), self._now_us(), copies=copies, progress=self.progress
        )

    def reapply_erasures(self, *, copies: Sequence[Path] = ()) -> Erasure:
        """Erase again whatever came back from a backup; see `sayso.erasure.reapply`."""
        return reapply(self.ledger, self._now_us(), copies=copies, progress=self.progress)

    def due(self) -> Due:
        """Return what was kept for as long as `sayso.toml` says."""
        return what_is_due(self.ledger, self.retention, self._now_us())

    def apply_retention(self) -> Deleted:
        """Delete what was kept for as long as `sayso.toml` says."""
        return apply_retention(self.ledger, self.retention, self._now_us(), self.progress)

    # ---- decisions ----

    def decide(
        self,
        member: str | int,
        record: RecordFacts | None = None,
        *,
        purpose: str = DEFAULT_PURPOSE,
        at: datetime | None = None,
        known: int | None = None,
        members: Path | None = None,
    ) -> Explanation:
        """Return the decision about one member, or one of their records, explained.

        Raises:
            InputError: The rulebook does not declare the purpose.
        """
        return self._explain(member_id(member), None, record, purpose, self._at(at), known, members)

    def explain(
        self,
        member: str | int,
        record_id: str | None = None,
        *,
        content: Path | None = None,
        purpose: str = DEFAULT_PURPOSE,
        at: datetime | None = None,
        known: int | None = None,
        members: Path | None = None,
    ) -> Explanation:
        """Explain a member's part of the decision, or that of one record in `content`.

        Raises:
            InputError: The content has no such record of this member, or the rulebook does not
                declare the purpose.
        """
        who, record = member_id(member), None
        if record_id is not None:
            if content is None:
                raise InputError("a record needs the content it stands in", hint="add --content")
            record = find_record(content, who, record_id)
        return self._explain(who, record_id, record, purpose, self._at(at), known, members)

    def _explain(
        self,
        who: str,
        record_id: str | None,
        record: RecordFacts | None,
        purpose: str,
        at: datetime,
        known: int | None,
        members: Path | None,
    ) -> Explanation:
        size = self.ledger.known(known)
        current = in_force(need_purpose(self.rules(size), purpose).book, purpose, at)
        standing, notices = standing_of_one(
            self.ledger, who, purpose, microseconds(at), size, members
        )
        facts = member_facts(standing, notices, current.jurisdiction(standing.country))
        return Explanation(
            decision=decide(Facts(at, facts, record)),
            member=who,
            record=record_id,
            purpose=purpose,
            jurisdiction=facts.jurisdiction if facts.presence is Presence.KNOWN else None,
            choice=facts.choice,
            at=at,
            known=size,
        )

    def states(
        self,
        *,
        purpose: str = DEFAULT_PURPOSE,
        at: datetime | None = None,
        known: int | None = None,
        members: Path | None = None,
        integer_ids: bool = False,
        content_ids: pa.ChunkedArray | None = None,
    ) -> MemberStates:
        """Return every member's state, ready for `sayso.decision.decide_many`."""
        size = self.ledger.known(known)
        cells = self.cells(purpose, at, size)
        with connect() as duck, reading(members or "the workspace's tables"):
            table = open_table(duck, members) if members else None
            others: tuple[str, ...] = ()
            if content_ids is not None:
                duck.register("content_ids", pa.table({"member_id": content_ids.cast(pa.string())}))
                others = ("content_ids",)
            return fold_states(
                self.ledger, duck, cells, size, members=table, integer_ids=integer_ids,
                others=others,
            )  # fmt: skip

    def decide_many(
        self,
        content: pa.Table | Path | str | duckdb.DuckDBPyRelation,
        *,
        purpose: str = DEFAULT_PURPOSE,
        at: datetime | None = None,
        known: int | None = None,
        members: Path | None = None,
    ) -> Decisions:
        """Return the decision of every record of `content`, in its order.

        Raises:
            InputError: The content cannot be read, or the rulebook does not declare the purpose.
        """
        need_purpose(self.rules(known), purpose)
        table = content_table(content)
        column = table["member_id"] if "member_id" in table.column_names else None
        integer_ids = column is not None and pa.types.is_integer(column.type)
        states = self.states(
            purpose=purpose, at=at, known=known, members=members, integer_ids=integer_ids,
            content_ids=column,
        )  # fmt: skip
        return decide_many(table, states)

    # ---- snapshots ----

    def build(
        self,
        content: Path | str,
        out: Path | str,
        *,
        members: Path | None = None,
        purpose: str = DEFAULT_PURPOSE,
        at: datetime | None = None,
        known: int | None = None,
        engine: str = "duckdb",
    ) -> Built:
        """Build a snapshot; see `sayso.snapshot.build`.

        Args:
            content: Records: a file, or a folder of Parquet.
            out: Folder for the snapshot.
            members: Replaces the ingested table for this call, erasures apart.
            purpose: What the data would be used for.
            at: The instant asked about; None: now.
            known: The size of the ledger to look at; None: all of it.
            engine: What decides: `duckdb`, or `spark` on whatever cluster Spark is set to.
        """
        if engine not in ENGINES:
            raise InputError(f"unknown engine '{engine}'", hint=f"use {' or '.join(ENGINES)}")
        size = self.ledger.known(known)
        request = Request(
            purpose, self._at(at), size, Path(content), members, Path(out), ENGINES[engine]
        )
        rules = self._rules_for(purpose, size)
        return build(self._tools(), rules, request)

    def rebuild(
        self,
        base: Path | str,
        out: Path | str,
        *,
        content: Path | None = None,
        members: Path | None = None,
        at: datetime | None = None,
        known: int | None = None,
    ) -> Built:
        """Build again after changes, taking over what cannot have changed."""
        base = Path(base)
        old = load_manifest(base)
        size = self.ledger.known(known)
        source = content or circumstances(base, "content")
        if source is None:
            raise InputError(
                "the base does not say which content it was made from", hint="add --content"
            )
        if members is None:
            members = circumstances(base, "members")
        request = Request(old.purpose, self._at(at), size, source, members, Path(out))
        rules = self._rules_for(old.purpose, size)
        return rebuild(self._tools(), rules, request, base, self.rules(old.rulebook.entry + 1))

    def _rules_for(self, purpose: str, known: int) -> Rules:
        rules = self.rules(known)
        if rules is NO_RULES:
            raise InputError("no rulebook was published by then", hint="give a larger known")
        return need_purpose(rules, purpose)

    def _tools(self) -> Tools:
        return Tools(self.ledger, self._now_us(), self.trust, self.clock, progress=self.progress)


def member_id(member: str | float) -> str:
    """Return an id as canonical text; 7 equals "7", and 7.0, which a column with gaps makes of it.

    Raises:
        InputError: It is empty, no text that every database holds, or neither text nor a
            whole number.
    """
    if isinstance(member, float) and member.is_integer() and abs(member) < 1 << 53:
        member = int(member)
    if isinstance(member, bool) or not isinstance(member, str | Integral):
        raise InputError("a member id is text or a whole number")
    text = _text("member id", str(member))
    if not text:
        raise InputError("the member id is empty")
    return text


def _utc(moment: datetime) -> datetime:
    """Return an instant as aware UTC; a naive one is UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _text(what: str, text: str | None) -> str:
    """Return text that has UTF-8 bytes and no NUL, which PostgreSQL does not take."""
    value = text or ""
    if "\x00" in value or any("\ud800" <= sign <= "\udfff" for sign in value):
        raise InputError(f"the {what} is no text", hint="give UTF-8 without NUL")
    return value


def _choice(choice: Choice | str) -> Choice:
    try:
        said = Choice(choice)
    except ValueError:
        said = Choice.UNSET
    if said is Choice.UNSET:
        raise InputError(f"unknown choice '{choice}'", hint="use on, off or deferred")
    return said
