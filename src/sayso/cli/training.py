"""`sayso train`, `release`, `forget` and `plan`."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import get_args

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from sayso.cli.shared import FILE, Shared, emit, opened, shared_options
from sayso.training import (
    ForgetRequest,
    Forgotten,
    Order,
    Recipe,
    Told,
    Trained,
    forget,
    plan,
    plot,
    release,
    train,
)
from sayso.training.merge import Merge
from sayso.training.permit import MAX_AGE
from sayso.training.plan import COUNTS, MEASURED, load_measured

QUALITY = (
    "quality: of what one adapter on everything gains, the part that the mean of so many keeps, as "
    "measured\non other texts with a small model (docs/shards.md); measure on your own"
)
# Off a terminal a line is printed for each shard, and after so long within one.
LINE_SECONDS = 10.0


@click.command("train")
@click.argument("snapshot", type=FILE)
@click.option("--out", type=FILE, required=True, help="Folder for the run; one begun goes on.")
@click.option("--base", type=FILE, help="A causal language model's folder [default: our own].")
@click.option("--shards", type=int, default=4, show_default=True, help="Of each country, 2 ** n.")
@click.option("--epochs", type=int, default=1, show_default=True, help="How often a shard is read.")
@click.option("--steps", type=int, default=0, help="At most so many steps for a shard.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the half A.")
@click.option("--free-a", is_flag=True, help="Let each adapter learn its half A too.")
@click.option(
    "--max-age", type=int, default=MAX_AGE.days, show_default=True, metavar="DAYS",
    help="Refuse a snapshot that is older.",
)  # fmt: skip
@shared_options
def train_(
    shared: Shared, *, snapshot: Path, out: Path, base: Path | None, shards: int, epochs: int,
    steps: int, seed: int, free_a: bool, max_age: int,
) -> None:  # fmt: skip
    """Train one adapter for each shard of a snapshot, under a permit."""
    recipe = Recipe(
        shards=shards, epochs=epochs, steps=steps, seed=seed,
        half_a="free" if free_a else "frozen",
    )  # fmt: skip
    order = Order(snapshot, out, recipe, base, max_age=timedelta(days=max_age))
    with opened(shared) as workspace, shown_steps() as tell:
        done = train(workspace, order, tell)
    emit(shared, _told(done), _line(done))


def _told(done: Trained) -> dict[str, object]:
    return {
        "out": str(done.path),
        "run": done.run.digest,
        "entry": done.entry,
        "base": done.run.base.model_dump(),
        "shards": len(done.run.shards),
        "learned": list(done.learned),
        "left_out": done.left_out,
        "environments": sorted(done.run.environments),
    }


def _line(done: Trained) -> str:
    return (
        f"run '{done.path}': {len(done.run.shards)} adapters, {len(done.learned)} learned now, "
        f"{done.left_out} records left out; entry {done.entry}\n"
        f"run {done.run.digest}; base '{done.run.base.name}', member exposure "
        f"{done.run.base.exposure}"
    )


@contextmanager
def shown_steps() -> Iterator[Callable[[Told], None]]:
    """Show shard, loss and time left on stderr."""
    console, begun = Console(stderr=True), time.monotonic()
    first: tuple[float, float] | None = None

    def text(told: Told) -> str:
        nonlocal first
        # What was there before, and what it took to begin, say nothing of what is left.
        first = first or (time.monotonic(), told.part)
        gone, done = time.monotonic() - first[0], told.part - first[1]
        left = f"{gone * (1 - told.part) / done:.0f} s left" if done > 0 else "begun"
        return f"{told.shard}: step {told.step} of {told.steps}, loss {told.loss:.3f}, {left}"

    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("", total=1.0)
            yield lambda told: bar.update(task, description=text(told), completed=told.part)
        return
    last = begun

    def line(told: Told) -> None:
        nonlocal last
        if told.step == told.steps or time.monotonic() - last >= LINE_SECONDS:
            last = time.monotonic()
            click.echo(f"  {text(told)}", err=True)

    yield line


@click.command("release")
@click.argument("run", type=FILE)
@click.option("--out", type=FILE, required=True, help="Folder in which releases stand.")
@click.option("--base", type=FILE, help="Where the base stands [default: the workspace].")
@click.option("--content", type=FILE, help="Records as they are now; what is gone was deleted.")
@click.option("--leave-out", is_flag=True, help="Leave out adapters that may not be served.")
@click.option(
    "--merge", type=click.Choice(get_args(Merge)), default="mean", show_default=True,
    help="Of halves that share one A, or of whole adapters side by side.",
)  # fmt: skip
@shared_options
def release_(
    shared: Shared, *, run: Path, out: Path, base: Path | None, content: Path | None,
    leave_out: bool, merge: Merge,
) -> None:  # fmt: skip
    """Merge the adapters of a run that may be served into a release."""
    with opened(shared) as workspace:
        done = release(
            workspace, run, out, base=base, content=content, leave_out=leave_out, merge=merge
        )
    left = [f"  left out {name}: {', '.join(why)}" for name, why in done.left_out.items()]
    text = (
        f"release '{done.path}': base and the mean of {len(done.release.adapters)} adapters "
        f"(by {merge}, rank {done.release.rank}); entry {done.entry}"
    )
    emit(
        shared,
        {
            "out": str(done.path),
            "release": done.release.digest,
            "entry": done.entry,
            "adapters": list(done.release.adapters),
            "merge": merge,
            "rank": done.release.rank,
            "left_out": {name: list(why) for name, why in done.left_out.items()},
            "spared": done.spared,
        },
        "\n".join([text, *left]),
    )


@click.command("forget")
@click.argument("run", type=FILE)
@click.option("--member", "members", multiple=True, metavar="M", help="A member; repeatable.")
@click.option("--country", "countries", multiple=True, metavar="C", help="All of its shards.")
@click.option("--hold", default="", metavar="H", help="All shards under a hold.")
@click.option("--pending", is_flag=True, help="Whatever the ledger and the rules demand by now.")
@click.option("--out", type=FILE, help="Folder for the run that takes the place.")
@click.option("--base", type=FILE, help="Where the base stands [default: the workspace].")
@click.option("--content", type=FILE, help="Records as they are now; what is gone was deleted.")
@click.option("--by", default="the platform", show_default=True, help="Who decided; published.")
@click.option("--prove", is_flag=True, help="Make the run that never had them, and compare.")
@shared_options
def forget_(
    shared: Shared, *, run: Path, members: tuple[str, ...], countries: tuple[str, ...], hold: str,
    pending: bool, out: Path | None, base: Path | None, content: Path | None, by: str, prove: bool,
) -> None:  # fmt: skip
    """Drop adapters at once, and learn their shards again without whom they must forget."""
    if not (members or countries or hold or pending):
        raise click.UsageError("say what to forget: --member, --country, --hold or --pending")
    if prove and out is None:
        raise click.UsageError("--prove needs --out")
    request = ForgetRequest(members, countries, hold, pending, by, content)
    with opened(shared) as workspace, shown_steps() as tell:
        done = forget(workspace, run, request, out=out, base=base, prove=prove, tell=tell)
    emit(
        shared,
        {
            "shards": list(done.shards),
            "records": done.records,
            "deleted": dict(done.deleted),
            "dispositions": [asdict(one) for one in done.dispositions],
            "trained": _told(done.trained) if done.trained else None,
            "proved": done.proof.equal if done.proof else None,
            "unproved": list(done.proof.unproved) if done.proof else [],
        },
        _forgotten_text(done),
    )


def _forgotten_text(done: Forgotten) -> str:
    if not done.shards and done.trained is None:
        return "nothing is to be forgotten"
    lines = [
        f"{len(done.shards)} adapters dropped, {done.records} records are not learned from again",
        *(f"  deleted {path}" for path in done.deleted),
        *(
            f"  {one.what}: {f'release {one.release[:16]}' if one.release else 'the adapters'} "
            f"({', '.join(one.why)}), entry {one.entry}"
            for one in done.dispositions
        ),
    ]
    lines += [_line(done.trained)] if done.trained else ["learn again later: add --out"]
    if done.proof is not None:
        lines.append(f"{done.proof.equal} files equal those of a run that never had them")
    if done.proof is not None and done.proof.unproved:
        lines.append(
            f"{len(done.proof.unproved)} shards were not compared: learned in another "
            f"environment, or closed now: {', '.join(done.proof.unproved)}"
        )
    lines.append("this reaches neither the base nor copies that others hold")
    return "\n".join(lines)


@click.command("plan")
@click.argument("snapshot", type=FILE)
@click.option("--withdrawals", type=int, default=100, show_default=True, help="In one batch.")
@click.option("--shards", "counts", type=int, multiple=True, help="A count to look at; repeatable.")
@click.option("--epochs", type=int, default=1, show_default=True, help="How often a shard is read.")
@click.option("--measured", type=FILE, help="JSON: adapters merged -> part of the gain kept.")
@click.option("--plot", "picture", type=FILE, help="Write an SVG here.")
@shared_options
def plan_(
    shared: Shared, *, snapshot: Path, withdrawals: int, counts: tuple[int, ...], epochs: int,
    measured: Path | None, picture: Path | None,
) -> None:  # fmt: skip
    """Say what a number of shards costs when so many members withdraw in one batch."""
    known = load_measured(measured) if measured else MEASURED
    found = plan(snapshot, withdrawals, counts or COUNTS, Recipe(epochs=epochs), known)
    if picture is not None:
        picture.write_text(plot(found), encoding="utf-8")
    lines = [
        f"{found.members:,} members, {withdrawals:,} of whom withdraw in one batch",
        "     S   shards    touched  text again     steps     again  quality",
    ]
    lines += [
        f"{one.count:>6} {one.shards:>8,} {one.touched:>10,.1f} {one.share:>10.1%} "
        f"{one.steps:>9,} {one.steps_again:>9,.0f}  {one.quality}"
        for one in found.costs
    ]
    emit(
        shared,
        {
            "members": found.members,
            "withdrawals": withdrawals,
            "costs": [asdict(one) for one in found.costs],
            "plot": str(picture) if picture else None,
        },
        "\n".join([*lines, QUALITY]),
    )


COMMANDS = (train_, release_, forget_, plan_)
