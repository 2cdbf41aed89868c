"""Release: a base plus the exact mean of adapters, of which each may be served now.

Promises: law 13. A release holds no adapter whose shard is held, was dropped, follows rules
that are others now, or learned from a record that would be refused today for any reason but
an `off` under `future-runs`; whether it may still be served is asked again whenever it is
opened. A release is a folder under the digest of its files: the same adapters give the same
folder, and no other name ever leads to other weights.

    <out>/<digest, 16 digits>/release.json   base, adapters, files, canonical
    <out>/<digest, 16 digits>/model/         in Hugging Face's format
    <out>/<digest, 16 digits>/evidence/      statement.json, attest.pem
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sayso.attest.dsse import STATEMENT_TYPE, sign
from sayso.attest.statements import Base, Pins, release_statement, verify_statement
from sayso.canonical import canonical_json, parse_canonical
from sayso.decision.states import microseconds
from sayso.errors import ConflictError, InputError, IntegrityError, RefusedError
from sayso.log.checkpoint import Checkpoint
from sayso.model import SEMANTICS
from sayso.rulebook.civil import TZDATA_VERSION
from sayso.rulebook.in_force import in_force
from sayso.snapshot.folder import clear
from sayso.training.environment import prepare_torch
from sayso.training.foundation import digests_of, find_base
from sayso.training.merge import Merge, mean_of, merge_into, rank_of
from sayso.training.objections import closed_countries
from sayso.training.places import RELEASES, begun, note_place
from sayso.training.run import BASES
from sayso.training.runs import (
    ADAPTERS,
    PUBLIC_KEY,
    STATEMENT,
    WEIGHTS,
    BasePin,
    Run,
    load_run,
    write_whole,
)
from sayso.training.sealing import need_unsealed
from sayso.training.servable import Standing, load_dropped, standing_of
from sayso.workspace import Workspace

ENTRY, DISPOSITION = "release", "disposition"
NAME, MODEL = "release.json", "model"
FORMAT: Literal["sayso/release/v1"] = "sayso/release/v1"
_DIGITS = 16

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Release(BaseModel):
    """What a release is made of: `release.json`.

    Attributes:
        run: Digest of the run whose adapters they are.
        merge: How their mean was taken; `rank` is that of what was added.
        adapters: Shard -> SHA-256 of its weights; all that went in, and no other.
        files: Path below `model/` -> SHA-256.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal["sayso/release/v1"] = FORMAT
    purpose: str
    base: BasePin
    run: Sha256
    merge: Merge
    rank: int = Field(ge=1)
    adapters: dict[str, Sha256]
    files: dict[str, Sha256]

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return canonical_json(self.model_dump())

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes, in hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def countries(self) -> tuple[str, ...]:
        """Countries whose members its adapters learned from."""
        return tuple(sorted({name.partition("-")[0] for name in self.adapters}))


@dataclass(frozen=True)
class Released:
    """A release that was made.

    Attributes:
        left_out: Shard -> why it may not be served.
        spared: Records of members who chose off since, under `future-runs`.
    """

    path: Path
    release: Release
    entry: int
    left_out: Mapping[str, tuple[str, ...]]
    spared: int


def release(
    workspace: Workspace,
    run_folder: Path,
    out: Path,
    *,
    base: Path | None = None,
    content: Path | None = None,
    leave_out: bool = False,
    merge: Merge = "mean",
) -> Released:
    """Merge the adapters of a run into a release.

    Args:
        workspace: Asked as of now.
        run_folder: A finished run.
        out: Where releases stand; made where it is not there.
        base: Where the base stands; None where it is the project's own.
        content: Records as they are now; None: as in the snapshot.
        leave_out: Leave out adapters that may not be served; else one of them refuses all.
        merge: `mean`, for adapters of one frozen half A; or `concatenation`, for all.

    Raises:
        InputError: There is no finished run, its snapshot is gone, nothing may be served, or
            the adapters have no mean of this kind.
        IntegrityError: Weights, base or snapshot differ from what was signed.
        RefusedError: An adapter may not be served.
        UnavailableError: The ledger did not answer, or the extra `train` is not installed.
    """
    need_unsealed(run_folder)
    run = load_run(run_folder)
    standing = standing_of(workspace, run_folder, content)
    refused = standing.refused
    if refused and not leave_out:
        first = next(iter(refused))
        raise RefusedError(
            f"{len(refused)} of {len(run.shards)} adapters may not be served; "
            f"'{first}': {', '.join(refused[first])}",
            hint="run 'sayso forget', or release the others with --leave-out",
        )
    names = tuple(name for name in run.shards if name not in refused)
    prepare_torch("cpu")
    deltas = mean_of(run_folder, run, names, merge)
    foundation = find_base(workspace.path / BASES, run.base, base)
    made = out / f".{run.digest[:_DIGITS]}.partial"
    made.mkdir(parents=True, exist_ok=True)
    with begun(workspace.path, made):
        return _make(workspace, run_folder, made, foundation, deltas, standing, names, merge)


def _make(
    workspace: Workspace, run_folder: Path, made: Path, foundation: Path,
    deltas: Mapping[str, Any], standing: Standing, names: tuple[str, ...], merge: Merge,
) -> Released:  # fmt: skip
    """Write a release, have it signed, and give it its name."""
    run = standing.run
    clear(made)
    (made / MODEL).mkdir()
    merge_into(foundation, deltas, made / MODEL)
    found = Release(
        purpose=run.purpose,
        base=run.base,
        run=run.digest,
        merge=merge,
        rank=rank_of(run, len(names), merge),
        adapters={name: run.shards[name].adapter for name in names},
        files=digests_of(made / MODEL),
    )
    write_whole(made / NAME, found.to_bytes())
    entry = _state(workspace, made, found, standing)
    if gone := sorted(load_dropped(run_folder).shards & set(names)):
        # Forgotten while this was merged: the ledger may say so of this release, or not yet.
        clear(made)
        raise RefusedError(f"'{gone[0]}' was dropped just now", hint="release again")
    place = made.with_name(found.digest[:_DIGITS])
    _place(made, place, found)
    note_place(workspace.path, RELEASES, found.digest, place)
    return Released(place, found, entry, standing.refused, standing.spared_records(names))


