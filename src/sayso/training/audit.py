"""Audit: does a run tell who was in it, and does it stop telling once they were forgotten?

Promises: members who never existed are planted into one shard of a run's snapshot, learned,
and forgotten, by the very code that forgets a member; their codes are looked for before,
after, and in a run that never had them. The adapters made for it are learned under a permit,
are never released, and are deleted at the end, in the ledger as well. The run that is
audited is not changed.

What it finds is an alarm and never a proof: that a code is not found shows nothing of any
member. The evidence is re-execution: the files of the shard that forgot are compared with
those of a run that never had the planted, byte for byte.

Example:
    >>> audit(workspace, Path("run"), Path("audit"), base=None)          # doctest: +SKIP
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from sayso.canonical import canonical_json
from sayso.errors import ConflictError, InputError, RefusedError
from sayso.training.canaries import codes, plant, text_of
from sayso.training.dispositions import FORGOTTEN, append, delete
from sayso.training.environment import digest_of, fingerprint, prepare_torch
from sayso.training.forget import Request, forget
from sayso.training.foundation import find_base
from sayso.training.learn import load_base
from sayso.training.merge import Merge, add_to, mean_of
from sayso.training.permit import StoppedError
from sayso.training.places import BEGUN, RUNS, drop_place
from sayso.training.proof import compare
from sayso.training.run import BASES, Order, Told, Trained, train
from sayso.training.runs import (
    DELETED,
    NAME,
    SEALED,
    load_note,
    load_origin,
    load_run,
    write_whole,
)
from sayso.training.scores import Loss, exposure, losses_of, tell_apart
from sayso.training.sealing import need_unsealed
from sayso.training.servable import Standing, standing_of
from sayso.workspace import Workspace

BY = "the audit"
BEFORE, AFTER, NEVER, BASE = "before forgetting", "after forgetting", "never trained", "base alone"
ADAPTER, RELEASE = "the shard's adapter", "the release"
# Other shards' adapters, which learned from no canary, calibrate the scores; more say little new.
REFERENCES = 4


@dataclass(frozen=True, slots=True)
class Planting:
    """What is planted.

    Attributes:
        canaries: Members who never existed.
        repeats: Records of each.
        candidates: Codes among which a planted one is ranked, itself included.
        seed: What the codes are drawn from.
        shard: Where; empty for the smallest that may be learned again.
    """

    canaries: int = 8
    repeats: int = 8
    candidates: int = 1024
    seed: int = 1
    shard: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one model says of the planted codes.

    Attributes:
        when: Before forgetting, after, never trained, or the base alone.
        model: The base with the shard's adapter, or the release.
        exposures: Bits, one for each canary; the most is log2 of the candidates.
        areas: For each score, how likely it ranks a planted code above another.
    """

    when: str
    model: str
    exposures: tuple[float, ...]
    areas: dict[str, float]


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        shard: Where it planted.
        is_run: Whether the run that never had the planted has the audited run's own adapter;
            no where members who chose off since had to be left out.
        equal: Files of the forgotten run that equal those of the one that never had them.
        deleted: Path -> SHA-256 of every file that was made for it and deleted.
    """

    run: str
    base: str
    base_exposure: str
    planting: Planting
    shard: str
    environment: dict[str, str]
    measured: tuple[Measured, ...]
    is_run: bool
    equal: int
    deleted: dict[str, str]

    def of(self, when: str, model: str) -> Measured:
        """Return one measurement."""
        return next(one for one in self.measured if (one.when, one.model) == (when, model))

    @property
    def same_scores(self) -> bool:
        """Whether the forgotten run scores as the one that never had them, to the last bit."""
        return all(
            replace(self.of(AFTER, model), when="") == replace(self.of(NEVER, model), when="")
            for model in (ADAPTER, RELEASE)
        )


def audit(
    workspace: Workspace,
    run_folder: Path,
    out: Path,
    *,
    base: Path | None = None,
    planting: Planting | None = None,
    tell: Callable[[Told], None] = lambda _told: None,
) -> Audit:
    """Plant members who never existed, forget them, and look for them.

    Args:
        workspace: Whose.
        run_folder: A finished run of it.
        out: A folder that is not there; `<out>.partial` holds the adapters until they go.
        base: Where the base stands; None where it is the project's own.
        planting: What is planted.
        tell: Told how far the learning is.

    Raises:
        InputError: There is no finished run or shard, or a number is none.
        IntegrityError: Files differ from what was signed, or the run that forgot differs from
            the one that never had them.
        RefusedError: Somebody must be forgotten first, or a hold stands over the country.
        ConflictError: `out` is taken.
        UnavailableError: The ledger did not answer, or the extra `train` is not installed.
    """
    planting = planting or Planting()
    if min(planting.canaries, planting.repeats) < 1 or planting.candidates <= planting.canaries:
        raise InputError(
            f"{planting.canaries} canaries of {planting.repeats} records among "
            f"{planting.candidates} codes",
            hint="give one or more, and more codes than canaries",
        )
    partial = out.with_name(f"{out.name}.partial")
    if out.exists():
        raise ConflictError(f"'{out}' exists", hint="choose another folder")
    need_unsealed(partial)
    need_unsealed(run_folder)
    standing = standing_of(workspace, run_folder)
    work = _Work(workspace, run_folder, standing, partial, planting, tell)
    partial.mkdir(parents=True, exist_ok=True)
    work.delete()  # of an audit that was killed
    try:
        found = work.do(base)
    except StoppedError:
        work.keep_seal()
        raise
    finally:
        deleted = work.delete()
    partial.rename(out)
    return replace(found, deleted=deleted)


@dataclass
class _Work:
    """The runs of one audit, which go when it ends."""

    workspace: Workspace
    run_folder: Path
    standing: Standing
    folder: Path
    planting: Planting
    tell: Callable[[Told], None]

    def do(self, base: Path | None) -> Audit:
        """Train, measure, forget, measure, compare."""
        device, run = prepare_torch(), self.standing.run
        environment = fingerprint(device)
        shard = self._shard(digest_of(environment))
        foundation = find_base(self.workspace.path / BASES, run.base, base)
        never = self._train(self._order(shard, foundation, device))
        drawn = codes(self.planting.candidates, seed=self.planting.seed)
        rows = plant(
            drawn[: self.planting.canaries], self.planting.repeats, run.shards[shard].country,
            run.shards[shard].number, run.recipe.shards,
        )  # fmt: skip
        planted = self._train(
            replace(
                self._order(shard, foundation, device), out=self.folder / "planted",
                planted=rows, taken_from=never.path,
            )
        )  # fmt: skip
        look = _Look(foundation, device, self.standing, shard, drawn, self.planting.canaries, never)
        measured = look.at(BEFORE, planted)
        # Nobody's records are in no snapshot: to forgetting they are of somebody erased.
        after = forget(
            self.workspace, planted.path, Request(pending=True, by=BY),
            out=self.folder / "after", base=foundation, tell=self.tell,
        ).trained  # fmt: skip
        if after is None or {*planted.learned, *after.learned} != {shard}:
            raise ConflictError("the snapshot changed meanwhile", hint="audit again")
        measured += (*look.at(AFTER, after), *look.at(NEVER, never), look.alone())
        equal = compare(after.path, never.path, tuple(never.run.shards), whole=True)
        return Audit(
            run=run.digest, base=run.base.name, base_exposure=run.base.exposure,
            planting=self.planting, shard=shard, environment=environment, measured=measured,
            equal=equal, deleted={},
            is_run=never.run.shards[shard].adapter == run.shards[shard].adapter,
        )  # fmt: skip

    def _train(self, order: Order) -> Trained:
        return train(self.workspace, order, self.tell)

    def _order(self, shard: str, foundation: Path, device: str) -> Order:
        """Return the order of the run that never had the planted."""
        run, origin = self.standing.run, load_origin(self.run_folder)
        left_out = {bytes.fromhex(tag) for tag in origin.left_out}
        return Order(
            snapshot=Path(origin.snapshot),
            out=self.folder / "never",
            recipe=run.recipe,
            base=foundation,
            pin=run.base,
            # Who chose off since is in no run that comes later, not even in this one.
            left_out=frozenset(left_out | self.standing.refused_tags(shard)),
            without=frozenset(origin.without),
            taken_from=self.run_folder,
            again=frozenset((run.shards[shard].country,)),
            device=device,
        )

    def _shard(self, environment: str) -> str:
        """Return the shard to plant into."""
        standing, wanted = self.standing, self.planting.shard
        run = standing.run
        if standing.dropped or any(standing.pending.values()):
            raise RefusedError(
                "somebody must be forgotten from this run first",
                hint="run 'sayso forget --pending' with --out, and audit that run",
            )
        if wanted and wanted not in run.shards:
            raise InputError(f"the run has no shard '{wanted}'", hint="see its run.json")
        free = {
            name: one
            for name, one in run.shards.items()
            if one.country not in standing.countries and wanted in {"", name}
        }
        if not free:
            raise RefusedError(
                "holds or rules stand against learning any of it", hint="name another shard"
            )
        here = {name: one for name, one in free.items() if one.environment == environment}
        if not here:
            raise InputError(
                "the run was made in another environment, in which other bytes come out",
                hint="audit it where it was trained",
            )
        return min(here, key=lambda name: (here[name].tokens, name))

    def keep_seal(self) -> None:
        """Leave what was said of a stop where it is found."""
        for path in sorted(self.folder.glob(f"*/{SEALED}")):
            path.rename(self.folder / SEALED)

    def delete(self) -> dict[str, str]:
        """Delete every adapter that was made, and say so in the ledger; return what went."""
        doomed = [path for path in sorted(self.folder.iterdir()) if path.is_dir()]
        for place in doomed:
            if (place / NAME).is_file():
                made = load_run(place)
                # The same bytes as the audited run: then that one still has them.
                if made.digest != self.standing.run.digest:
                    append(
                        self.workspace, made.digest, "", FORGOTTEN, sorted(made.shards), (BY,), BY
                    )  # fmt: skip
        listing = self.folder / "deleted.json"
        # What forgetting deleted stands in a list that goes as well.
        lists = [load_note(path) for path in self.folder.glob(f"*/{DELETED}")]
        before: dict[str, str] = {name: one for told in lists for name, one in told.items()}
        if before:
            write_whole(listing, canonical_json(before))
        deleted = before | delete(doomed, listing)
        for place in doomed:
            for kind in (RUNS, BEGUN):
                drop_place(self.workspace.path, kind, place)
        return deleted


@dataclass
class _Look:
    """What models say of codes, of which the first were planted."""

    foundation: Path
    device: str
    standing: Standing
    shard: str
    codes: tuple[str, ...]
    planted: int
    never: Trained
    _references: list[list[Loss]] = field(default_factory=list)

    def at(self, when: str, trained: Trained) -> tuple[Measured, ...]:
        """Return what the shard's adapter and the release say."""
        served = tuple(name for name in trained.run.shards if name not in self.standing.refused)
        return (
            self._measure(when, ADAPTER, self._losses(trained, (self.shard,))),
            self._measure(when, RELEASE, self._losses(trained, served)),
        )

    def alone(self) -> Measured:
        """Return what the base says, which no adapter touched."""
        return self._measure(BASE, BASE, self._losses(self.never, ()))

    def _measure(self, when: str, model: str, losses: list[Loss]) -> Measured:
        mine, others = losses[: self.planted], losses[self.planted :]
        sums = [one.total for one in others]
        exposures = tuple(exposure(one.total, sums) for one in mine)
        return Measured(when, model, exposures, tell_apart(mine, others, self._calibration()))

    def _calibration(self) -> list[list[Loss]]:
        """Return the losses under other shards' adapters, which learned from none of it."""
        if not self._references:
            names = [name for name in self.never.run.shards if name != self.shard]
            found = [self._losses(self.never, (name,)) for name in names[:REFERENCES]]
            self._references = found or [self._losses(self.never, ())]
        return self._references

    def _losses(self, trained: Trained, names: tuple[str, ...]) -> list[Loss]:
        loaded = load_base(self.foundation, self.device)
        if names:
            merge: Merge = "mean" if trained.run.recipe.half_a == "frozen" else "concatenation"
            add_to(loaded.model, mean_of(trained.path, trained.run, names, merge))
        return losses_of(loaded, [text_of(code) for code in self.codes])
