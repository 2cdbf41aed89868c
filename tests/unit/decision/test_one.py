from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sayso.decision.one import OLDEST_YEARS, decide, of_age_at
from sayso.model import (
    DEFAULT_PURPOSE,
    REASONS,
    Authorship,
    Category,
    Choice,
    Dated,
    Facts,
    Jurisdiction,
    MemberFacts,
    Mode,
    Notice,
    Presence,
    Reason,
    RecordFacts,
    Rule,
    Status,
    Visibility,
)
from sayso.rulebook.in_force import in_force
from tests.differential.books import make_book, make_hold, make_rule, random_book
from tests.differential.engines import birth_of

AT = datetime(2025, 6, 1, tzinfo=UTC)
US = timedelta(microseconds=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def law_of(*rules: Rule, country: str = "HK", at: datetime = AT) -> Jurisdiction:
    found = in_force(make_book(rules), DEFAULT_PURPOSE, at).jurisdiction(country)
    assert found
    return found


def member(law: Jurisdiction | None, born: date | None = date(1980, 1, 1)) -> MemberFacts:
    return MemberFacts(Presence.KNOWN, law, Status.ACTIVE, born, Choice.UNSET)


def record(**columns: object) -> RecordFacts:
    facts: dict[str, object] = {
        "is_single": True,
        "category": Category.POST,
        "visibility": Visibility.PUBLIC,
        "authorship": Authorship.OWN,
        "context": "",
        "mentions": False,
        "written_at": utc("2024-01-01"),
        "deleted_at": None,
    }
    return RecordFacts(**(facts | columns))  # type: ignore[arg-type]


# ---- coming of age ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("country", "born", "age", "come"),
    [
        # 29 February counts on 1 March where the year has none, and on itself where it has.
        ("HK", "2008-02-29", 18, "2026-02-28T16:00"),
        ("HK", "2008-02-29", 16, "2024-02-28T16:00"),
        ("HK", "2000-02-29", 100, "2100-02-28T16:00"),
        ("HK", "2008-02-28", 18, "2026-02-27T16:00"),
        # The last of the midnights, where a country has several zones.
        ("US", "2007-06-16", 18, "2025-06-16T10:00"),
        ("US", "2007-12-16", 18, "2025-12-16T10:00"),
        ("KI", "2007-06-16", 18, "2025-06-15T12:00"),
        ("BV", "2007-06-16", 18, "2025-06-16T12:00"),
        # A year alone is its last day.
        ("GB", "2007", 18, "2025-12-31T00:00"),
        ("HK", "2007", 18, "2025-12-30T16:00"),
        # A midnight that the clocks skip begins with the skip.
        ("LB", "2007-03-30", 18, "2025-03-29T22:00"),
        ("CU", "2007-03-09", 18, "2025-03-09T05:00"),
        ("HK", "2007-06-16", 0, "2007-06-15T16:00"),
    ],
)
def test_of_age_at(country: str, born: str, age: int, come: str) -> None:
    law = law_of(make_rule(minimum_age=age), country=country)
    assert of_age_at(member(law, birth_of(born)), AT) == utc(come)


@pytest.mark.parametrize("born", [None, "2025-06-02", "1894-12-31", "1001-01-01"])
def test_no_age_is_known(born: str | None) -> None:
    law = law_of(make_rule())
    assert of_age_at(member(law, birth_of(born)), AT) is None
    assert decide(Facts(AT, member(law, birth_of(born)), None)).reasons == (Reason.AGE_UNKNOWN,)


def test_a_birth_has_begun_everywhere_before_it_counts() -> None:
    law = law_of(make_rule(minimum_age=0), country="US")
    born = date(2025, 6, 1)
    assert of_age_at(member(law, born), utc("2025-06-01T09:59:59.999999")) is None
    assert of_age_at(member(law, born), utc("2025-06-01T10:00")) == utc("2025-06-01T10:00")


def test_the_oldest_year_counts() -> None:
    law = law_of(make_rule())
    assert of_age_at(member(law, date(AT.year - OLDEST_YEARS, 1, 1)), AT)
    assert of_age_at(member(law, date(AT.year - OLDEST_YEARS - 1, 12, 31)), AT) is None


def test_no_age_is_asked() -> None:
    law = law_of(make_rule(mode=Mode.NOT_ENABLED, minimum_age=None))
    assert of_age_at(member(law, None), AT) is None
    assert decide(Facts(AT, member(law, None), None)).reasons == (Reason.NOT_ENABLED,)
    assert of_age_at(member(None), AT) is None


def test_the_calendar_ends_before_the_age_is_reached() -> None:
    at = datetime(9995, 1, 1, tzinfo=UTC)
    law = law_of(make_rule(), at=at)
    assert of_age_at(member(law, date(9990, 1, 1)), at) is None


# ---- notices ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("served", "reasons"),
    [
        ([], (Reason.NOT_NOTIFIED,)),
        ([AT - timedelta(days=30)], ()),
        ([AT - timedelta(days=30) + US], (Reason.NOTICE_PERIOD,)),
        ([AT], (Reason.NOTICE_PERIOD,)),
        ([AT + US], (Reason.NOT_NOTIFIED,)),
        ([utc("2025-01-01")], ()),
        ([utc("2025-01-01") - US], (Reason.NOT_NOTIFIED,)),
        ([utc("2025-01-01") - US, AT], (Reason.NOTICE_PERIOD,)),
        ([AT, AT - timedelta(days=40)], ()),
    ],
)
def test_notices(served: list[datetime], reasons: tuple[Reason, ...]) -> None:
    law = law_of(make_rule(notice=Notice(30, Dated(utc("2025-01-01")))))
    told = MemberFacts(
        Presence.KNOWN, law, Status.ACTIVE, date(1980, 1, 1), Choice.UNSET, tuple(served)
    )
    assert decide(Facts(AT, told, record())).reasons == reasons


