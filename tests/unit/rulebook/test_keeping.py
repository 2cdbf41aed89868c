"""No edit of a rulebook ends a hold, whatever file it touches."""

from datetime import UTC, datetime

import pytest

from sayso.errors import RefusedError
from sayso.model import Dated, Position
from sayso.publishing import template_files
from sayso.rulebook.edit import lift_hold, place_hold
from sayso.rulebook.keeping import keep_holds
from sayso.rulebook.parse import parse_rulebook
from sayso.rulebook.schema import read_bound

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
GROUP, SCOPE = "groups/EEA.yaml", "scopes/EEA.yaml"
DE = "{country: DE, from: 1994-01-01}"


def bound(day: str) -> Dated:
    read = read_bound(day)
    assert isinstance(read, Dated)
    return read


def held(ordered_by: str = "", scope: str = "EEA") -> dict[str, str]:
    return place_hold(
        template_files("linkedin-2024"), hold_id="stop", scope=scope, purposes=("*",),
        begins=bound("2026-01-01"), placed_by="the platform", asked_by="",
        ordered_by=ordered_by, condition="", source="assumption",
    )  # fmt: skip


def edited(files: dict[str, str], name: str, old: str, new: str) -> dict[str, str]:
    assert old in files[name]
    return {**files, name: files[name].replace(old, new)}


def kept(before: dict[str, str], after: dict[str, str]) -> None:
    keep_holds(parse_rulebook(before), parse_rulebook(after), NOW)


@pytest.mark.parametrize("ordered_by", ["", "an authority"])
@pytest.mark.parametrize(
    "member",
    [
        "{country: DE, from: 1994-01-01, until: 2026-01-10}",
        "{country: DE, from: 1994-01-01, until: 2030-01-01}",
        "{country: DE, from: 2026-02-01}",
        "{country: CH, from: 1994-01-01}",
    ],
)
def test_no_member_leaves_a_group_that_is_held(ordered_by: str, member: str) -> None:
    files = held(ordered_by)

    with pytest.raises(RefusedError, match="'stop' would no longer hold DE"):
        kept(files, edited(files, GROUP, DE, member))


def test_a_group_may_change_where_no_hold_shrinks() -> None:
    files = held()
    earlier = edited(files, GROUP, DE, "{country: DE, from: 1993-01-01}")
    later = edited(files, GROUP, DE, "{country: DE, from: 1995-01-01}")
    parted = edited(
        files, GROUP, DE,
        "{country: DE, from: 1994-01-01, until: 2026-01-10}\n  - {country: DE, from: 2026-01-10}",
    )  # fmt: skip
    more = edited(files, GROUP, DE, f"{DE}\n  - {{country: CH, from: 2026-01-01}}")

    for after in (earlier, later, parted, more):
        kept(files, after)
    kept(
        held(scope="US"),
        edited(held(scope="US"), GROUP, DE, DE.replace("}", ", until: 2026-02-01}")),
    )


def test_a_lifted_hold_lets_its_group_go() -> None:
    files = held()
    lifted, soon = (
        lift_hold(
            files, hold_id="stop", lifted=bound(day), source="assumption", position=Position.NONE
        )
        for day in ("2026-01-10", "2026-03-01")
    )
    out = DE.replace("}", ", until: 2026-01-05}")

    kept(files, lifted)
    kept(lifted, edited(lifted, GROUP, DE, out))
    with pytest.raises(RefusedError, match="DE"):
        kept(soon, edited(soon, GROUP, DE, out))
    with pytest.raises(RefusedError, match="'stop'"):
        kept(soon, template_files("linkedin-2024"))


def test_a_hold_is_not_put_off_or_narrowed() -> None:
    files = held()

    with pytest.raises(RefusedError, match="'stop' would no longer hold"):
        kept(files, edited(files, SCOPE, "from: 2026-01-01", "from: 2099-01-01"))
