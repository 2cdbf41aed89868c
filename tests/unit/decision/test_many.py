from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sayso.decision import many
from sayso.decision.cells import Cells, tabulate
from sayso.decision.many import Decisions, decide_many
from sayso.decision.states import STANDING_SCHEMA, MemberStates, classify_members
from sayso.model import DEFAULT_PURPOSE, Mode, Others, Presence, Reason, mask_of
from sayso.rulebook.in_force import in_force
from tests.differential.books import make_book, make_rule

AT = datetime(2025, 6, 1, tzinfo=UTC)


def states_of(cells: Cells, ids: list[str], *, integer_ids: bool, **facts: Any) -> MemberStates:
    row = {
        "presence": Presence.KNOWN.value, "country": "HK", "born": date(1980, 1, 1),
        "status": "active", "choice": "unset", "notice": 0,
    }  # fmt: skip
    table = pa.Table.from_pylist(
        [{"member_id": one, **row, **facts} for one in ids], schema=STANDING_SCHEMA
    )
    return classify_members(cells, table, integer_ids=integer_ids)


@pytest.fixture(scope="module")
def cells() -> Cells:
    rule = make_rule("world", excluded_contexts=frozenset({"clinic"}), others=Others.REFUSE)
    stopped = make_rule("GB", mode=Mode.NOT_ENABLED, minimum_age=None)
    return tabulate(in_force(make_book([rule, stopped]), DEFAULT_PURPOSE, AT))


def content(ids: Any, **columns: Any) -> pa.Table:
    length = len(ids)
    written = [datetime(2024, 1, 1, tzinfo=UTC)] * length
    whole = {
        "record_id": pa.array(np.arange(length)),
        "member_id": ids,
        "category": pa.array(["post"] * length, pa.string()),
        "visibility": pa.array(["public"] * length, pa.string()),
        "authorship": pa.array(["own"] * length, pa.string()),
        "context": pa.array([""] * length, pa.string()),
        "mentions": pa.array([[]] * length, pa.list_(pa.string())),
        "written_at": pa.array(written, pa.timestamp("us", "UTC")),
    }
    return pa.table(whole | columns)


def test_decisions() -> None:
    masks = [0, mask_of([Reason.CHOSEN_OFF]), mask_of([Reason.NO_RULE, Reason.CHOSEN_OFF]), 0]
    decisions = Decisions(np.array(masks, np.uint32))
    assert len(decisions) == 4
    assert decisions.allow.tolist() == [True, False, False, True]
    assert decisions.reasons(2) == (Reason.NO_RULE, Reason.CHOSEN_OFF)
    assert decisions.refused() == {"NO_RULE": 1, "CHOSEN_OFF": 1}
    assert decisions.counts() == {"NO_RULE": 1, "CHOSEN_OFF": 2}
    assert decisions.to_arrow().to_pylist() == [
        {"allow": True, "reasons": []},
        {"allow": False, "reasons": ["CHOSEN_OFF"]},
        {"allow": False, "reasons": ["NO_RULE", "CHOSEN_OFF"]},
        {"allow": True, "reasons": []},
    ]


def test_no_records(cells: Cells) -> None:
    for integer_ids in (True, False):
        states = states_of(cells, ["1"], integer_ids=integer_ids)
        ids = pa.array([], pa.int64() if integer_ids else pa.string())
        assert len(decide_many(content(ids), states)) == 0


@pytest.mark.parametrize("integer_ids", [True, False])
def test_members_are_found_by_id(cells: Cells, *, integer_ids: bool) -> None:
    states = states_of(cells, ["7", "0", "-3"], integer_ids=integer_ids)
    asked: list[int | None] = [7, 0, -3, 3, None, 70]
    texts = pa.array([None if one is None else str(one) for one in asked])
    ids = pa.array(asked, pa.int64()) if integer_ids else texts
    found = [decide_many(content(ids), states).reasons(row) for row in range(len(asked))]
    assert found == [(), (), (), *[(Reason.MEMBER_UNKNOWN,)] * 3]
    # The other kind of id means the same.
    other = texts if integer_ids else pa.array(asked, pa.int64())
    assert decide_many(content(other), states).masks.tolist() == [mask_of(one) for one in found]


def test_texts_whose_hashes_meet(cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash alone proves nothing: with one hash for all, the join answers."""
    states = states_of(cells, ["a", "b"], integer_ids=False)
    monkeypatch.setattr(
        many, "_hash_batches", lambda _con, texts: iter([np.zeros(len(texts), np.int64)])
    )
    found = decide_many(content(pa.array(["b", "x", None, "a"])), states)
    assert found.allow.tolist() == [True, False, False, True]
    alone = states_of(cells, ["a"], integer_ids=False)
    assert decide_many(content(pa.array(["b", "x", None, "a"])), alone).allow.tolist() == [
        False, False, False, True,
    ]  # fmt: skip


def test_many_chunks_and_batches(cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "BATCH_ROWS", 3)
    states = states_of(cells, ["1"], integer_ids=True)
    parts = [content(pa.array([1, None, 2][:length], pa.int64())) for length in (3, 0, 2, 1)]
    whole = pa.concat_tables(parts)
    whole = whole.set_column(0, "record_id", pa.array(np.arange(whole.num_rows)))
    assert decide_many(whole, states).allow.tolist() == [True, False, False, True, False, True]


# ---- odd columns ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["clinic", None, "", "elsewhere"]),
        pa.array(["clinic", None, "", "elsewhere"]).dictionary_encode(),
        pytest.param(
            pa.array(["clinic", None, "", "elsewhere"]).dictionary_encode(null_encoding="encode")
        ),
    ],
)
def test_contexts(cells: Cells, column: pa.Array) -> None:
    states = states_of(cells, ["1"], integer_ids=True)
    found = decide_many(content(pa.array([1] * 4), context=column), states)
    assert found.allow.tolist() == [False, False, True, True]
    assert found.reasons(1) == (Reason.CONTEXT_EXCLUDED,)


def test_more_contexts_than_a_byte_holds() -> None:
    rule = make_rule(excluded_contexts=frozenset(f"context {place}" for place in range(300)))
    cells = tabulate(in_force(make_book([rule]), DEFAULT_PURPOSE, AT))
    states = states_of(cells, ["1"], integer_ids=True)
    column = pa.array(["context 299", "elsewhere", None])
    found = decide_many(content(pa.array([1] * 3), context=column), states)
    assert found.allow.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("country", "born"),
    [
        ("HK", date(1980, 1, 1)),
        ("HK", None),
        ("GB", None),
        (None, None),
    ],
)
def test_times_long_before_the_calendar(
    cells: Cells, country: str | None, born: date | None
) -> None:
    """A writing time before the calendar is unknown, in a table as in a file."""
    states = states_of(cells, ["1"], integer_ids=True, country=country, born=born)
    first = -62135596800000000
    times = pa.array([first, -(1 << 60), -(1 << 62), -(1 << 63) + 1], pa.timestamp("us"))
    found = decide_many(content(pa.array([1] * 4), written_at=times), states)
    known, *others = (set(found.reasons(row)) for row in range(4))
    assert Reason.WRITTEN_UNKNOWN not in known
    assert others == [known - {Reason.WRITTEN_AS_MINOR} | {Reason.WRITTEN_UNKNOWN}] * 3
