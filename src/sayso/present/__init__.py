"""The present: decisions about now, for a process that answers many of them.

Promises: the answers of `Workspace.decide` and `Workspace.decide_many`; never older than an
entry that was acknowledged, by whichever process, before the question was asked; safe for
many threads. Holds no policy, and answers about no other instant.

Each question reads the ledger once, by keys: its size, which files and rules count, and the
member's own choices in the head. What stands in files is held in memory, sorted by member,
for as long as the same files count. Everybody's states are folded when first asked for, kept
until the next instant at which one can change by itself, and mended where only some members
chose meanwhile.

What is held of a member who was erased is not asked any more, and goes from memory once the
files that took the place of the old ones were read.

Example:
    >>> present = Present(workspace)                       # doctest: +SKIP
    >>> present.decide("7").decision.allow                 # doctest: +SKIP
    False
"""

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa

from sayso.decision.explain import Explanation
from sayso.decision.many import Decisions, decide_many
from sayso.decision.one import decide
from sayso.decision.states import MemberStates, microseconds
from sayso.errors import SaysoError
from sayso.facts import instant_of, member_facts
from sayso.ledger import schema
from sayso.ledger.asking import Asking, Look, Sight, chosen_since, head_choices_of, sight_of
from sayso.ledger.held import Files, Stamp, load_files
from sayso.ledger.lookup import choice_entries, member_rows, served_us
from sayso.ledger.standing import standing_of
from sayso.model import (
    DEFAULT_PURPOSE,
    EVERY_PURPOSE,
    Facts,
    MemberFacts,
    Presence,
    Reason,
    RecordFacts,
    mask_of,
)
from sayso.present.folded import Folded, Person, fold_everybody, mend
from sayso.publishing import need_purpose, published
from sayso.rulebook.moments import Jurisdictions
from sayso.snapshot.request import Rules
from sayso.tables import need_each_once
from sayso.workspace import Workspace, member_id

# More members than this are quicker folded with everybody than mended one by one.
MEND_MEMBERS = 2_000
LOCKS = 8


@dataclass(frozen=True)
class _Rules:
    """The published rulebook, and what of it is in force by purpose."""

    entry: int | None
    published: Rules
    laws: dict[str, Jurisdictions] = field(default_factory=dict)

    def of(self, purpose: str) -> Jurisdictions:
        """Return what is in force for a purpose.

        Raises:
            InputError: The rulebook does not declare it.
        """
        found = self.laws.get(purpose)
        if found is None:
            found = Jurisdictions(need_purpose(self.published, purpose).book, purpose)
            if self.declares(purpose):
                self.laws[purpose] = found
        return found

    def declares(self, purpose: str) -> bool:
        """Whether the rulebook knows the purpose; any other name is not worth remembering."""
        return purpose in self.published.book.purposes


@dataclass(frozen=True, slots=True)
class _Everybody:
    """A fold, and what of the ledger it was made from."""

    sight: Sight
    folded: Folded


@dataclass(frozen=True, slots=True)
class Decided:
    """Decisions, and the instant and the size of the ledger that they are about."""

    decisions: Decisions
    at: datetime
    known: int


