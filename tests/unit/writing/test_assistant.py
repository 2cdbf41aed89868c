"""From a wish to texts: the same for everybody, kept until it is deleted."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sayso.errors import InputError, RefusedError, UnavailableError
from sayso.ledger.kept import kept_of
from sayso.model import DEFAULT_PURPOSE, Dated, Position
from sayso.workspace import Workspace
from sayso.writing import (
    ASSISTANCE,
    Asked,
    Exchange,
    Provider,
    Recipient,
    Sampling,
    ask_bio,
    ask_post,
    parse_exchange,
    records_of,
    stream,
)
from tests.unit.writing.lab import OURS, Echo, make_workspace, write_profiles

LONG_AGO = Dated(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    made = make_workspace(tmp_path)
    yield made
    made.close()


def texts(
    workspace: Workspace, provider: Provider, asked: Asked, count: int = 1, kept_id: str = "k"
) -> list[str]:
    found: dict[int, str] = {}
    for piece in stream(
        workspace, provider, asked, Sampling(seed=5), alternatives=count, kept_id=kept_id
    ):
        found[piece.number] = found.get(piece.number, "") + piece.text
    return list(found.values())


def exchanges(workspace: Workspace, who: str) -> list[Exchange]:
    return [parse_exchange(one.raw) for one in kept_of(workspace.ledger, who)]


def test_a_post_and_its_alternatives_are_kept(workspace: Workspace) -> None:
    echo = Echo(OURS)

    found = texts(workspace, echo, ask_post(workspace, "m1", "a quiet week"), count=3)

    assert found == ["5:aquietweek", "6:aquietweek", "7:aquietweek"]
    assert [drawn.seed for _, drawn in echo.got] == [5, 6, 7]
    assert exchanges(workspace, "m1") == [
        Exchange("post", "a quiet week", (), tuple(found), "echo", "LinkedIn")
    ]
    assert exchanges(workspace, "m2") == []


def test_a_biography_keeps_where_it_came_from_and_not_its_words(
    workspace: Workspace, tmp_path: Path
) -> None:
    echo = Echo()

    texts(workspace, echo, ask_bio(workspace, "m1", write_profiles(tmp_path)))

    assert echo.got[0][0].material == "Plans long projects in logistics."
    (kept,) = exchanges(workspace, "m1")
    assert (kept.asked, kept.made_from, kept.recipient) == ("", ("p1",), "")


def test_on_off_unset_and_a_hold_on_training_change_nothing(
    workspace: Workspace, tmp_path: Path
) -> None:
    content = write_profiles(tmp_path)

    def everything() -> list[object]:
        found: list[object] = []
        for ask in (ask_post(workspace, "m1", "it"), ask_bio(workspace, "m1", content)):
            echo = Echo()
            kept_id = f"k{len(kept_of(workspace.ledger, 'm1'))}"
            found += [texts(workspace, echo, ask, 1, kept_id), echo.got]
        return found

    unset = everything()
    workspace.choose("m1", "on")
    assert everything() == unset
    workspace.choose("m1", "off")
    assert everything() == unset
    workspace.choose("m1", "off", purpose="*")
    workspace.place_hold("HK", begins=LONG_AGO, placed_by="x")
    assert everything() == unset


def test_an_unlisted_recipient_gets_nothing(workspace: Workspace) -> None:
    echo = Echo(Recipient("Somebody", "https://example.org"))

    with pytest.raises(RefusedError, match="'Somebody' is no recipient"):
        texts(workspace, echo, ask_post(workspace, "m1", "it"))
    assert (echo.got, exchanges(workspace, "m1")) == ([], [])


def test_a_hold_on_assistance_ends_a_text_and_what_was_finished_is_kept(
    workspace: Workspace,
) -> None:
    pieces = stream(
        workspace, Echo(), ask_post(workspace, "m1", "a b c"), Sampling(seed=1),
        alternatives=3, kept_id="k",
    )  # fmt: skip
    met = next(piece for piece in pieces if piece.number == 2)
    workspace.place_hold("HK", begins=LONG_AGO, placed_by="x", purposes=(ASSISTANCE,))

    with pytest.raises(RefusedError, match="stands over assistance"):
        next(pieces)
    assert met.text == "2:"
    assert [one.written for one in exchanges(workspace, "m1")] == [("1:abc",)]
    lifted = Dated(datetime(2026, 1, 2, tzinfo=UTC))
    workspace.lift_hold("hk-2026-01-01", lifted=lifted, source=None, position=Position.NONE)
    assert ask_post(workspace, "m1", "it")


def test_what_ends_early_is_kept_as_far_as_it_came(workspace: Workspace) -> None:
    class Failing(Echo):
        def stream(self, prompt: object, sampling: Sampling) -> Iterator[str]:
            yield "half"
            raise UnavailableError("the endpoint broke off")

    with pytest.raises(UnavailableError):
        texts(workspace, Failing(), ask_post(workspace, "m1", "said"))
    abandoned = stream(
        workspace, Echo(), ask_post(workspace, "m1", "left"), Sampling(seed=1),
        alternatives=1, kept_id="l",
    )  # fmt: skip
    next(abandoned)
    abandoned.close()  # type: ignore[attr-defined]  # a generator, told as an iterator

    assert [(one.asked, one.written) for one in exchanges(workspace, "m1")] == [
        ("said", ()), ("left", ()),
    ]  # fmt: skip


def test_of_a_member_erased_meanwhile_nothing_is_kept(workspace: Workspace) -> None:
    pieces = stream(
        workspace, Echo(), ask_post(workspace, "m1", "a b"), Sampling(seed=1),
        alternatives=1, kept_id="k",
    )  # fmt: skip
    next(pieces)
    workspace.erase("m1")

    with pytest.raises(RefusedError, match="erased"):
        next(pieces)
    assert kept_of(workspace.ledger, "m1") == []


def test_who_has_no_profile_or_is_not_there_is_told(workspace: Workspace, tmp_path: Path) -> None:
    content = write_profiles(tmp_path)
    with pytest.raises(InputError, match="no profile"):
        ask_bio(workspace, "m3", content)
    with pytest.raises(InputError, match="no such member"):
        ask_bio(workspace, "m9", content)


def test_records_of_what_is_kept(workspace: Workspace, tmp_path: Path) -> None:
    texts(workspace, Echo(), ask_post(workspace, "m1", "it"), 2, "k1")
    texts(workspace, Echo(), ask_bio(workspace, "m1", write_profiles(tmp_path)), 1, "k2")

    made = [one for kept in kept_of(workspace.ledger, "m1") for one in records_of("m1", kept)]

    assert [(one.record_id, one.authorship, one.text) for one in made] == [
        ("assistant-k1-asked", "own", "it"),
        ("assistant-k1-1", "generated", "5:it"),
        ("assistant-k1-2", "generated", "6:it"),
        ("assistant-k2-1", "generated", "5:Planslongprojectsinlogistics."),
    ]
    assert {(one.category, one.visibility, one.member_id) for one in made} == {
        ("prompt", "platform", "m1")
    }
    assert DEFAULT_PURPOSE != ASSISTANCE
