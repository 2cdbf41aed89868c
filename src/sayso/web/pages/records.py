"""My records: what may be used today and why not, what held it, and what learned from it.

Promises: a member's own records and nobody else's; for each purpose with its own rules and
training sets; what cannot be looked at is said to be unknown and never none. Says what a
forgetting will do and whether it is done.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sayso.decision.explain import SENTENCES
from sayso.decision.one import decide
from sayso.errors import InputError
from sayso.evidence.trace_member import MemberBuild, MemberRun, trace_member
from sayso.facts import OwnRecord, own_records_of
from sayso.model import Category, Choice, Facts, Presence, Withdrawal
from sayso.web.access import Role, allow
from sayso.web.desk import Desk
from sayso.web.limits import Work, dear
from sayso.web.pages import law as laws
from sayso.web.pages import public_words
from sayso.web.pages.public_reading import reading_of
from sayso.web.pages.purposes import FOR, PATH, PageOfSetting, setting_asked
from sayso.web.rendering import render
from sayso.web.request import caller_of, desk_of

PER_PAGE = 25
EXCERPT_LETTERS = 120

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One record; `category` and `reasons` are English."""

    record_id: str
    category: str
    written_at: datetime | None
    excerpt: str = field(repr=False)
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run that learned from a member's shard, or may have.

    Attributes:
        shard: Theirs; empty where it is unknown.
        learned: Whether it learned from them; None where nobody can tell.
        became: What became of it, an English sentence.
        releases: Releases that hold the adapter, each with what became of it in English.
    """

    run: str
    shard: str
    learned: bool | None
    became: str
    releases: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class BuildRow:
    """A training set that holds something of a member's, or may; `records` None is unknown."""

    entry: int
    at: datetime
    records: int | None
    runs: tuple[RunRow, ...]


@dataclass(frozen=True)
class Records(PageOfSetting):
    """What became of a member's records under one purpose.

    Attributes:
        has_content: Whether the service is told where records stand.
        records: Of this page.
        number: Of the page, from 1.
        more: Whether another page follows.
        builds: Training sets that hold something of theirs.
        others: How many training sets hold nothing of theirs.
        can_tell: Whether anybody can tell what held something of theirs.
        forgetting: What a forgetting will do, or has done: English sentences.
    """

    has_content: bool
    records: tuple[RecordRow, ...]
    number: int
    more: bool
    builds: tuple[BuildRow, ...]
    others: int
    can_tell: bool
    forgetting: tuple[str, ...]


@router.get(PATH + "/records")
@router.get(FOR + "/records")
@allow(Role.MEMBER)
@dear(Work.SCAN)
def records(request: Request, page: str = "1") -> Response:
    """Show what became of a member's records."""
    desk, who = desk_of(request), caller_of(request).member_id
    number = int(page) if page.isascii() and page.isdigit() and 0 < len(page) < 7 else 1
    number = max(1, number)
    asked, others = setting_asked(request)
    purpose = asked.purpose.name
    rows = list(_rows(desk, who, purpose, number)) if desk.content else []
    traced = _builds(request, who, purpose)
    built = traced or ()
    told = Records(
        title="My records",
        setting=asked,
        elsewhere=others,
        has_content=desk.content is not None,
        records=tuple(rows[:PER_PAGE]),
        number=number,
        more=len(rows) > PER_PAGE,
        builds=tuple(_build(one) for one in built if one.is_touched),
        others=sum(not one.is_touched for one in built),
        can_tell=traced is not None,
        forgetting=tuple(_forgetting(desk, who, purpose, built)) if traced is not None else (),
    )
    return render(request, "records.html", told)


def _rows(desk: Desk, who: str, purpose: str, number: int) -> Iterator[RecordRow]:
    assert desk.content is not None  # noqa: S101  the caller looked
    found = own_records_of(desk.content, who, limit=PER_PAGE + 1, after=(number - 1) * PER_PAGE)
    at, facts = desk.workspace.clock(), desk.member_facts(who, purpose)
    for one in found:
        decision = decide(Facts(at, facts, one.facts))
        yield RecordRow(
            one.record_id,
            laws.CATEGORIES[Category(one.category)] if one.category in set(Category) else "Other",
            one.written_at,
            _excerpt(one),
            tuple(SENTENCES[reason] for reason in decision.reasons),
        )


def _excerpt(one: OwnRecord) -> str:
    words = " ".join(one.text.split())
    return words if len(words) <= EXCERPT_LETTERS else f"{words[:EXCERPT_LETTERS]} …"


def _builds(request: Request, who: str, purpose: str) -> tuple[MemberBuild, ...] | None:
    """Return every training set for a purpose; None where nobody can tell any more."""
    desk = desk_of(request)
    if desk.member_facts(who, purpose).presence is Presence.ERASED:
        return None
    workspace = desk.workspace
    try:
        # As they were read for everybody: their manifests and signatures are the dear part.
        folders = reading_of(request).folders
        traced = trace_member(workspace.ledger, workspace.trust, folders, who).snapshots
    except InputError:  # they never stood in the ledger, and so in no training set
        return ()
    return tuple(one for one in traced if one.build.purpose == purpose)


def _build(one: MemberBuild) -> BuildRow:
    return BuildRow(
        one.build.entry, one.build.at, one.records, tuple(_run(run) for run in one.runs)
    )


def _run(run: MemberRun) -> RunRow:
    if run.forgotten:
        became = "It was forgotten: another run took its place and learned without you."
    elif run.dropped:
        became = "The part that held it was dropped; it is not learned again yet."
    else:
        became = "The part that held it stands."
    return RunRow(
        run.run[:16], run.shard or "", run.learned, became,
        # A release may be made again after a hold and its lift, byte for byte: one row.
        tuple(
            (release[:16], public_words.DISPOSITIONS.get(became, "unknown"))
            for release, became in {one.release: one.disposition for one in run.releases}.items()
        ),
    )  # fmt: skip


def _forgetting(
    desk: Desk, who: str, purpose: str, built: tuple[MemberBuild, ...]
) -> Iterator[str]:
    """Say what an off would do to models, or what is still to be done after one."""
    learned = [run for one in built for run in one.runs if run.learned is not False]
    if not learned:
        yield "No model of ours learned from your records, so there is nothing to forget."
        return
    found = desk.explain(who, purpose)
    asked = laws.withdrawal_of(found.jurisdiction)
    waiting = [run for run in learned if not run.forgotten]
    if not waiting:
        yield "Every model that learned from your records has forgotten them."
    elif found.choice is not Choice.OFF:
        yield "This is what choosing off would do:"
        yield laws.OFF_DOES[asked]
    elif asked is Withdrawal.FORGET:
        yield "Off stands, and the rule asks that models forget. It is not done yet."
        yield (
            "The part that held your records leaves the release at the next forgetting and is "
            "trained again without you. This page says when it is done."
        )
    else:
        yield (
            "Off stands. The rule promises later training sets alone, so models that learned "
            "before keep what they learned. An officer may grant more: object, and ask for it."
        )
    yield "No forgetting reaches the model underneath, or copies that others hold."
