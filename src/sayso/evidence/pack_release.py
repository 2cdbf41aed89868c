"""The pack of a release: what it is made of, down to the snapshot, with a bill of materials.

Promises: the weights were compared with `release.json` while the pack was made; every entry
that the report names stands in it with its proof; no data of a member, and no weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from sayso.attest.statements import verify_statement
from sayso.canonical import canonical_json, parse_canonical
from sayso.errors import InputError, IntegrityError
from sayso.evidence.bom import bom_bytes, bom_of_release
from sayso.evidence.entries import RULEBOOK, SNAPSHOT, Folder, Folders, Logged, entries_at
from sayso.evidence.layout import BOM
from sayso.evidence.packs import HELD, REPORT, Packed, Source, finish, need_room
from sayso.evidence.report import Check, render
from sayso.evidence.report_parts import plural
from sayso.evidence.report_release import ReleaseFacts, release_json, report_release
from sayso.ledger.store import PublicEntry
from sayso.rulebook.parse import parse_rulebook
from sayso.training.follow import training_entries
from sayso.training.places import RUNS, places
from sayso.training.release import DISPOSITION, ENTRY, MODEL, Release, verify_release
from sayso.training.release import NAME as RELEASE_FILE
from sayso.training.run import ENTRY as RUN_ENTRY
from sayso.training.runs import NAME as RUN_FILE
from sayso.training.runs import STATEMENT, Run, load_run


def pack_release(
    source: Source,
    release: Path,
    out: Path,
    *,
    run: Path | None = None,
    folders: Sequence[Path] = (),
) -> Packed:
    """Write the pack of a release.

    Args:
        source: What it is made from.
        release: Its folder.
        out: The file; nothing stands there yet.
        run: The folder of its run; None: where the workspace noted it.
        folders: Snapshots that the workspace does not know where to find.

    Raises:
        InputError: There is no release, it is not of this workspace, its run is not at hand,
            or an entry is not in the log yet.
        IntegrityError: Something does not hold.
        ConflictError: Something stands at `out`.
    """
    need_room(out)
    logged = Logged(source.ledger, source.trust)
    made, has_weights = _release(release)
    signed = (release / STATEMENT).read_bytes()
    found = _found(source, logged, made, signed, run, folders)
    own, run_own, snapshot = found.own, found.run_own, found.snapshot
    files = logged.trusted()
    for entry in (*found.books, snapshot.said, run_own, own, *found.became):
        files |= logged.public(entry)
    bom = bom_of_release(made.model_dump(), made.digest, own.recorded_us, snapshot.said.payload)
    inside = f"snapshots/{snapshot.said.index}"
    files |= {
        f"{inside}/statement.json": snapshot.folder.statement,
        f"{inside}/manifest.json": snapshot.folder.manifest.to_bytes(),
        f"releases/{own.index}/{RELEASE_FILE}": made.to_bytes(),
        f"releases/{own.index}/statement.json": signed,
        f"runs/{run_own.index}/{RUN_FILE}": found.run.to_bytes(),
        f"runs/{run_own.index}/statement.json": found.run_signed,
        BOM: bom_bytes(bom),
    }
    facts = _facts(source, made, found, _checks(made, own, logged.size, has_weights=has_weights))
    files |= {
        REPORT: render(report_release(facts)),
        "report.json": canonical_json(release_json(facts)),
    }
    return finish(source, out, "release", {"release": made.digest}, files)


@dataclass(frozen=True)
class _Snapshot:
    """A snapshot's entry and its folder."""

    said: PublicEntry
    folder: Folder


@dataclass(frozen=True)
class _Found:
    """What stands behind a release.

    Attributes:
        own: Its entry.
        pinned: The entry of the rulebook by which it was released.
        books: That one, and the one that decided the snapshot.
        became: Dispositions of the release.
    """

    own: PublicEntry
    run: Run
    run_own: PublicEntry
    run_signed: bytes
    snapshot: _Snapshot
    pinned: int
    books: tuple[PublicEntry, ...]
    became: tuple[PublicEntry, ...]


