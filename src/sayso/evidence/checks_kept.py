"""Checks of what the platform keeps for a member: reasons, and uses of the assistant.

Promises: each is of a known shape, and a reason is of an objection that the pack shows as one.
No entry of a ledger commits to what is kept, which its member may delete: that it is what the
member wrote, and all of it, is the word of whoever signed the pack, and the check says so.

    member/kept/<number>.json      kind, kept_id, kept_us and the value; numbers from 1, by time
"""

from typing import Any

from sayso.attest.shape import fields, line, list_of, number, word
from sayso.canonical import parse_canonical
from sayso.errors import IntegrityError
from sayso.evidence.case import Case
from sayso.evidence.checks import count
from sayso.evidence.checks_member import any_text, read_choice
from sayso.evidence.layout import KEPT, matching

REASON, EXCHANGE = "reason", "exchange"
EVERY_PURPOSE = "*"


def check_kept(case: Case) -> str:
    """Check everything that is kept, and hold reasons against the choices that are shown."""
    reasons = exchanges = 0
    for place, one in enumerate(matching(case.files.names, KEPT), 1):
        name = one[0]
        if int(one["index"]) != place:
            raise IntegrityError(f"'{name}' is there, and one before it is not", name=name)
        value = read_kept(case, name)
        if value["kind"] == REASON:
            reasons += 1
            _check_reason(case, name, value["value"])
        else:
            exchanges += 1
    return (
        f"{count(reasons, 'reason')} for objecting and {count(exchanges, 'use')} of the assistant, "
        "as the platform keeps them for the member. No entry of the ledger commits to them: that "
        "they are all, and word for word, is the word of whoever signed the pack."
    )


def read_kept(case: Case, name: str) -> dict[str, Any]:
    """Return one thing that is kept.

    Raises:
        InputError: It is none.
        IntegrityError: It is not in canonical form.
    """
    value: Any = parse_canonical(case.files.read(name))
    _KEPT(value, name)
    _VALUES[value["kind"]](value["value"], f"{name}.value")
    return dict(value)


def _check_reason(case: Case, name: str, reason: dict[str, Any]) -> None:
    choice = f"member/choices/{reason['entry']}.json"
    if choice not in case.files.names:
        return  # the objection is not in the log yet
    said = read_choice(case, choice)["choice"]
    if said["choice"] != "off" or said["purpose"] != reason["purpose"]:
        raise IntegrityError(f"'{name}' is the reason of no such objection", name=name)


def _anything(_value: object, _where: str) -> None:
    """Take any value: its kind says which shape it has."""


_KEPT = fields(
    {"kind": word(REASON, EXCHANGE), "kept_id": line, "kept_us": number, "value": _anything}
)
_VALUES = {
    REASON: fields({"entry": number, "purpose": line, "reason": any_text}),
    EXCHANGE: fields(
        {
            "format": word("sayso/exchange/v1"),
            "kind": line,
            "asked": any_text,
            "made_from": list_of(any_text),
            "written": list_of(any_text),
            "model": any_text,
            "recipient": any_text,
        }
    ),
}
