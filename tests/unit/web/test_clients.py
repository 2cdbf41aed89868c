"""Service clients: a title is one line of words, and a client may do something."""

import pytest

from sayso.errors import InputError
from sayso.web.access import Scope
from sayso.web.clients import TITLE_LETTERS, read_scopes
from tests.unit.web.asking import Service

ONE = frozenset({Scope.HOLDS_READ})


@pytest.mark.parametrize(
    "title",
    [
        "", "   ", "x" * (TITLE_LETTERS + 1), "x" * 5000, "a\nb", "a\r", "a\tb", "\x1b[2Ka",
        "a\x00", "a\u2028b", "a\u202eb", "\x9b2Ka", "\ud800",
    ],
)  # fmt: skip
def test_a_title_that_could_forge_a_line_is_refused(service: Service, title: str) -> None:
    with pytest.raises(InputError, match="one line of words") as told:
        service.desk.clients.add(title, ONE, 1)

    assert "1 to 100 printable characters" in told.value.hint
    assert service.desk.clients.all() == []


@pytest.mark.parametrize(
    "title", ["x", "x" * TITLE_LETTERS, "Builder of training sets", "訓練資料 é"]
)
def test_a_title_of_words_is_kept(service: Service, title: str) -> None:
    service.desk.clients.add(title, ONE, 1)

    assert [one.title for one in service.desk.clients.all()] == [title]


def test_a_client_without_a_scope_is_none(service: Service) -> None:
    with pytest.raises(InputError, match="no scope is named"):
        service.desk.clients.add("a job", (), 1)
    assert service.desk.clients.all() == []


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_scopes_that_name_nothing_are_none(text: str) -> None:
    with pytest.raises(InputError, match="no scope is named"):
        read_scopes(text)


def test_a_token_for_nothing_is_none(service: Service) -> None:
    who, secret = service.desk.clients.add("a job", ONE, 1)

    answer = service.client.post(
        "/oauth2/token", data={"grant_type": "client_credentials", "scope": " ",
                               "client_id": who, "client_secret": secret},
    )  # fmt: skip

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")
