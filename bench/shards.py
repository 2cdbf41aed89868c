"""What sharding costs in quality, on real text: the table and the plot of docs/shards.md.

    python -m bench.shards --polis FOLDER --stackexchange FOLDER --out docs

Real authors and words, generated countries, ages, notices and choices. Goes the way that
everybody goes: import, workspace, build, train, release; then asks how well each model
foresees authors who were kept back. May be stopped and started again: what is finished is in
`--work`. Nothing of anybody's text leaves that folder; only figures go to `--out`.

    --pilot      choose learning rate and epochs, on authors whom no table ever looks at
    --turns N    at most so many repetitions, each with its own authors, shards and frozen half
"""

import argparse
import hashlib
import itertools
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench import shards_report
from bench.perplexity import Heard, listen, perplexity
from bench.prose import prose_base
from sayso.model import DEFAULT_PURPOSE
from sayso.opening import init_workspace, open_workspace
from sayso.snapshot import load_records
from sayso.sources import import_source
from sayso.training import Order, Recipe, Told, load_run, release, train
from sayso.training.environment import digest_of, fingerprint, need_torch, prepare_torch
from sayso.training.foundation import own_base
from sayso.training.learn import load_base
from sayso.training.merge import mean_of, merge_into
from sayso.training.release import MODEL
from sayso.training.runs import Run
from sayso.training.text import prepare
from sayso.workspace import Workspace

AT = datetime(2025, 11, 10, tzinfo=UTC)
NOTICE_AT = datetime(2025, 9, 14, 9, tzinfo=UTC)
# One country, so that S is the number of adapters.
COUNTRY = "GB"
COUNTS = (1, 4, 16, 64)
PILOT_SHARE, HELD_SHARE, OFF_SHARE = 0.1, 0.2, 0.02
# Records of one author, so that the most talkative two are not a third of a set.
MOST_LEARNED, MOST_HEARD = 40, 15
# Adapters of one shard that are listened to.
SINGLES = 2
# Chosen by `--pilot`, with one adapter on everything and authors whom no table looks at.
_RECIPE = Recipe(shards=1, batch_blocks=4)
RATES = ("0.01", "0.03", "0.1")
RECIPES = {
    ("polis", "prose"): _RECIPE.model_copy(update={"learning_rate": "0.03", "epochs": 3}),
    ("stackexchange", "prose"): _RECIPE.model_copy(update={"learning_rate": "0.03", "epochs": 1}),
    ("polis", "own"): _RECIPE.model_copy(update={"learning_rate": "0.03", "epochs": 1}),
}
# What `--pilot` tries: passes, and learning rates.
TRIED = {"polis": ((1, 3), RATES), "stackexchange": ((1,), RATES[:2])}
# Set and base -> repetitions. The project's own base reads bytes, three times as many tokens;
# the large set takes three times as long as the small one.
TURNS = {("polis", "prose"): 2, ("polis", "own"): 1, ("stackexchange", "prose"): 1}


@dataclass(frozen=True)
class Case:
    """One base on one set of texts, in one repetition.

    Attributes:
        name: Of the set: the kind of its source.
        base: `own` or `prose`.
        turn: Which repetition; -1: the pilot's.
    """

    name: str
    base: str
    turn: int


@dataclass(frozen=True)
class Heeded:
    """One line of the table: a model, and what it took to foresee each author."""

    model: str
    shards: int
    heard: tuple[Heard, ...]


