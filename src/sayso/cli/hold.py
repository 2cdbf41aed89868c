"""`sayso hold place / lift / list`."""

from collections.abc import Mapping

import click

from sayso.cli.shared import BOUND, Shared, emit, opened, parse_source, shared_options
from sayso.model import DEFAULT_PURPOSE, Dated, Hold, Position


@click.group("hold")
def hold() -> None:
    """Place, lift and list holds: stops that beat every `on`."""


@hold.command("place")
@click.argument("scope")
@click.option("--placed-by", required=True, help="Who stops.")
@click.option("--asked-by", default="", help="The authority that asked for it.")
@click.option("--ordered-by", default="", help="The authority that ordered it; only it can lift.")
@click.option("--from", "begins", type=BOUND, required=True, help="First day, or an instant.")
@click.option("--purpose", "purposes", multiple=True, default=(DEFAULT_PURPOSE,), show_default=True,
              help="A purpose it stops, or *; may be repeated.")  # fmt: skip
@click.option("--condition", default="", help="Until what it holds.")
@click.option(
    "--source", help="Where this comes from: a title or an address [default: assumption]."
)
@click.option("--id", "hold_id", help="Its id [default: made of scope and date].")
@shared_options
def place(
    shared: Shared, *, scope: str, placed_by: str, asked_by: str, ordered_by: str, begins: Dated,
    purposes: tuple[str, ...], condition: str, source: str | None, hold_id: str | None,
) -> None:  # fmt: skip
    """Place a hold on SCOPE (a country, a group or `world`), and publish it at once."""
    with opened(shared) as workspace:
        name, receipt = workspace.place_hold(
            scope, begins=begins, placed_by=placed_by, asked_by=asked_by, ordered_by=ordered_by,
            purposes=purposes, condition=condition, source=parse_source(source), hold_id=hold_id,
        )  # fmt: skip
    emit(
        shared,
        {"hold_id": name, "entry": receipt.index, "scope": scope, "from": str(begins)},
        f"hold {name} on {scope} from {begins} is placed and published as entry {receipt.index}",
    )


@hold.command("lift")
@click.argument("hold_id")
@click.option("--from", "lifted", type=BOUND, required=True, help="First day without it.")
@click.option(
    "--source",
    required=True,
    help="Where this comes from: a title, an address, or the word assumption.",
)
@click.option("--position", type=click.Choice([str(one) for one in Position]), required=True,
              help="What the authority said of lifting it.")  # fmt: skip
@shared_options
def lift(shared: Shared, hold_id: str, lifted: Dated, source: str, position: str) -> None:
    """Lift a hold. No choice changes, and notice days count only from actual service."""
    with opened(shared) as workspace:
        receipt = workspace.lift_hold(
            hold_id, lifted=lifted, source=parse_source(source), position=Position(position)
        )
    emit(
        shared,
        {"hold_id": hold_id, "entry": receipt.index, "lifted": str(lifted)},
        f"hold {hold_id} is lifted from {lifted}, published as entry {receipt.index}",
    )


@hold.command("list")
@shared_options
def list_holds(shared: Shared) -> None:
    """List the published holds."""
    with opened(shared) as workspace:
        holds = workspace.rules().book.holds
    lines = [f"{'id':24} {'scope':6} {'from':18} {'lifted':14} placed by"]
    lines += [
        f"{one.hold_id:24} {one.scope:6} {one.begins or 'unknown'!s:18} "
        f"{one.lifted or 'stands'!s:14} {one.placed_by}"
        + (f", asked by {one.asked_by}" if one.asked_by else "")
        + (f", ordered by {one.ordered_by}" if one.ordered_by else "")
        for one in holds
    ]
    text = "\n".join(lines) if holds else "no holds"
    emit(shared, {"holds": [_hold_row(one) for one in holds]}, text)


def _hold_row(one: Hold) -> Mapping[str, object]:
    return {
        "id": one.hold_id,
        "scope": one.scope,
        "purposes": sorted(one.purposes),
        "from": str(one.begins.value) if one.begins else None,
        "exactness": str(one.begins.exactness) if one.begins else "unknown",
        "lifted": str(one.lifted.value) if one.lifted else None,
        "placed_by": one.placed_by,
        "asked_by": one.asked_by or None,
        "ordered_by": one.ordered_by or None,
        "position": str(one.position) if one.position else None,
        "condition": one.condition or None,
        "file": one.place.file,
        "line": one.place.line,
    }


COMMANDS = (hold,)
