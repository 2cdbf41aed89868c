"""What a choice is called: the whole table, and what is never called a consent."""

import itertools
import re

import pytest

from sayso.attest import naming
from sayso.attest.naming import (
    CHOICES,
    CONSENT_ACTS,
    NAMES,
    STATES,
    Basis,
    basis_of,
    name_choice,
    state_of,
)
from sayso.model import EVERY_PURPOSE, Choice

PURPOSE = "content-generation-training"
BEFORE = (None, *CHOICES)
C, L, O = Basis.CONSENT, Basis.LEGITIMATE_INTEREST, Basis.OTHER  # noqa: E741


def test_the_choices_are_those_of_the_model() -> None:
    assert set(CHOICES) == set(Choice)
    assert naming.EVERY_PURPOSE == EVERY_PURPOSE
    assert all(set(names) == set(CHOICES) for names in NAMES.values())
    assert set(NAMES) == set(Basis)


@pytest.mark.parametrize(
    ("choice", "basis", "name", "state"),
    [
        ("on", C, "consent", "dpv:ConsentGiven"),
        ("on", L, "no objection", "dpv:LegitimateInterestNotObjected"),
        ("on", O, "opt-in", "dpv:OptingInToProcess"),
        ("off", C, "withdrawal of consent", "dpv:ConsentWithdrawn"),
        ("off", L, "objection", "dpv:LegitimateInterestObjected"),
        ("off", O, "opt-out", "dpv:OptingOutFromProcess"),
        ("deferred", C, "no consent", "dpv:ConsentRequestDeferred"),
        ("deferred", L, "no objection", "dpv:LegitimateInterestNotObjected"),
        ("deferred", O, "no choice", None),
        ("unset", C, "no consent", "dpv:ConsentUnknown"),
        ("unset", L, "no objection", "dpv:LegitimateInterestNotObjected"),
        ("unset", O, "no choice", None),
    ],
)
def test_the_table(choice: str, basis: Basis, name: str, state: str | None) -> None:
    for before in BEFORE:
        refused = (choice, basis) == ("off", C) and before not in (None, "on")
        expected = "refusal of consent" if refused else name
        assert name_choice(choice, PURPOSE, basis, before) == expected
    assert state_of(name, choice) == state
    assert state_of("refusal of consent", "off") == "dpv:ConsentRefused"


def test_off_for_every_purpose_is_a_standing_objection() -> None:
    for basis, before in itertools.product(Basis, BEFORE):
        assert name_choice("off", "*", basis, before) == "standing objection"
    assert state_of("standing objection", "off") == "dpv:ObjectingToProcess"


def test_only_an_on_where_consent_is_claimed_is_a_consent() -> None:
    for choice, purpose, basis, before in itertools.product(CHOICES, (PURPOSE, "*"), Basis, BEFORE):
        name = name_choice(choice, purpose, basis, before)
        assert name in STATES
        assert (name == "consent") == (choice == "on" and basis is C)
        assert (state_of(name, choice) == "dpv:ConsentGiven") == (name == "consent")
        assert name not in {*CONSENT_ACTS, "no consent"} or basis is C
        assert name not in CONSENT_ACTS or choice in ("on", "off")


@pytest.mark.parametrize(
    ("claims", "basis"),
    [
        ([], O), ([None], O), ([""], O), (["contract"], O), (["consent"], C), (["Consent"], C),
        (["explicit consent"], C), (["consent (not needed)"], O), (["consent."], O),
        ([" legitimate  interest "], L), (["legitimate interests"], L),
        (["consent", "consent"], C),
        (["consent", "explicit consent"], C), (["consent", None], O), (["consent", ""], O),
        (["consent", "legitimate interest"], O), (["legitimate interest"] * 3, L),
        (["no consent"], O), (["consent not needed"], O), (["consent, or none"], O),
        (["implied consent"], O), (["presumed consent"], O),
        (["legitimate interest or consent"], O),
    ],
)  # fmt: skip
def test_which_basis_names_a_choice(claims: list[str | None], basis: Basis) -> None:
    assert basis_of(claims) is basis


LABELS = {"on": "`on`", "off": "`off`", "deferred": "`deferred`", "unset": "nothing"}


def test_the_docstring_holds_the_table() -> None:
    found = re.findall(r"^\| (`.+|nothing.+) \|$", naming.__doc__ or "", re.MULTILINE)
    shown = {row.split(" | ")[0]: row.split(" | ")[1:] for row in found}
    for choice, label in LABELS.items():
        assert shown.pop(label) == [NAMES[basis][choice] for basis in (C, L, O)]
    assert shown.pop("`off`, and no `on` before") == ["refusal of consent", "objection", "opt-out"]
    assert shown.pop("`off` for `*`") == ["standing objection"] * 3
    assert not shown