def drawn(what: str, member: str) -> float:
    """Return a number in [0, 1) that depends on the member and on what is drawn."""
    digest = hashlib.sha256(f"{what}:{member}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def part_of(member: str, turn: int) -> str:
    """Return `pilot`, `held` or `learn`; who is of the pilot is so in every repetition."""
    if drawn("pilot", member) < PILOT_SHARE:
        return "pilot"
    return "held" if drawn(f"held-{turn}", member) < HELD_SHARE else "learn"


# ---- the way to a snapshot --------------------------------------------------------------


def open_case(folder: Path, kind: str, source: Path, turn: int) -> Workspace:
    """Return the workspace of one repetition, with its snapshots `learn`, `held` and `pilot`."""
    if (folder / "ready").is_file():
        return open_workspace(folder / "ws", lambda: AT)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    import_source(kind, source, folder / "imported")
    content = pq.read_table(folder / "imported" / "content.parquet")
    ids = [str(one) if one is not None else "" for one in content["member_id"].to_pylist()]
    people = sorted(set(ids) - {""})
    workspace = init_workspace(folder / "ws", lambda: AT, template="linkedin-2024")
    for table, rows in _tables(people, turn).items():
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{table}.parquet")
        workspace.ingest(table, folder / f"{table}.parquet")
    ranked = _ranks(ids, content["record_id"].to_pylist())
    for part, most in (("learn", MOST_LEARNED), ("held", MOST_HEARD), ("pilot", MOST_HEARD)):
        mine = [
            bool(who) and part_of(who, turn) == part and rank < most
            for who, rank in zip(ids, ranked, strict=True)
        ]
        pq.write_table(content.filter(pa.array(mine)), folder / f"{part}.parquet")
        workspace.build(folder / f"{part}.parquet", folder / part, at=AT)
    (folder / "ready").touch()
    return workspace


def _tables(people: Sequence[str], turn: int) -> dict[str, list[dict[str, object]]]:
    """Return generated members, notices and choices."""
    born = {
        who: date(1950, 1, 1) + timedelta(days=int(drawn("born", who) * 19_000)) for who in people
    }
    purpose = {"purpose": DEFAULT_PURPOSE}
    return {
        "members": [
            {"member_id": who, "country": COUNTRY, "birth_date": born[who].isoformat()}
            for who in people
        ],
        "notices": [{"member_id": who, "served_at": NOTICE_AT} | purpose for who in people],
        "choices": [
            {"member_id": who, "choice": "off", "effective_at": NOTICE_AT} | purpose
            for who in people
            if drawn(f"off-{turn}", who) < OFF_SHARE
        ],
    }


def _ranks(members: Sequence[str], records: Sequence[object]) -> list[int]:
    """Return the place of every record among its author's, in an order drawn once."""
    order = sorted(range(len(members)), key=lambda row: drawn("record", str(records[row])))
    seen: dict[str, int] = {}
    ranks = [0] * len(members)
    for row in order:
        ranks[row] = seen[members[row]] = seen.get(members[row], -1) + 1
    return ranks


def texts_of(snapshot: Path) -> dict[str, list[str]]:
    """Return author -> prepared texts of a snapshot."""
    found: dict[str, list[str]] = {}
    for row in load_records(snapshot).select(["member_id", "category", "text"]).to_pylist():
        if text := prepare(row["category"], row["text"]):
            found.setdefault(row["member_id"], []).append(text)
    return {who: found[who] for who in sorted(found)}


# ---- models -----------------------------------------------------------------------------


def heed(case: Case, workspace: Workspace, folder: Path, base: Path, count: int,
         recipe: Recipe) -> Iterator[Heeded]:  # fmt: skip
    """Yield what every model of one number of shards makes of the authors kept back."""
    torch, texts = need_torch(), texts_of(folder / "held")
    run_folder = folder / f"{case.base}-{count}"
    if not run_folder.is_dir():
        train(
            workspace,
            Order(folder / "learn", run_folder, recipe, base, device="cpu"),
            _tell(case, count),
        )
    run = load_run(run_folder)
    done = release(workspace, run_folder, folder / "releases", base=base)
    served = load_base(done.path / MODEL, "cpu")
    yield Heeded("mean", count, tuple(listen(served, texts, recipe.block_tokens)))
    names = sorted(run.shards, key=lambda name: drawn(f"single-{case.turn}", name))
    for name in names[:SINGLES]:
        single = mean_of(run_folder, run, (name,))
        yield Heeded("single", count, _merged(base, single, folder, texts, recipe))
    mean = mean_of(run_folder, run, tuple(run.shards))
    torch.manual_seed(1000 + case.turn)
    random_ = {name: _random_like(torch, delta, recipe.rank) for name, delta in mean.items()}
    yield Heeded("random", count, _merged(base, random_, folder, texts, recipe))


def _random_like(torch: Any, delta: Any, rank: int) -> Any:
    """Return a product of two random matrices, of the rank and norm of an adapter's."""
    rows, columns = delta.shape
    made = torch.randn(rows, rank, dtype=delta.dtype) @ torch.randn(
        rank, columns, dtype=delta.dtype
    )
    return made * (delta.norm() / made.norm())


def _merged(base: Path, deltas: dict[str, Any], folder: Path, texts: dict[str, list[str]],
            recipe: Recipe) -> tuple[Heard, ...]:  # fmt: skip
    made = folder / "merged"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    merge_into(base, deltas, made)
    try:
        return tuple(listen(load_base(made, "cpu"), texts, recipe.block_tokens))
    finally:
        shutil.rmtree(made)


def _tell(case: Case, count: int) -> Any:
    began, last = time.monotonic(), 0.0

    def tell(told: Told) -> None:
        nonlocal last
        if time.monotonic() - last > 10:
            last = time.monotonic()
            left = (last - began) * (1 - told.part) / max(told.part, 1e-9)
            print(
                f"  {case.name} {case.base} {case.turn} S={count}: {told.part:5.1%}, loss {told.loss:.3f}, {left:.0f} s left",
                flush=True,
            )

    return tell


# ---- one case, and all of them ----------------------------------------------------------


def measure(case: Case, source: Path, work: Path, base: Path, recipe: Recipe,
            counts: Sequence[int]) -> dict[str, Any]:  # fmt: skip
    """Return the figures of one case; what was measured before is read."""
    path = work / "figures" / f"{case.name}-{case.base}-{case.turn}.json"
    settings = recipe.model_dump() | {"counts": list(counts)}
    if path.is_file() and (found := json.loads(path.read_text()))["settings"] == settings:
        return dict(found)
    folder = work / f"{case.name}-{case.turn}"
    began = time.process_time()
    workspace = open_case(folder, case.name, source, case.turn)
    texts = texts_of(folder / "held")
    lines = [Heeded("base", 0, tuple(listen(load_base(base, "cpu"), texts, recipe.block_tokens)))]
    sizes = {}
    for count in counts:
        mine = recipe.model_copy(update={"shards": count, "seed": max(case.turn, 0)})
        for line in heed(case, workspace, folder, base, count, mine):
            print(
                f"  {case.name} {case.base} {case.turn} S={count}: {line.model} {perplexity(line.heard):.3f}",
                flush=True,
            )
            lines.append(line)
        sizes[str(count)] = _sizes(load_run(folder / f"{case.base}-{count}"))
    workspace.close()
    figures = {
        "case": asdict(case), "settings": settings, "sizes": sizes,
        "learned": _counts(folder / "learn"), "held": _counts(folder / "held"),
        "environment": digest_of(fingerprint("cpu")), "seconds": time.process_time() - began,
        "lines": [asdict(line) for line in lines],
    }  # fmt: skip
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(figures))
    return figures


