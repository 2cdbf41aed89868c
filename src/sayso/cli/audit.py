"""`sayso audit`."""

from dataclasses import asdict
from pathlib import Path

import click

from sayso.cli.shared import FILE, Shared, emit, opened, shared_options
from sayso.cli.training import shown_steps
from sayso.evidence.report_audit import ALARM, DEAF, heard, json_of, render_audit
from sayso.training.audit import Audit, Planting, audit
from sayso.training.scores import mean

USUAL = Planting()


@click.command("audit")
@click.argument("run", type=FILE)
@click.option("--out", type=FILE, required=True, help="Folder for the report.")
@click.option("--base", type=FILE, help="Where the base stands [default: the workspace].")
@click.option("--shard", default="", metavar="NAME", help="Plant here [default: the smallest].")
@click.option(
    "--canaries", type=int, default=USUAL.canaries, show_default=True,
    help="Members who never existed.",
)  # fmt: skip
@click.option(
    "--repeats", type=int, default=USUAL.repeats, show_default=True, help="Records of each."
)
@click.option(
    "--candidates", type=int, default=USUAL.candidates, show_default=True,
    help="Codes that a planted one is ranked among.",
)  # fmt: skip
@click.option("--seed", type=int, default=USUAL.seed, show_default=True, help="Of the codes.")
@shared_options
def audit_(
    shared: Shared, *, run: Path, out: Path, base: Path | None, shard: str, canaries: int,
    repeats: int, candidates: int, seed: int,
) -> None:  # fmt: skip
    """Plant members who never existed, forget them, and look whether models tell them."""
    planting = Planting(canaries, repeats, candidates, seed, shard)
    with opened(shared) as workspace, shown_steps() as tell:
        found = audit(workspace, run, out, base=base, planting=planting, tell=tell)
        (out / "report.json").write_bytes(json_of(found))
        (out / "report.html").write_bytes(render_audit(found, workspace.clock()))
    emit(
        shared,
        {
            "out": str(out),
            "run": found.run,
            "shard": found.shard,
            "measured": [asdict(one) for one in found.measured],
            "heard": heard(found),
            "same_scores": found.same_scores,
            "equal": found.equal,
            "is_run": found.is_run,
            "deleted": len(found.deleted),
        },
        _text(found, out),
    )


def _text(found: Audit, out: Path) -> str:
    lines = [f"audit '{out}': planted into {found.shard}, forgotten, {found.equal} files equal"]
    lines += [
        f"  {one.when:<18} {one.model:<19} exposure {mean(one.exposures):5.2f} bits  "
        + "  ".join(f"{name} {area:.3f}" for name, area in one.areas.items())
        for one in found.measured
    ]
    lines += [] if heard(found) else [DEAF]
    return "\n".join([*lines, ALARM])


COMMANDS = (audit_,)
