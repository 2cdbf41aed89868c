"""Training: what forgetting, dropping, the permit and the shards cost, as ratios of one run.

Both sides of a ratio work on the same snapshot and the same base, in turns. A machine with
other work on it slows both.
"""

import shutil
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.measure import Report, ratio, seconds
from sayso.model import Dated, Position
from sayso.opening import init_workspace
from sayso.sources import CONTENT_SCHEMA
from sayso.training import ForgetRequest, Order, Permit, Recipe, forget, release, train
from sayso.training.environment import prepare_torch
from sayso.training.foundation import Size, own_base
from sayso.training.learn import cut, learn, load_base, tokens_of
from sayso.training.shards import read_shards
from sayso.workspace import Workspace

COUNTRIES = ("US", "BR", "IN")
LINE = "This week in {}: {} people asked how a good handover works, and {} of them wrote it down. "


def _records(members: int, each: int) -> pa.Table:
    rows = []
    for n in range(members):
        for k in range(each):
            row = dict.fromkeys(CONTENT_SCHEMA.names)
            row |= {
                "record_id": f"r{n}-{k}", "member_id": f"m{n}", "category": "post",
                "visibility": "public", "authorship": "own", "context": "feed",
                "written_at": datetime(2025, 6, 1, tzinfo=UTC), "mentions": [],
                "text": "".join(LINE.format(n * 7 % 50, n * k % 9, i) for i in range(8)),
            }  # fmt: skip
            rows.append(row)
    return pa.Table.from_pylist(rows, schema=CONTENT_SCHEMA)


def _workspace(folder: Path, members: int, each: int) -> Workspace:
    workspace = init_workspace(folder / "ws", lambda: datetime.now(UTC), template="linkedin-2024")
    lines = ["member_id,country,birth_date"]
    lines += [f"m{n},{COUNTRIES[n % len(COUNTRIES)]},1980-05-01" for n in range(members)]
    (folder / "members.csv").write_text("\n".join(lines) + "\n")
    workspace.ingest("members", folder / "members.csv")
    pq.write_table(_records(members, each), folder / "content.parquet")
    workspace.build(folder / "content.parquet", folder / "first")
    return workspace


def run(report: Report, out: Path, members: int, runs: int) -> None:
    """Measure on so many members; each side of a ratio so many times."""
    folder = out / "training"
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    workspace = _workspace(folder, members, 6)
    base, _ = own_base(out / "bases", Size(texts=200))
    recipe = Recipe(shards=4, epochs=3)
    first, number = folder / "first", iter(range(10_000))

    def whole() -> Path:
        return train(workspace, Order(first, folder / f"run-{next(number)}", recipe, base)).path

    whole()  # the first one loads what the others find loaded
    _forgetting(report, workspace, folder, base, recipe, runs)
    _dropping(report, workspace, folder, base, whole)
    _permit(report, workspace, first, base, recipe)
    _sharding(report, first, base, recipe, runs)
    workspace.close()


def _forgetting(
    report: Report, workspace: Workspace, folder: Path, base: Path, recipe: Recipe, runs: int
) -> None:
    parts, shares = [], []
    for turn in range(runs):
        path = folder / f"before-{turn}"
        began = time.perf_counter()
        done = train(workspace, Order(folder / "first", path, recipe, base))
        all_seconds = time.perf_counter() - began
        request = ForgetRequest(members=(f"m{turn}",))
        began = time.perf_counter()
        gone = forget(workspace, path, request, out=folder / f"after-{turn}", base=base)
        parts.append((time.perf_counter() - began) / all_seconds)
        tokens = {name: one.tokens for name, one in done.run.shards.items()}
        shares.append(sum(tokens[name] for name in gone.shards) / sum(tokens.values()))
    part, share = statistics.median(parts), statistics.median(shares)
    report.add(
        "forget one member / train everything, over the shard's share of tokens", part / share,
        "x", at_most=1.2, detail=f"{part:.3f} of the time for {share:.3f} of the tokens",
    )  # fmt: skip


def _dropping(
    report: Report, workspace: Workspace, folder: Path, base: Path, whole: Callable[[], Path]
) -> None:
    began = time.perf_counter()
    path = whole()
    all_seconds = time.perf_counter() - began
    workspace.place_hold("BR", begins=_past(), placed_by="the bench")
    spent = seconds(
        lambda: release(workspace, path, folder / "releases", base=base, leave_out=True)
    )
    workspace.lift_hold("br-2026-01-01", lifted=_past(5), source=None, position=Position.NONE)
    report.add(
        "drop a country and merge anew / train everything", spent / all_seconds, "x",
        at_most=1 / 50, detail=f"{spent:.2f} s against {all_seconds:.2f} s",
    )  # fmt: skip


def _past(day: int = 1) -> Dated:
    return Dated(datetime(2026, 1, day, tzinfo=UTC))


def _permit(report: Report, workspace: Workspace, first: Path, base: Path, recipe: Recipe) -> None:
    permit = Permit.ask(workspace, first)
    times = 20_000

    def renew_all() -> None:
        for step in range(times):
            permit.renew(step)

    renewing = seconds(renew_all) / times
    permit.close()
    loaded = load_base(base, prepare_torch("cpu"))
    texts = [text for shard in read_shards(first, 1).values() for text in shard.texts]
    told: list[int] = []
    stepping = seconds(
        lambda: learn(
            loaded, texts, recipe, lambda _step: None, lambda step, _all, _loss: told.append(step)
        )
    )
    step_seconds = stepping / len(told)
    report.add(
        "renew a permit / take a step", renewing / step_seconds, "x", at_most=0.01,
        detail=f"{renewing * 1e6:.0f} us against {step_seconds * 1e3:.1f} ms",
    )  # fmt: skip


def _sharding(report: Report, first: Path, base: Path, recipe: Recipe, runs: int) -> None:
    loaded, recipe = load_base(base, prepare_torch("cpu")), recipe.model_copy(update={"epochs": 1})
    shards = [shard.texts for shard in read_shards(first, recipe.shards).values()]
    everything = [text for texts in shards for text in texts]

    def lesson(texts: list[str]) -> None:
        learn(loaded, texts, recipe, lambda _step: None, lambda *_told: None)

    def sharded() -> None:
        for texts in shards:
            lesson(texts)

    blocks = len(cut(tokens_of(loaded.tokenizer, everything), recipe.block_tokens))
    times, one, other = ratio(sharded, lambda: lesson(everything), runs)
    report.add(
        f"{len(shards)} shards / one adapter on all of it", times, "x", at_most=1.3,
        detail=f"{one:.2f} s against {other:.2f} s, {blocks} blocks",
    )  # fmt: skip
