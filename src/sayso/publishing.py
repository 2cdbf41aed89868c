"""Publishing: how drafts of the rulebook become what decisions read.

Promises: what counts is the last published rulebook, whole; two officers who publish at once
never undo each other's work; an ordered hold goes only with the approval of who ordered it.
Does not decide.

A hold is placed and lifted on top of what is published, never of drafts: a draft amid an
edit keeps no hold from standing, and no hold publishes somebody's draft.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import lru_cache
from importlib.resources import files as package_files
from importlib.resources.abc import Traversable
from pathlib import Path

from sayso.decision.states import EPOCH
from sayso.errors import ConflictError, InputError
from sayso.ledger.entries import Receipt
from sayso.ledger.store import Ledger
from sayso.model import Dated, Position, Rulebook, Source
from sayso.rulebook.check import check_files
from sayso.rulebook.edit import lift_hold, place_hold
from sayso.rulebook.keeping import keep_holds
from sayso.rulebook.parse import RulebookError, load_files, parse_rulebook, rulebook_digest
from sayso.snapshot.request import Rules

Files = Mapping[str, str]
Edit = Callable[[Files], dict[str, str]]

TEMPLATES = ("linkedin-2024",)
# Before the first publication: no purpose, no rule, and so nothing admitted.
NO_RULES = Rules(Rulebook({}, (), (), {}, {}, rulebook_digest({})), -1)
# How often a hold is placed anew where others publish at the same moment.
TRIES = 20


def published(ledger: Ledger, known: int) -> Rules:
    """Return the last rulebook published below `known`; an empty one before the first."""
    entry = ledger.latest("rulebook", known)
    if entry is None:
        return NO_RULES
    return Rules(_parsed(tuple(sorted(entry.payload["files"].items()))), entry.index)


def need_purpose(rules: Rules, purpose: str) -> Rules:
    """Return the rulebook that a question about a purpose reads.

    A purpose that it does not declare is a slip of whoever asks, and no answer would tell them
    so: nothing is admitted, as it should be. Before the first publication nothing is declared,
    so no name is a slip, and the answer is `NO_RULE` for everybody.

    Raises:
        InputError: The rulebook does not declare the purpose.
    """
    if rules is not NO_RULES and purpose not in rules.book.purposes:
        raise InputError(f"unknown purpose '{purpose}'", hint=purposes_hint(rules.book))
    return rules


def purposes_hint(*books: Rulebook) -> str:
    """Return what to do where a purpose is in none of some rulebooks."""
    names = dict.fromkeys(name for book in books for name in book.purposes)
    return f"use one of {', '.join(names)}" if names else "publish a rulebook that declares it"


@lru_cache(maxsize=32)
def _parsed(files: tuple[tuple[str, str], ...]) -> Rulebook:
    return parse_rulebook(dict(files))


def publish(
    ledger: Ledger,
    files: Files,
    recorded_us: int,
    *,
    based_on: int | None = None,
    lifts_apart: bool = False,
) -> tuple[Receipt, Rulebook]:
    """Publish files as the rulebook that counts from now on.

    Args:
        ledger: Whose.
        files: The whole rulebook.
        recorded_us: The time of recording.
        based_on: The entry that was read before editing; None where it does not matter.
        lifts_apart: Whether a hold is lifted elsewhere and never by these files.

    Raises:
        RulebookError: The files have faults.
        ConflictError: They are what is published already, or somebody published meanwhile.
        RefusedError: A hold would hold less: see `sayso.rulebook.keeping`.
    """
    if faults := check_files(files):
        raise RulebookError(faults)
    book = parse_rulebook(files)
    with ledger.writing() as con:
        current = published(ledger, ledger.size())
        if current.book.digest == book.digest:
            raise ConflictError(
                f"this rulebook is published already, as entry {current.entry}",
                hint="edit it first",
            )
        if based_on is not None and current.entry != based_on:
            raise ConflictError(
                f"entry {current.entry} was published meanwhile", hint="read it, then try again"
            )
        now = EPOCH + timedelta(microseconds=recorded_us)
        keep_holds(current.book, book, now, lifts_apart=lifts_apart)
        payload = {"digest": book.digest, "files": dict(files)}
        return ledger.append_public("rulebook", payload, recorded_us, con), book


def edit_and_publish(ledger: Ledger, folder: Path, recorded_us: int, edit: Edit) -> Receipt:
    """Edit what is published and publish it, and edit the drafts in `folder` alike.

    Raises:
        InputError: The edit does not fit what is published.
        RefusedError: The rules forbid it.
        ConflictError: Others published at every one of TRIES moments.
    """
    for attempt in range(TRIES):
        rules = published(ledger, ledger.size())
        wanted = edit(rules.book.files)
        try:
            receipt, _ = publish(ledger, wanted, recorded_us, based_on=rules.entry)
        except ConflictError:
            if attempt == TRIES - 1:
                raise
            continue
        try:
            draft = load_files(folder)
            edited = wanted if draft == rules.book.files else edit(draft)
        except InputError:
            return receipt  # the officer is amid an edit; the hold stands all the same
        write_rulebook(folder, edited)
        return receipt
    raise AssertionError


def placing(
    hold_id: str | None,
    scope: str,
    *,
    purposes: tuple[str, ...],
    begins: Dated,
    placed_by: str,
    asked_by: str,
    ordered_by: str,
    condition: str,
    source: Source | None,
) -> tuple[Edit, list[str]]:
    """Return the edit that places a hold, and a list whose last item will be its id."""
    names: list[str] = []

    def edit(files: Files) -> dict[str, str]:
        if not names:
            names.append(hold_id or _free_id(scope, begins, parse_rulebook(files)))
        return place_hold(
            files, hold_id=names[-1], scope=scope, purposes=purposes, begins=begins,
            placed_by=placed_by, asked_by=asked_by, ordered_by=ordered_by, condition=condition,
            source=source or "assumption",
        )  # fmt: skip

    return edit, names


def lifting(hold_id: str, *, lifted: Dated, source: Source | None, position: Position) -> Edit:
    """Return the edit that lifts a hold."""

    def edit(files: Files) -> dict[str, str]:
        return lift_hold(
            files,
            hold_id=hold_id,
            lifted=lifted,
            source=source or "assumption",
            position=position,
        )

    return edit


def _free_id(scope: str, begins: Dated, book: Rulebook) -> str:
    day = str(begins.value)[:10]
    taken = {hold.hold_id for hold in book.holds}
    name, number = f"{scope.lower()}-{day}", 2
    while name in taken:
        name, number = f"{scope.lower()}-{day}-{number}", number + 1
    return name


def template_files(name: str) -> dict[str, str]:
    """Return the rulebook files of a template, by path."""
    found: dict[str, str] = {}

    def walk(folder: Traversable, inside: str) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                walk(entry, f"{inside}{entry.name}/")
            elif entry.name.endswith(".yaml"):
                found[inside + entry.name] = entry.read_text(encoding="utf-8")

    walk(package_files("sayso") / "templates" / name, "")
    return dict(sorted(found.items()))


def write_rulebook(folder: Path, files: Files) -> None:
    """Write rulebook files, each whole or not at all."""
    for name, text in files.items():
        path = folder / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f".{path.name}.tmp")
        made.write_text(text, encoding="utf-8")
        made.replace(path)