def _found(
    source: Source,
    logged: Logged,
    made: Release,
    signed: bytes,
    run_folder: Path | None,
    folders: Sequence[Path],
) -> _Found:
    """Return what stands behind a release. Raises as `pack_release`."""
    ledger = source.ledger
    training = training_entries(ledger, logged.size)
    own = _own(training, ENTRY, "release", made.digest, signed, source)
    run, run_signed = _run(source, made, run_folder)
    run_own = _own(training, RUN_ENTRY, "run", run.digest, run_signed, source)
    known = Folders(ledger, source.trust, folders)
    # One question that was built twice has two entries.
    built = [
        entry
        for entry in ledger.public(SNAPSHOT, logged.size)
        if entry.payload["manifest"] == run_own.payload["snapshot"]
    ]
    said = next((one for one in built if one.index in known.by_entry), None)
    if said is None:
        raise InputError(
            f"the snapshot of entry {built[-1].index} is not at hand",
            hint="name it with --snapshot",
        )
    snapshot = _Snapshot(said, known.by_entry[said.index])
    pinned = verify_statement(signed, source.trust.keys).predicate["rulebook"]["entry"]
    wanted = {pinned, snapshot.folder.manifest.rulebook.entry}
    return _Found(
        own=own,
        run=run,
        run_own=run_own,
        run_signed=run_signed,
        snapshot=snapshot,
        pinned=pinned,
        books=tuple(entries_at(ledger, RULEBOOK, wanted)),
        became=tuple(
            entry
            for entry in training
            if entry.kind == DISPOSITION and made.digest == entry.payload["release"]
        ),
    )


def _facts(source: Source, made: Release, found: _Found, checks: tuple[Check, ...]) -> ReleaseFacts:
    read = {one.index: parse_rulebook(one.payload["files"]) for one in found.books}
    manifest = found.snapshot.folder.manifest
    return ReleaseFacts(
        release=made,
        entry=found.own,
        run=found.run,
        run_entry=found.run_own,
        snapshot=found.snapshot.said,
        manifest=manifest,
        became=found.became,
        book=read[found.pinned],
        book_entry=found.pinned,
        deciding=read[manifest.rulebook.entry],
        policy=source.trust.policy,
        checks=checks,
        made_at=source.made_at,
    )


def _release(folder: Path) -> tuple[Release, bool]:
    """Return a release, and whether its weights are there; those of a forgotten one are not.

    Raises:
        InputError: There is no release.
        IntegrityError: A file differs.
    """
    if (folder / MODEL).is_dir() or not (folder / RELEASE_FILE).is_file():
        return verify_release(folder), True
    try:
        return Release.model_validate(parse_canonical((folder / RELEASE_FILE).read_bytes())), False
    except ValidationError:
        raise InputError(f"'{folder / RELEASE_FILE}' is malformed", hint="release again") from None


def _own(
    training: Sequence[PublicEntry],
    kind: str,
    what: str,
    digest: str,
    signed: bytes,
    source: Source,
) -> PublicEntry:
    """Return the entry that names a file and its signed statement.

    Raises:
        InputError: There is none.
        IntegrityError: The statement is not signed by this workspace.
    """
    stated = verify_statement(signed, source.trust.keys)
    for entry in training:
        named = (entry.payload.get(what), entry.payload.get("statement"))
        if entry.kind == kind and named == (digest, stated.digest):
            return entry
    raise InputError(f"it is no {what} of this workspace", hint="name one that was made here")


def _run(source: Source, made: Release, folder: Path | None) -> tuple[Run, bytes]:
    """Return the run of a release and its signed statement.

    Raises:
        InputError: It is not at hand.
        IntegrityError: It is another, or has not the release's adapters.
    """
    place = folder or places(source.ledger.folder, RUNS).get(made.run)
    if place is None or not (place / RUN_FILE).is_file():
        raise InputError(
            f"the run {made.run[:16]} of the release is not at hand", hint="name it with --run"
        )
    found = load_run(place)
    adapters = {name: one.adapter for name, one in found.shards.items()}
    if found.digest != made.run or not made.adapters.items() <= adapters.items():
        raise IntegrityError(f"'{place}' is not the run of the release")
    return found, (place / STATEMENT).read_bytes()


def _checks(made: Release, own: PublicEntry, size: int, *, has_weights: bool) -> tuple[Check, ...]:
    return (
        Check(
            f"{plural(len(made.files), 'file', 'files')} of the model are those that release.json "
            "lists, to the last bit. They are not in this pack.",
            HELD if has_weights else "They are not there any more: they were forgotten.",
        ),
        Check(
            "Base, recipe, shards and adapters are the same in the files of release and run, in "
            "their signed statements, and in their entries.",
            HELD,
        ),
        Check(
            f"Entry {own.index} of the ledger names this release, and stands in the log of "
            f"{plural(size, 'entry', 'entries')} under a signed checkpoint; so do its run, its "
            "snapshot, the rulebooks, and whatever became of it since.",
            HELD,
        ),
    )