def test_a_notice_of_no_days_has_to_be_served_all_the_same() -> None:
    law = law_of(make_rule(notice=Notice(0)))
    assert decide(Facts(AT, member(law), None)).reasons == (Reason.NOT_NOTIFIED,)
    told = MemberFacts(Presence.KNOWN, law, Status.ACTIVE, date(1980, 1, 1), Choice.UNSET, (AT,))
    assert decide(Facts(AT, told, None)).allow


# ---- records ----------------------------------------------------------------------------


def test_a_record_is_admitted() -> None:
    decision = decide(Facts(AT, member(law_of(make_rule())), record()))
    assert decision.allow
    assert decision.reasons == ()


@pytest.mark.parametrize(
    ("columns", "reasons"),
    [
        ({"is_single": False}, (Reason.RECORD_UNKNOWN,)),
        ({"category": Category.MESSAGE}, (Reason.CATEGORY_EXCLUDED,)),
        ({"category": None, "visibility": None}, (Reason.CATEGORY_EXCLUDED,)),
        ({"visibility": Visibility.PRIVATE}, (Reason.NOT_VISIBLE_ENOUGH,)),
        ({"authorship": None}, (Reason.NOT_OWN_WORDS,)),
        ({"deleted_at": AT}, (Reason.RECORD_DELETED,)),
        ({"deleted_at": AT + US}, ()),
        ({"written_at": None}, (Reason.WRITTEN_UNKNOWN,)),
        ({"written_at": AT}, ()),
        ({"written_at": AT + US}, (Reason.WRITTEN_UNKNOWN,)),
        ({"written_at": utc("1990-01-01")}, (Reason.WRITTEN_AS_MINOR,)),
        ({"context": None, "mentions": None}, ()),
    ],
)
def test_what_stands_against_a_record(
    columns: dict[str, object], reasons: tuple[Reason, ...]
) -> None:
    law = law_of(make_rule())
    assert decide(Facts(AT, member(law), record(**columns))).reasons == reasons


def test_causes_name_the_rules_and_holds() -> None:
    first = make_rule("world", mode=Mode.OPT_IN, line=3)
    hold = make_hold("world", line=9)
    law = in_force(make_book([first], [hold]), DEFAULT_PURPOSE, AT).jurisdiction("HK")
    off = MemberFacts(Presence.KNOWN, law, Status.ACTIVE, date(2010, 1, 1), Choice.OFF)
    causes = decide(Facts(AT, off, record(category=Category.SALARY))).causes
    assert causes == {
        Reason.ON_HOLD: (hold.place,),
        Reason.UNDER_AGE: (first.place,),
        Reason.CHOSEN_OFF: (),
        Reason.NOT_CHOSEN: (first.place,),
        Reason.CATEGORY_EXCLUDED: (first.place,),
        Reason.WRITTEN_AS_MINOR: (first.place,),
    }


def test_the_strictest_age_is_the_cause() -> None:
    young = make_rule("world", minimum_age=13, line=1)
    strict = make_rule("world", minimum_age=21, line=2)
    law = law_of(young, strict)  # two that tie: a fault of the file, and both apply
    decision = decide(Facts(AT, member(law, date(2005, 1, 1)), None))
    assert decision.causes == {Reason.UNDER_AGE: (strict.place,)}


@pytest.mark.parametrize("presence", [Presence.UNKNOWN, Presence.ERASED])
def test_of_whom_nothing_is_known_no_rule_is_asked(presence: Presence) -> None:
    law = law_of(make_rule(mode=Mode.OPT_IN))
    nobody = MemberFacts(presence, law, None, None, Choice.UNSET)
    why = Reason.MEMBER_UNKNOWN if presence is Presence.UNKNOWN else Reason.MEMBER_ERASED
    assert decide(Facts(AT, nobody, record(category=None))).reasons == (why,)


# ---- any facts --------------------------------------------------------------------------

INSTANTS = st.datetimes(timezones=st.just(UTC))
DATES = st.dates()


@st.composite
def any_facts(draw: st.DrawFn) -> Facts:
    at = draw(INSTANTS)
    book = random_book(draw(st.randoms(use_true_random=True)))
    country = draw(st.sampled_from(["HK", "US", "BV", "KI", None]))
    law = in_force(book, DEFAULT_PURPOSE, at).jurisdiction(country)
    who = MemberFacts(
        draw(st.sampled_from(Presence)),
        law,
        draw(st.sampled_from([*Status, None])),
        draw(st.none() | DATES),
        draw(st.sampled_from(Choice)),
        tuple(draw(st.lists(INSTANTS, max_size=3))),
    )
    what = RecordFacts(
        draw(st.booleans()),
        draw(st.sampled_from([*Category, None])),
        draw(st.sampled_from([*Visibility, None])),
        draw(st.sampled_from([*Authorship, None])),
        draw(st.none() | st.text(max_size=3)),
        draw(st.none() | st.booleans()),
        draw(st.none() | INSTANTS),
        draw(st.none() | INSTANTS),
    )
    return Facts(at, who, draw(st.none() | st.just(what)))


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(any_facts())
def test_decide_is_total(facts: Facts) -> None:
    decision = decide(facts)
    assert list(decision.reasons) == [one for one in REASONS if one in decision.causes]
    assert decision.allow == (not decision.reasons)
    assert decide(facts) == decision
