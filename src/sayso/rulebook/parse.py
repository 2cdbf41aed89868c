"""Rulebook files to a typed rulebook, or every fault of every file.

Promises: any text gives a `Rulebook` or a `RulebookError`; every fault has a file, a line
and what to write instead. `parse_rulebook` is pure, `load_rulebook` reads. Looks at one
file at a time; what needs the whole book is the work of `sayso.rulebook.check`.

Example:
    >>> parse_rulebook({}).rules
    ()
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sayso.errors import InputError
from sayso.model import (
    Country,
    Group,
    Hold,
    Membership,
    Notice,
    Place,
    Purpose,
    Rule,
    Rulebook,
    Source,
    Wording,
)
from sayso.rulebook import tree
from sayso.rulebook.refusal import Path as KeyPath
from sayso.rulebook.refusal import refusals_of
from sayso.rulebook.rough import Rough
from sayso.rulebook.schema import (
    ASSUMPTION,
    Doc,
    GroupDoc,
    HoldDoc,
    PurposeDoc,
    RuleDoc,
    ScopeDoc,
    SourceDoc,
    told,
)

# Stands before the files in what is hashed, so that no other document has the same digest.
DIGEST_LABEL = b"sayso-rulebook/v1\n"

_ROOMS: Mapping[str, type[Doc]] = {
    "purposes": PurposeDoc,
    "groups": GroupDoc,
    "scopes": ScopeDoc,
}


class Fault(NamedTuple):
    """What is wrong with a rulebook, where (line is 1-based), and what to write instead."""

    file: str
    line: int
    message: str
    hint: str

    def __str__(self) -> str:
        """`file:line: message; hint`."""
        return f"{self.file}:{self.line}: {self.message}; {self.hint}"


class RulebookError(InputError):
    """The rulebook has faults.

    Attributes:
        faults: All of them, by file and line; never empty.
    """

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        first, count = faults[0], len(faults)
        more = f" and {count - 1} more" if count > 1 else ""
        super().__init__(
            f"a fault in {first.file}:{first.line}{more}: {first.message}", hint=first.hint
        )
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Sheet:
    """One file that was read without a fault.

    Attributes:
        stem: The file's name without its extension: a purpose, group or scope.
        lines: The 1-based line of every value, by its path.
    """

    file: str
    stem: str
    doc: Doc
    lines: Mapping[KeyPath, int]


def parse_rulebook(files: Mapping[str, str]) -> Rulebook:
    """Parse rulebook files.

    Args:
        files: POSIX path inside the rulebook -> text.

    Raises:
        RulebookError: With every fault of every file.
    """
    read = read_sheets(files)
    if read.faults:
        raise RulebookError(read.faults)
    return book_of(read.sheets, files)


def load_rulebook(directory: Path) -> Rulebook:
    """Read and parse the rulebook in a directory.

    Raises:
        InputError: If there is no such directory, or a file cannot be read.
        RulebookError: With every fault of every file.
    """
    return parse_rulebook(load_files(directory))


def load_files(directory: Path, *, lossy: bool = False) -> dict[str, str]:
    """Read the texts of a rulebook by POSIX path, in order; names with a dot first are skipped.

    A file whose extension only resembles `.yaml` comes along, so that it is refused
    and not passed over.

    Args:
        directory: Where the rulebook is.
        lossy: Whether bytes that are no UTF-8 come along as lone surrogates, which are a
            fault like any other; for who wants all faults at once.

    Raises:
        InputError: If there is no such directory, or a file cannot be read as UTF-8.
    """
    if not directory.is_dir():
        raise InputError(f"no rulebook in '{directory}'", hint="name a directory that holds one")
    found: dict[str, str] = {}
    for path in directory.rglob("*"):
        inside = path.relative_to(directory)
        if path.suffix.lower() not in {".yaml", ".yml"} or any(
            part.startswith(".") for part in inside.parts
        ):
            continue
        try:
            errors = "surrogateescape" if lossy else "strict"
            found[inside.as_posix()] = path.read_bytes().decode("utf-8", errors)
        except UnicodeDecodeError as error:
            raise InputError(
                f"'{inside.as_posix()}' is not UTF-8 at byte {error.start}",
                hint="save the file as UTF-8",
            ) from error
        except OSError as error:
            reason = error.strerror or "unreadable"
            raise InputError(
                f"'{inside.as_posix()}' cannot be read: {reason.lower()}",
                hint="check what stands there",
            ) from error
    return dict(sorted(found.items()))


def rulebook_digest(files: Mapping[str, str]) -> str:
    """Return the SHA-256 (hex) of the canonical bytes of rulebook files.

    The bytes are `sayso-rulebook/v1`, a line feed, and for each path in order of its bytes
    the path and the text as netstrings: `<bytes>:<path>,<bytes>:<text>,` in UTF-8.
    """
    parts = [DIGEST_LABEL]
    for path in sorted(files, key=lambda name: name.encode()):
        for text in (path, files[path]):
            raw = text.encode()
            parts.append(b"%d:%s," % (len(raw), raw))
    return hashlib.sha256(b"".join(parts)).hexdigest()


# ---- reading ----------------------------------------------------------------------------


class Sheets(NamedTuple):
    """Every file read by itself.

    Attributes:
        sheets: The files without a fault.
        roughs: Those with faults, as far as a name tells what they should be.
        faults: Of all of them, by file and line.
    """

    sheets: tuple[Sheet, ...]
    roughs: tuple[Rough, ...]
    faults: tuple[Fault, ...]


def read_sheets(files: Mapping[str, str]) -> Sheets:
    """Read every file by itself."""
    sheets: list[Sheet] = []
    roughs: list[Rough] = []
    faults: list[Fault] = []
    for file in sorted(files):
        read, found = _read_sheet(file, files[file])
        faults.extend(found)
        if isinstance(read, Sheet):
            sheets.append(read)
        elif read is not None:
            roughs.append(read)
    return Sheets(tuple(sheets), tuple(roughs), tuple(sorted(faults)))


def _read_sheet(file: str, text: str) -> tuple[Sheet | Rough | None, list[Fault]]:
    told_file = file.encode("utf-8", "backslashreplace").decode()
    path = PurePosixPath(file)
    kind = _ROOMS.get(path.parts[0]) if len(path.parts) == 2 and path.suffix == ".yaml" else None
    if kind is None or told_file != file:
        where = "write it as purposes/NAME.yaml, groups/NAME.yaml or scopes/NAME.yaml"
        return None, [Fault(told_file, 1, f"{told(told_file)} is no file of a rulebook", where)]
    read = tree.read_tree(text)
    faults = [Fault(file, *found) for found in read.faults]
    if read.root is None:
        if not faults:
            faults.append(Fault(file, 1, "the file is empty", "write it, or delete the file"))
        return Rough(file, path.stem, kind, None, {(): 1}), faults
    plain = read.root.plain()
    lines: dict[KeyPath, int] = {(): read.root.line, **dict(read.root.lines())}
    faults.extend(
        Fault(file, _line(lines, refusal.path), refusal.message, refusal.hint)
        for refusal in refusals_of(kind, plain, path.stem)
    )
    if faults:
        return Rough(file, path.stem, kind, plain, lines), faults
    return Sheet(file, path.stem, kind.model_validate(plain), lines), []


def _line(lines: Mapping[KeyPath, int], path: KeyPath) -> int:
    while path not in lines:
        path = path[:-1]
    return lines[path]


# ---- building ---------------------------------------------------------------------------


def book_of(sheets: Iterable[Sheet], files: Mapping[str, str]) -> Rulebook:
    """Put files that were read without a fault together."""
    purposes: dict[str, Purpose] = {}
    groups: dict[str, Group] = {}
    rules: list[Rule] = []
    holds: list[Hold] = []
    for sheet in sheets:
        match sheet.doc:
            case PurposeDoc():
                purposes[sheet.stem] = _purpose(sheet, sheet.doc)
            case GroupDoc():
                groups[sheet.stem] = _group(sheet, sheet.doc)
            case ScopeDoc():
                declared = _declared(sheet.doc.sources)
                for place, rule in enumerate(sheet.doc.rules):
                    rules.append(_rule(sheet, place, rule, declared))
                for place, hold in enumerate(sheet.doc.holds):
                    holds.append(_hold(sheet, place, hold, declared))
    return Rulebook(
        purposes=purposes,
        rules=tuple(rules),
        holds=tuple(holds),
        groups=groups,
        files=dict(sorted(files.items())),
        digest=rulebook_digest(files),
    )


def _declared(sources: Mapping[str, SourceDoc]) -> dict[str, Source]:
    found = {
        name: Source(title=doc.title, address=doc.address, seen=doc.seen, note=doc.note)
        for name, doc in sources.items()
    }
    return {**found, ASSUMPTION: Source(title=ASSUMPTION)}


def _cited(source: Mapping[str, str | Source], declared: Mapping[str, Source]) -> dict[str, Source]:
    return {
        fact: cited if isinstance(cited, Source) else declared[cited]
        for fact, cited in source.items()
    }


def _purpose(sheet: Sheet, doc: PurposeDoc) -> Purpose:
    return Purpose(
        name=sheet.stem,
        title=doc.title,
        recipients=doc.recipients,
        sharing=doc.sharing,
        wordings=tuple(
            Wording(w.version, w.begins, w.label, w.text, w.language) for w in doc.wordings
        ),
        sources=_cited(doc.source, _declared(doc.sources)),
        place=Place(sheet.file, sheet.lines[()]),
        how_to_change=doc.how_to_change,
        retention=doc.retention,
        contact=doc.contact,
    )


def _group(sheet: Sheet, doc: GroupDoc) -> Group:
    return Group(
        name=sheet.stem,
        title=doc.title,
        members=tuple(Membership(Country(m.country), m.begins, m.until) for m in doc.members),
        sources=_cited(doc.source, _declared(doc.sources)),
        place=Place(sheet.file, sheet.lines[()]),
    )


def _rule(sheet: Sheet, place: int, doc: RuleDoc, declared: Mapping[str, Source]) -> Rule:
    return Rule(
        scope=sheet.stem,
        purpose=doc.purpose,
        begins=doc.begins,
        until=doc.until,
        mode=doc.mode,
        minimum_age=doc.minimum_age,
        categories={kind: frozenset(seen) for kind, seen in doc.categories.items()},
        authorship=frozenset(doc.authorship),
        others=doc.others,
        excluded_contexts=frozenset(doc.excluded_contexts),
        notice=Notice(doc.notice.days, doc.notice.since) if doc.notice else None,
        earliest_written=doc.earliest_written,
        withdrawal=doc.withdrawal,
        decided_by=doc.decided_by,
        controller=doc.controller,
        lawful_basis=doc.lawful_basis,
        assessments=doc.assessments,
        sources=_cited(doc.source, declared),
        place=Place(sheet.file, sheet.lines["rules", place]),
    )


def _hold(sheet: Sheet, place: int, doc: HoldDoc, declared: Mapping[str, Source]) -> Hold:
    sources = _cited(doc.source, declared)
    # What is said of a hold as a whole comes from where its beginning comes from, and what
    # is said of the lift from where the lift comes from, unless the file says otherwise.
    if doc.condition:
        sources.setdefault("condition", sources["from"])
    if doc.position and "lifted" in sources:
        sources.setdefault("position", sources["lifted"])
    return Hold(
        hold_id=doc.id,
        scope=sheet.stem,
        purposes=frozenset(doc.purposes),
        begins=doc.begins,
        lifted=doc.lifted,
        placed_by=doc.placed_by,
        asked_by=doc.asked_by,
        ordered_by=doc.ordered_by,
        condition=doc.condition,
        position=doc.position,
        sources=sources,
        place=Place(sheet.file, sheet.lines["holds", place]),
    )