def _place(made: Path, place: Path, found: Release) -> None:
    """Give a release its name; one that stands there already is the same, or not whole."""
    if place.exists():
        if verify_release(place) != found:
            raise ConflictError(f"'{place}' holds another release", hint="choose another folder")
        clear(place)
        place.rmdir()
    made.rename(place)


def _state(workspace: Workspace, made: Path, found: Release, standing: Standing) -> int:
    """Sign the statement of a release and append its entry."""
    known, rules = standing.known, workspace.rules(standing.known)
    done = workspace.integrate()
    pins = Pins(
        purpose=found.purpose,
        at=standing.at,
        known=known,
        log=Checkpoint(workspace.trust.log.name, done.size, done.root),
        rulebook=rules.book.digest,
        rulebook_entry=rules.entry,
        semantics=SEMANTICS,
        tzdata=TZDATA_VERSION,
        inputs={"run.json": found.run},
        siblings={},
    )
    pinned = Base(found.base.name, found.base.sha256, found.base.exposure)
    adapters = {f"{ADAPTERS}/{name}/{WEIGHTS}": one for name, one in found.adapters.items()}
    subjects = {f"{MODEL}/{name}": one for name, one in found.files.items()}
    stated = release_statement(
        subjects | {NAME: found.digest}, pins, base=pinned, adapters=adapters, merge=found.merge
    )
    envelope = sign(STATEMENT_TYPE, stated, workspace.trust.key)
    write_whole(made / STATEMENT, envelope.to_bytes())
    write_whole(made / PUBLIC_KEY, workspace.trust.key.public.to_pem())
    payload = {
        "release": found.digest,
        "run": found.run,
        "purpose": found.purpose,
        "statement": hashlib.sha256(stated).hexdigest(),
        "adapters": dict(found.adapters),
    }
    at_us = microseconds(workspace.clock())
    return workspace.ledger.append_public(ENTRY, payload, at_us).index


# ---- opening ----------------------------------------------------------------------------


def verify_release(folder: Path) -> Release:
    """Return what a release is made of, after comparing every file's digest.

    Raises:
        InputError: There is no release.
        IntegrityError: A file differs, is missing or is one too many.
    """
    path = folder / NAME
    if not path.is_file():
        raise InputError(f"no release in '{folder}'", hint="run 'sayso release'")
    try:
        found = Release.model_validate(parse_canonical(path.read_bytes()))
    except ValidationError:
        raise InputError(f"'{path}' is malformed", hint="release again") from None
    if digests_of(folder / MODEL) != found.files:
        raise IntegrityError(
            f"the weights in '{folder}' are not those of the release", hint="release again"
        )
    return found


def open_release(workspace: Workspace, folder: Path) -> Release:
    """Return a release that may be served now.

    Its weights are compared with what this workspace signed, and its countries asked about.
    Cheap enough to be asked again for every answer: holds are looked up, records are not;
    `sayso forget --pending` looks at records.

    Raises:
        InputError: There is no release.
        IntegrityError: A file differs, or this workspace signed another or none.
        RefusedError: A hold stands over one of its countries, or it was sealed.
        UnavailableError: The ledger did not answer.
    """
    found = verify_release(folder)
    _verify_signed(workspace, folder, found)
    check_served(workspace, found)
    return found


def _verify_signed(workspace: Workspace, folder: Path, found: Release) -> None:
    """Compare a release with its statement, and with its entry of the ledger."""
    path = folder / STATEMENT
    try:
        said = verify_statement(path.read_bytes(), [workspace.trust.key.public])
    except (OSError, InputError):
        raise IntegrityError(
            f"the release in '{folder}' has no statement", hint="release again"
        ) from None
    entry = workspace.ledger.latest(ENTRY, workspace.ledger.size(), release=found.digest)
    subjects = {f"{MODEL}/{name}": one for name, one in found.files.items()}
    if entry is None or said.subjects != subjects | {NAME: found.digest}:
        raise IntegrityError(
            f"this workspace did not sign the release in '{folder}'", hint="release again"
        )


def check_served(workspace: Workspace, found: Release) -> None:
    """Return where a release may be served now.

    Raises:
        RefusedError: A hold stands over one of its countries, or an adapter of it was dropped.
        UnavailableError: The ledger did not answer.
    """
    known = workspace.ledger.size()
    now = in_force(workspace.rules(known).book, found.purpose, workspace.clock())
    if closed := closed_countries(found.countries, now):
        raise RefusedError(
            f"{next(iter(closed.values()))}, of which this release learned",
            hint="release again with --leave-out",
        )
    for entry in workspace.ledger.public(DISPOSITION, known, newest_first=True):
        if entry.payload.get("release") == found.digest:
            if entry.payload["disposition"] != "kept":
                raise RefusedError(
                    f"this release was {entry.payload['disposition']} by entry {entry.index}",
                    hint="release again",
                )
            return


def run_of(workspace: Workspace, folder: Path) -> Run:
    """Return the run in a folder, which must be of this workspace.

    Raises:
        InputError: It is not.
    """
    run = load_run(folder)
    if workspace.ledger.latest("training-run", workspace.ledger.size(), run=run.digest) is None:
        raise InputError(f"'{folder}' is no run of this workspace", hint="name its own workspace")
    return run
