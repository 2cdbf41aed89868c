"""Train: from a snapshot to one adapter for each shard.

Promises: what is not finished has another name (`<out>.partial`) and no run file; a shard's
files appear together or not at all; a run that was killed goes on where it was, shard by
shard (the one it died in begins again), and ends in the same bytes; a run whose permit ended
is sealed. Every other shard could be missing and a shard's bytes would be the same.

Life of a run: ask for a permit; find the base; read the shards; learn each in the order of
their names, renewing before every step; write the run file; sign the statement; the ledger
takes the run's entry; the folder gets its name.
"""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from sayso.attest.dsse import STATEMENT_TYPE, sign
from sayso.attest.statements import Base, training_run_statement
from sayso.attest.statements import Shard as StatedShard
from sayso.canonical import canonical_json, parse_canonical
from sayso.decision.states import microseconds
from sayso.errors import ConflictError, InputError, IntegrityError
from sayso.snapshot.folder import clear, link
from sayso.snapshot.manifest import Manifest, iso
from sayso.snapshot.pins import pins_of
from sayso.tables import flush, sha256_of
from sayso.training.environment import digest_of, fingerprint, prepare_torch
from sayso.training.foundation import find_base, own_base, pin_base
from sayso.training.learn import Lesson, Loaded, learn, load_base
from sayso.training.permit import MAX_AGE, Permit, StoppedError
from sayso.training.places import RUNS, begun, note_place
from sayso.training.runs import (
    ADAPTERS,
    LEAVES,
    NAME,
    PUBLIC_KEY,
    SETTINGS,
    SHARD_FILES,
    SOURCE,
    STARTED,
    STATEMENT,
    WEIGHTS,
    BasePin,
    Learned,
    Origin,
    Recipe,
    Run,
    load_run,
    write_whole,
)
from sayso.training.sealing import need_unsealed, seal_folder
from sayso.training.shards import Row, Shard, leaf_bytes, read_shards
from sayso.workspace import Workspace

ENTRY = "training-run"
BASES = "bases"


@dataclass(frozen=True, slots=True)
class Told:
    """How far a run is.

    Attributes:
        steps: Of this shard.
        loss: Of the last step.
        part: Of the whole run, from 0 to 1.
    """

    shard: str
    step: int
    steps: int
    loss: float
    part: float