def _sizes(run: Run) -> dict[str, int]:
    learned = run.shards.values()
    return {
        "adapters": len(learned),
        "tokens": sum(one.tokens for one in learned),
        "least_steps": min(one.steps for one in learned),
        "most_steps": max(one.steps for one in learned),
        "steps": sum(one.steps for one in learned),
    }


def _counts(snapshot: Path) -> dict[str, int]:
    texts = texts_of(snapshot)
    return {
        "authors": len(texts),
        "records": sum(map(len, texts.values())),
        "text_bytes": sum(len(text.encode()) for mine in texts.values() for text in mine),
    }


def pilot(kind: str, source: Path, work: Path, base: Path) -> None:
    """Print how one adapter on everything does with each setting, on the pilot's authors."""
    folder = work / f"pilot-{kind}"
    workspace = open_case(folder, kind, source, -1)
    texts = texts_of(folder / "pilot")
    before = perplexity(listen(load_base(base, "cpu"), texts, _RECIPE.block_tokens))
    print(f"{kind}: base {before:.3f}", flush=True)
    many, rates = TRIED[kind]
    for epochs, rate in itertools.product(many, rates):
        recipe = _RECIPE.model_copy(update={"learning_rate": rate, "epochs": epochs})
        out = folder / f"{base.name}-{rate}-{epochs}"
        if not out.is_dir():
            train(workspace, Order(folder / "learn", out, recipe, base, device="cpu"))
        run = load_run(out)
        heard = _merged(base, mean_of(out, run, tuple(run.shards)), folder, texts, recipe)
        print(f"{kind}: rate {rate}, passes {epochs}: {perplexity(heard):.3f}", flush=True)
    workspace.close()


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--polis", type=Path)
    parser.add_argument("--stackexchange", type=Path)
    parser.add_argument("--work", type=Path, default=Path("bench-out/shards"))
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--turns", type=int, default=max(TURNS.values()))
    parser.add_argument("--pilot", action="store_true")
    given = parser.parse_args()
    sources = {kind: getattr(given, kind) for kind in TRIED if getattr(given, kind)}
    if not sources:
        parser.error("give --polis, --stackexchange or both")
    given.work.mkdir(parents=True, exist_ok=True)
    prepare_torch("cpu")
    prose = prose_base(given.work / "prose")
    if given.pilot:
        for kind, source in sources.items():
            pilot(kind, source, given.work, prose)
        return
    bases = {"prose": prose, "own": own_base(given.work / "bases")[0]}
    cases = [
        Case(kind, base, turn)
        for (kind, base), turns in TURNS.items()
        for turn in range(min(turns, given.turns))
        if kind in sources
    ]
    found = []
    for case in cases:
        recipe, source = RECIPES[case.name, case.base], sources[case.name]
        found.append(measure(case, source, given.work, bases[case.base], recipe, COUNTS))
        shards_report.write(found, given.out)


if __name__ == "__main__":
    main()