class Present:
    """Answers about now. Make it in the process that uses it, after any fork, and close it."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._ledger = workspace.ledger
        self._asking = Asking(workspace.ledger)
        self._files: Files | None = None
        self._rules: _Rules | None = None
        self._loading = threading.Lock()
        self._renewing: threading.Thread | None = None
        self._folds: dict[str, _Everybody] = {}
        # Bounded, whatever purposes are asked for; two that share one wait for each other.
        self._folding = tuple(threading.Lock() for _ in range(LOCKS))
        self._tags: tuple[int, frozenset[bytes]] = (0, frozenset())

    def close(self) -> None:
        """Give the connections back."""
        if (renewing := self._renewing) is not None:
            renewing.join()
        self._asking.close()

    # ---- one ----

    def decide(
        self,
        member: str | int,
        record: RecordFacts | None = None,
        *,
        purpose: str = DEFAULT_PURPOSE,
        record_id: str | None = None,
    ) -> Explanation:
        """Return the decision about one member, or one of their records, explained.

        Args:
            member: The id.
            record: What is known of the record; None: the member's part.
            purpose: What the data would be used for.
            record_id: The record's id, which the explanation names.

        Raises:
            InputError: The id is none, or the rulebook does not declare the purpose.
            UnavailableError: The database did not answer.
        """
        who, at = member_id(member), self._workspace.clock()
        look, files, rules = self._look(who)
        person = _person(look, files, rules.of(purpose), who, at)
        law = person.facts.jurisdiction
        return Explanation(
            decision=decide(Facts(at, person.facts, record)),
            member=who,
            record=record_id,
            purpose=purpose,
            jurisdiction=law if person.facts.presence is Presence.KNOWN else None,
            choice=person.facts.choice,
            at=at,
            known=look.size,
        )

    def facts(self, member: str | int, *, purpose: str = DEFAULT_PURPOSE) -> MemberFacts:
        """Return the facts about a member that a decision depends on.

        Raises:
            InputError: The id is none.
            UnavailableError: The database did not answer.
        """
        who, at = member_id(member), self._workspace.clock()
        look, files, rules = self._look(who)
        return _person(look, files, rules.of(purpose), who, at).facts

    def _look(self, who: str) -> tuple[Look, Files, _Rules]:
        """Look at the ledger, with the files and rules that count by the same look."""
        while True:
            look = self._asking.look(who)
            files, rules = self._held(look.stamp, look.rewritten, look.size)
            if files.stamp == look.stamp and rules.entry == look.stamp.rulebook:
                return look, files, rules

    def _held(self, stamp: Stamp, rewritten: int, size: int) -> tuple[Files, _Rules]:
        """Return the files and rules that are held, after others were loaded if they count."""
        files, rules = self._files, self._rules
        if files is None or rules is None or files.stamp != stamp:
            with self._loading:
                files, rules = self._files, self._rules
                if rules is None or rules.entry != stamp.rulebook:
                    rules = self._rules = self._load_rules(stamp, size)
                if files is None or files.stamp != stamp:
                    files = self._files = load_files(self._ledger, files)
        elif files.rewritten != rewritten:
            self._renew()
        return files, rules

    def _load_rules(self, stamp: Stamp, size: int) -> _Rules:
        entry = stamp.rulebook
        known = size if entry is None else entry + 1
        return _Rules(entry, published(self._ledger, known))

    def _renew(self) -> None:
        """Read again, in a thread of its own, what an erasure or retention replaced."""
        if not self._loading.acquire(blocking=False):
            return
        try:
            if self._renewing is None or not self._renewing.is_alive():
                self._renewing = threading.Thread(target=self._load_anew, daemon=True)
                self._renewing.start()
        finally:
            self._loading.release()

    def _load_anew(self) -> None:
        # Where it fails, the next question begins it again.
        with self._loading, suppress(SaysoError):
            self._files = load_files(self._ledger, self._files, anew=True)

    # ---- many ----

    def decide_many(self, content: pa.Table, *, purpose: str = DEFAULT_PURPOSE) -> Decisions:
        """Return the decision of every record of `content`, in its order.

        Raises:
            InputError: The content cannot be read, has no record_id, or the rulebook does not
                declare the purpose.
            UnavailableError: The database did not answer.
        """
        return self.decided(content, purpose=purpose).decisions

    def decided(self, content: pa.Table, *, purpose: str = DEFAULT_PURPOSE) -> Decided:
        """Return the same, with the instant and the size that it is about."""
        need_each_once(content.column_names, "content")
        column = content["member_id"] if "member_id" in content.column_names else None
        integer_ids = column is not None and pa.types.is_integer(column.type)
        everybody, at = self._everybody(purpose)
        states = everybody.folded.states_at(at, integer_ids=integer_ids)
        decisions = decide_many(content, states)
        known = everybody.folded.known
        if column is None or not everybody.sight.erased:
            return Decided(decisions, at, known)
        # Of the erased no row is left: their ids alone tell, and only who has no row may be one.
        unknown = (decisions.masks & mask_of([Reason.MEMBER_UNKNOWN])) != 0
        ids = pc.unique(column.filter(pa.array(unknown))).drop_null().cast(pa.string()).to_pylist()
        if not (erased := self._erased_among(ids, everybody.sight.erased)):
            return Decided(decisions, at, known)
        folded = mend(everybody.folded, erased, at, everybody.folded.known)
        with self._folding[hash(purpose) % LOCKS]:
            if self._folds.get(purpose) is everybody:
                self._folds[purpose] = _Everybody(everybody.sight, folded)
        decisions = decide_many(content, folded.states_at(at, integer_ids=integer_ids))
        return Decided(decisions, at, known)

    def states(self, *, purpose: str = DEFAULT_PURPOSE, integer_ids: bool = False) -> MemberStates:
        """Return everybody's states now, as `Workspace.states` does."""
        everybody, at = self._everybody(purpose)
        return everybody.folded.states_at(at, integer_ids=integer_ids)

    def _everybody(self, purpose: str) -> tuple[_Everybody, datetime]:
        """Return everybody's states and the instant, both of now."""
        with self._folding[hash(purpose) % LOCKS]:
            while True:
                at = self._workspace.clock()
                sight = self._asking.sight()
                files, rules = self._held(sight.stamp, sight.rewritten, sight.size)
                if files.stamp != sight.stamp or rules.entry != sight.stamp.rulebook:
                    continue
                laws, found = rules.of(purpose), self._folds.get(purpose)
                if found is not None and found.sight.basis == sight.basis:
                    if found.folded.since <= at < found.folded.until:
                        found = self._mended(found, sight, files, laws, at)
                    else:
                        found = None
                else:
                    found = None
                if found is None:
                    book = rules.published.book
                    folded = fold_everybody(self._ledger, book, purpose, at, sight.size)
                    found = _Everybody(sight, folded)
                if rules.declares(purpose):
                    self._folds[purpose] = found
                return found, at

    def _mended(
        self, found: _Everybody, sight: Sight, files: Files, laws: Jurisdictions, at: datetime
    ) -> _Everybody | None:
        """Return the states with what some members chose since; None where all must be folded."""
        known = found.folded.known
        if sight.size == known:
            return found
        with self._ledger.reading() as con:
            ids, sealed = chosen_since(con, known)
            for start, name in sealed:
                ids |= _chosen_in(self._ledger.folder / "segments" / name, start)
            if len(ids) > MEND_MEMBERS:
                return None
            choices = head_choices_of(con, sorted(ids))
            now = sight_of(con)
        if (now.basis, now.stamp) != (sight.basis, sight.stamp):
            return None
        people = [
            _person(Look(now.size, now.rewritten, now.stamp, False, rows), files, laws, who, at)
            for who, rows in choices.items()
        ]
        return _Everybody(now, mend(found.folded, people, at, now.size))

    def _erased_among(self, ids: list[str], count: int) -> list[Person]:
        held, tags = self._tags
        if held != count:
            with self._ledger.reading() as con:
                rows = con.execute(sa.select(schema.erased.c.tag)).scalars().all()
            tags = frozenset(bytes(tag) for tag in rows)
            self._tags = (len(tags), tags)
        gone = standing_of((), (), 0, erased=True)
        return [
            Person(who, gone, member_facts(gone, (), None))
            for who in ids
            if self._ledger.keys.tag_of(who) in tags
        ]


def _chosen_in(path: Path, start: int) -> set[str]:
    """Return who chose at or after an ordinal of a segment."""
    table = pq.read_table(path, columns=["ordinal", "member_id"])
    later = table.filter(pc.greater_equal(table["ordinal"], start))["member_id"]
    return set(later.drop_null().to_pylist())


def _person(look: Look, files: Files, laws: Jurisdictions, who: str, at: datetime) -> Person:
    """Return what is held of one member, folded by the definition."""
    at_us = microseconds(at)
    if look.is_erased:
        gone = standing_of((), (), at_us, erased=True)
        return Person(who, gone, member_facts(gone, (), None))
    rows = member_rows(files.members.rows if files.members else None, who)
    entries = choice_entries(
        [*look.choices, *files.choices_of(who)], frozenset({laws.purpose, EVERY_PURPOSE})
    )
    standing = standing_of(rows, entries, at_us)
    served = served_us(files.notices.rows if files.notices else None, who, laws.purpose, at_us)
    law = laws.at(standing.country, at)
    facts = member_facts(standing, tuple(map(instant_of, served)), law)
    later = tuple(instant_of(one.effective_us) for one in entries if one.effective_us > at_us)
    return Person(who, standing, facts, later)