@dataclass(frozen=True)
class Trained:
    """A finished run.

    Attributes:
        learned: Shards that were learned now; the others were there.
        left_out: Records of the snapshot that were not learned from.
    """

    path: Path
    run: Run
    entry: int
    learned: tuple[str, ...]
    left_out: int


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Attributes:
        base: A model's folder; None for the project's own small one.
        pin: The base that it must be, where a run exists that stands on it; None: any.
        left_out: Tags of records that nothing may learn from, beside those that would be
            refused today.
        without: Countries of which nothing is learned.
        taken_from: A run whose adapters are taken over where their shard is the same.
        again: Countries of which shards are learned again, so that a run can forget; then
            `left_out` is all that is left out. None: a run of its own.
        planted: Records of nobody that are learned from as well; of an audit.
        before: Digest of the run that this one takes the place of.
        device: None for a GPU where there is one.
    """

    snapshot: Path
    out: Path
    recipe: Recipe = field(default_factory=Recipe)
    base: Path | None = None
    pin: BasePin | None = None
    purpose: str | None = None
    max_age: timedelta = MAX_AGE
    left_out: frozenset[bytes] = frozenset()
    without: frozenset[str] = frozenset()
    taken_from: Path | None = None
    again: frozenset[str] | None = None
    planted: tuple[Row, ...] = ()
    before: str = ""
    device: str | None = None


def train(
    workspace: Workspace, order: Order, tell: Callable[[Told], None] = lambda _told: None
) -> Trained:
    """Train one adapter for each shard of a snapshot.

    Raises:
        InputError: There is no finished snapshot or base, or a setting is none.
        IntegrityError: A file differs from the manifest.
        RefusedError: There is no permit, or it ended: what was written is sealed.
        ConflictError: The folder is taken, or holds another run that is not finished.
        UnavailableError: The ledger did not answer, or the extra `train` is not installed.
    """
    partial = order.out.with_name(order.out.name + ".partial")
    need_unsealed(partial)
    permit = Permit.ask(
        workspace, order.snapshot, order.purpose, max_age=order.max_age, again=order.again
    )
    try:
        device = prepare_torch(order.device)
        base, pin = _base(workspace, order)
        left_out = order.left_out | (permit.left_out if order.again is None else frozenset())
        shards = read_shards(order.snapshot, order.recipe.shards, left_out, order.planted)
        shards = {n: one for n, one in shards.items() if one.country not in order.without}
        if not shards:
            raise InputError("nothing is left to learn from", hint="build another snapshot")
        with (
            _making(order.out, partial, permit.manifest, pin, order.recipe),
            begun(workspace.path, partial),
        ):
            work = _Work(partial, order, permit, pin, device, fingerprint(device), shards, tell)
            try:
                learned = work.learn_all(base)
            except StoppedError as stopped:
                seal_folder(permit, partial, stopped, where=work.current)
                raise
            run, entry = _finish(workspace, work, left_out)
            partial.rename(order.out)
            flush(order.out.parent)
            note_place(workspace.path, RUNS, run.digest, order.out)
    finally:
        permit.close()
    return Trained(order.out, run, entry, learned, len(left_out))


def _base(workspace: Workspace, order: Order) -> tuple[Path, BasePin]:
    if order.pin is not None:
        return find_base(workspace.path / BASES, order.pin, order.base), order.pin
    if order.base is None:
        return own_base(workspace.path / BASES, progress=workspace.progress)
    return order.base, pin_base(order.base)


@contextmanager
def _making(
    out: Path, partial: Path, manifest: Manifest, base: BasePin, recipe: Recipe
) -> Iterator[None]:
    """Hold `<out>.partial` for one run, which may have been begun before."""
    if out.exists():
        raise ConflictError(f"'{out}' exists", hint="choose another folder; runs never change")
    partial.mkdir(parents=True, exist_ok=True)
    lock = os.open(partial, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConflictError(f"another process trains '{out}'", hint="wait for it") from None
        begun = canonical_json(
            {"manifest": manifest.digest, "base": base.sha256, "recipe": recipe.digest}
        )
        path = partial / STARTED
        if not path.is_file():
            clear(partial)
            write_whole(path, begun)
        elif path.read_bytes() != begun:
            raise ConflictError(
                f"'{partial}' holds another run that is not finished",
                hint="finish it with the same settings, or delete it",
            )
        yield
    finally:
        os.close(lock)


@dataclass
class _Work:
    """The shards of one run, one after another."""

    folder: Path
    order: Order
    permit: Permit
    pin: BasePin
    device: str
    environment: dict[str, str]
    shards: dict[str, Shard]
    tell: Callable[[Told], None]
    learned: dict[str, Learned] = field(default_factory=dict)
    current: str = ""
    _steps: int = 0
    _read: int = 0

    def learn_all(self, base: Path) -> tuple[str, ...]:
        """Learn what is not there; return the names of what was learned."""
        total = sum(_letters(shard) for shard in self.shards.values()) or 1
        loaded: Loaded | None = None
        names = []
        for name, shard in self.shards.items():
            self.current = name
            found = self._finished(shard) or self._taken_over(shard)
            if found is None:
                self._need_leave(shard)
                loaded = loaded or load_base(base, self.device)
                found = self._learn(loaded, shard, total)
                names.append(name)
            self.learned[name] = found
            self._read += _letters(shard)
        for path in (self.folder / ADAPTERS).iterdir():
            if path.name not in self.shards:  # of a begun run that had more to learn from
                clear(path)
                path.rmdir()
        return tuple(names)

    def _need_leave(self, shard: Shard) -> None:
        """Refuse to learn a shard that the permit was not asked about."""
        if self.order.again is not None and shard.country not in self.order.again:
            raise IntegrityError(
                f"'{shard.name}' cannot be taken over, and nobody gave leave to learn it",
                hint="its adapter or its records differ: train anew",
            )

    def _learn(self, base: Loaded, shard: Shard, total: int) -> Learned:
        before = self._steps

        def renew(step: int) -> None:
            self.permit.renew(before + step)

        def tell(step: int, steps: int, loss: float) -> None:
            self._steps = before + step
            part = (self._read + _letters(shard) * step / steps) / total
            self.tell(Told(shard.name, step, steps, loss, part))

        renew(0)  # a shard without words has no step
        lesson = learn(base, shard.texts, self.order.recipe, renew, tell)
        return self._write(shard, lesson)

    def _write(self, shard: Shard, lesson: Lesson) -> Learned:
        """Write the files of one shard, together or not at all."""
        from safetensors.torch import save  # noqa: PLC0415

        weights = save(lesson.weights, metadata={"format": "pt"})
        learned = Learned(
            country=shard.country,
            number=shard.number,
            rows=len(shard.leaves),
            tokens=lesson.tokens,
            steps=lesson.steps,
            root=shard.root.hex(),
            adapter=hashlib.sha256(weights).hexdigest(),
            environment=digest_of(self.environment),
        )
        target = self.folder / ADAPTERS / shard.name
        made = target.with_name(f".{shard.name}.tmp")
        made.mkdir(parents=True, exist_ok=True)
        clear(made)
        settings = canonical_json(self._settings(shard, learned, lesson))
        for name, data in ((WEIGHTS, weights), (LEAVES, leaf_bytes(shard)), (SETTINGS, settings)):
            (made / name).write_bytes(data)
            flush(made / name)
        if target.exists():  # what it learned from is not what counts now
            clear(target)
            target.rmdir()
        made.rename(target)
        flush(target.parent)
        return learned

    def _settings(self, shard: Shard, learned: Learned, lesson: Lesson) -> dict[str, object]:
        names = {name.partition(".lora_")[0] for name in lesson.weights}
        return {
            "format": "sayso/adapter/v1",
            "shard": shard.name,
            "base": self.pin.sha256,
            "recipe": self.order.recipe.digest,
            "rank": self.order.recipe.rank,
            "alpha": self.order.recipe.alpha,
            "modules": sorted(name.removeprefix("base_model.model.") for name in names),
            "learned": learned.model_dump(),
        }

    def _finished(self, shard: Shard) -> Learned | None:
        """Return a shard of this folder that was finished before, from the same records."""
        return self._there(self.folder, shard)

    def _taken_over(self, shard: Shard) -> Learned | None:
        """Return a shard of an earlier run, linked here, where it is the same."""
        source = self.order.taken_from
        found = self._there(source, shard) if source else None
        if found is None or source is None:
            return None
        target = self.folder / ADAPTERS / shard.name
        made = target.with_name(f".{shard.name}.tmp")
        made.mkdir(parents=True, exist_ok=True)
        clear(made)
        for name in SHARD_FILES:
            link(source / ADAPTERS / shard.name / name, made / name)
        if target.exists():
            clear(target)
            target.rmdir()
        made.rename(target)
        return found

    def _there(self, folder: Path, shard: Shard) -> Learned | None:
        """Return what a folder holds of a shard, if it is whole and of the same records."""
        place = folder / ADAPTERS / shard.name
        try:
            settings = parse_canonical((place / SETTINGS).read_bytes())
            assert isinstance(settings, dict)  # noqa: S101
            learned = Learned.model_validate(settings["learned"])
        except (OSError, InputError, IntegrityError, ValueError, KeyError, AssertionError):
            return None
        same = (
            settings["base"] == self.pin.sha256
            and settings["recipe"] == self.order.recipe.digest
            and learned.root == shard.root.hex()
            and (place / LEAVES).is_file()
            and (place / WEIGHTS).is_file()
        )
        return learned if same and sha256_of((place / WEIGHTS,)) == learned.adapter else None


def _letters(shard: Shard) -> int:
    return sum(map(len, shard.texts))


# ---- finishing --------------------------------------------------------------------------


def _finish(workspace: Workspace, work: _Work, left_out: frozenset[bytes]) -> tuple[Run, int]:
    """Write the run file and its evidence, and append the run's entry."""
    order, permit = work.order, work.permit
    environments = {digest_of(work.environment): work.environment}
    if order.taken_from is not None:
        environments |= _environments_of(order.taken_from)
    used = {one.environment for one in work.learned.values()}
    run = Run(
        purpose=permit.manifest.purpose,
        base=work.pin,
        recipe=order.recipe,
        environments={digest: environments[digest] for digest in sorted(used)},
        shards=work.learned,
    )
    origin = Origin(
        snapshot=str(order.snapshot.resolve()),
        manifest=permit.manifest.digest,
        at=iso(permit.at),
        known=permit.known,
        left_out=tuple(sorted(tag.hex() for tag in left_out)),
        without=tuple(sorted(order.without)),
        planted=len(order.planted),
        before=order.before,
    )
    folder = work.folder
    write_whole(folder / NAME, run.to_bytes())
    write_whole(folder / SOURCE, canonical_json(origin.model_dump()))
    stated = run_statement(permit.manifest, run, sha256_of((folder / SOURCE,)))
    envelope = sign(STATEMENT_TYPE, stated, workspace.trust.key)
    write_whole(folder / STATEMENT, envelope.to_bytes())
    write_whole(folder / PUBLIC_KEY, workspace.trust.key.public.to_pem())
    payload = {
        "run": run.digest,
        "snapshot": permit.manifest.digest,
        "statement": hashlib.sha256(stated).hexdigest(),
        "purpose": run.purpose,
        "before": order.before,
        "shards": {name: one.adapter for name, one in run.shards.items()},
    }
    at_us = microseconds(workspace.clock())
    entry = workspace.ledger.append_public(ENTRY, payload, at_us).index
    with suppress(FileNotFoundError):
        (folder / STARTED).unlink()
    return run, entry


def _environments_of(folder: Path) -> dict[str, dict[str, str]]:
    return dict(load_run(folder).environments)


def run_statement(manifest: Manifest, run: Run, source: str) -> bytes:
    """Return the statement of a run; `source` is the digest of `evidence/source.json`."""
    adapters = {f"{ADAPTERS}/{name}/{WEIGHTS}": one.adapter for name, one in run.shards.items()}
    shards = [
        StatedShard(name, bytes.fromhex(one.root), f"{ADAPTERS}/{name}/{WEIGHTS}", one.environment)
        for name, one in run.shards.items()
    ]
    return training_run_statement(
        adapters,
        pins_of(manifest, {NAME: run.digest, "source.json": source}),
        snapshot=manifest.digest,
        base=Base(run.base.name, run.base.sha256, run.base.exposure),
        recipe=run.recipe.digest,
        seed=run.recipe.seed,
        shards=shards,
        environments=run.environments,
    )
