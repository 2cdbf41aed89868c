"""Placing and lifting holds in the text of a rulebook, comments and layout untouched.

Promises: pure; nothing but the hold and its source is added, no other line changes, and
what comes back has no faults. Does not publish: until then no decision sees the change.

Example:
    >>> files = place_hold({}, hold_id="hk-1", scope="HK", purposes=["*"], begins=None,
    ...     placed_by="LinkedIn", source="assumption")
    >>> print(files["scopes/HK.yaml"].splitlines()[3])
      - id: hk-1
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from sayso.errors import InputError, RefusedError
from sayso.model import Dated, Exactness, Hold, Position, Source
from sayso.rulebook.check import check_files
from sayso.rulebook.parse import RulebookError, parse_rulebook
from sayso.rulebook.schema import ASSUMPTION, one_of, told
from sayso.rulebook.tree import Node, read_tree

Cited = Source | Literal["assumption"]

# What may stand without quotes anywhere in YAML, in brackets too.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9]*([ ._/-]+[A-Za-z0-9]+)*", re.ASCII)
_NOT_TEXT = frozenset({"true", "false", "null"})


class _Edit(NamedTuple):
    """Replace the characters from `start` until `end`."""

    start: int
    end: int
    text: str


def place_hold(
    files: Mapping[str, str],
    *,
    hold_id: str,
    scope: str,
    purposes: Iterable[str],
    begins: Dated | None,
    placed_by: str,
    asked_by: str = "",
    ordered_by: str = "",
    condition: str = "",
    source: Cited,
) -> dict[str, str]:
    """Write a hold into the file of its scope, which is made where it is absent.

    Args:
        files: Rulebook files, without faults.
        hold_id: Not in use yet.
        scope: Country, group or world.
        purposes: Names of purposes, or `*`.
        begins: None where its beginning is not known: it then holds from always.
        placed_by: Who stops.
        asked_by: Authority that asked for it, or empty.
        ordered_by: Authority that ordered it, or empty.
        condition: Until what it holds, or empty.
        source: Where all of this comes from; declared under a new id where the file does
            not have it yet.

    Raises:
        RulebookError: If the files have faults already.
        InputError: If the hold would be a fault.
    """
    _require_sound(files)
    file = f"scopes/{scope}.yaml"
    text = files.get(file, f"scope: {_scalar(scope)}\n")
    root = _root_of(text, file)
    cited, edits = _cite(text, root, source)
    facts = {"from": _bound(begins), "placed_by": _scalar(placed_by)}
    facts |= {"asked_by": _scalar(asked_by)} if asked_by else {}
    facts |= {"ordered_by": _scalar(ordered_by)} if ordered_by else {}
    entries = {"id": _scalar(hold_id), "purposes": _list(purposes), **facts}
    entries |= {"condition": _scalar(condition)} if condition else {}
    edits += _append_item(text, root, entries, dict.fromkeys(facts, cited))
    return _sound({**files, file: _apply(text, edits)}, f"hold {told(hold_id)} cannot be placed")


def lift_hold(
    files: Mapping[str, str],
    *,
    hold_id: str,
    lifted: Dated,
    source: Cited,
    position: Position,
) -> dict[str, str]:
    """Write into a hold that it is lifted, from when, and what the authority said of it.

    Raises:
        RulebookError: If the files have faults already.
        InputError: If there is no such hold, it is lifted already, or the lift would be a
            fault.
        RefusedError: If an authority ordered the hold and has not approved the lift.
    """
    _require_sound(files)
    hold = _hold_of(files, hold_id)
    if hold.lifted is not None:
        raise InputError(
            f"hold {told(hold_id)} is lifted already, from {hold.lifted}",
            hint="place a new hold to stop again",
        )
    if hold.ordered_by and position is not Position.APPROVED:
        raise RefusedError(
            f"hold {told(hold_id)} was ordered by {told(hold.ordered_by)}, position '{position}'",
            hint="lift it once they have approved, with position 'approved'",
        )
    file = hold.place.file
    text = files[file]
    root = _root_of(text, file)
    cited, edits = _cite(text, root, source)
    item = next(
        item
        for item in _child(root, "holds").items
        if (name := item.get("id")) is not None and name.text == hold_id
    )
    edits += _set_entries(
        text, item, {"lifted": _bound(lifted), "position": _scalar(position)}, after="from"
    )
    edits += _set_entries(text, _child(item, "source"), {"lifted": cited}, after=None)
    return _sound({**files, file: _apply(text, edits)}, f"hold {told(hold_id)} cannot be lifted")


def _hold_of(files: Mapping[str, str], hold_id: str) -> Hold:
    holds = {hold.hold_id: hold for hold in parse_rulebook(files).holds}
    if hold_id not in holds:
        raise InputError(f"no hold {told(hold_id)}", hint=one_of(hold_id, sorted(holds)))
    return holds[hold_id]


def _require_sound(files: Mapping[str, str]) -> None:
    faults = check_files(files)
    if faults:
        raise RulebookError(faults)


def _sound(files: Mapping[str, str], message: str) -> dict[str, str]:
    faults = check_files(files)
    if faults:
        raise InputError(f"{message}: {faults[0].message}", hint=faults[0].hint, faults=faults)
    return dict(sorted(files.items()))


def _root_of(text: str, file: str) -> Node:
    root = read_tree(text).root
    if root is None or root.is_flow:
        raise InputError(
            f"'{file}' cannot be edited as it is written", hint="write one key on a line"
        )
    return root


def _child(node: Node, key: str) -> Node:
    child = node.get(key)
    if child is None:  # pragma: no cover - the files were checked
        raise InputError(f"'{key}' is missing", hint="write the file by hand")
    return child


# ---- values -----------------------------------------------------------------------------


def _scalar(value: str) -> str:
    if _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    return json.dumps(value, ensure_ascii=False)


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(_scalar(value) for value in values)}]"


def _bound(bound: Dated | None) -> str:
    if bound is None:
        return "unknown"
    value = bound.value
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        written = aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
    else:
        written = value.isoformat()
    if bound.exactness is Exactness.EXACT:
        return written
    return f"{{date: {written}, exactness: {bound.exactness}}}"


# ---- edits ------------------------------------------------------------------------------


def _apply(text: str, edits: Iterable[_Edit]) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    parts: list[str] = []
    end = 0
    for edit in sorted(edits, key=lambda edit: edit.start):
        parts += (text[end : edit.start], edit.text.replace("\n", newline))
        end = edit.end
    return "".join((*parts, text[end:]))


def _insert_lines(text: str, offset: int, lines: Iterable[str], *, inside: int) -> _Edit:
    """Insert lines after the one that `offset` ends in, and after comments indented deeper.

    Args:
        text: All of the file.
        offset: Just after the last character of what the lines follow.
        lines: Without line ends.
        inside: Comments with more than this many spaces before them belong to what stands
            above.
    """
    # A folded text ends where the next key begins; the blank lines between belong to neither.
    offset = len(text[:offset].rstrip()) if text[offset - 1 : offset] == "\n" else offset
    at = text.find("\n", offset) + 1
    if at == 0:
        return _Edit(len(text), len(text), "".join(f"\n{line}" for line in lines) + "\n")
    comment = re.compile(rf" {{{inside + 1},}}#[^\n]*(\n|\Z)")
    while (found := comment.match(text, at)) is not None:
        at = found.end()
    lead = "" if text[at - 1 : at] == "\n" else "\n"
    return _Edit(at, at, lead + "".join(f"{line}\n" for line in lines))


def _fill(
    text: str, root: Node, key: str, lines_at: Callable[[int], list[str]], flow: str
) -> list[_Edit]:
    """Add to the collection under a key of the root, which may be empty or absent.

    Args:
        text: All of the file.
        root: Its mapping.
        key: `sources` or `holds`.
        lines_at: The lines to add, for a given indentation.
        flow: The same in brackets, for a collection that is written so.
    """
    node = root.get(key)
    if node is None:
        after = root.get("scope") if key == "sources" else root
        end = (after or root).end
        return [_insert_lines(text, end, ["", f"{key}:", *lines_at(2)], inside=0)]
    if not node.entries and not node.items:
        emptied = [_Edit(node.start, node.end, "")] if node.end > node.start else []
        return [*emptied, _insert_lines(text, node.end, lines_at(2), inside=0)]
    if node.is_flow:
        return [_Edit(node.start + 1, node.start + 1, f"{flow}, ")]
    return [_insert_lines(text, node.end, lines_at(node.column), inside=node.column)]


def _append_item(
    text: str, root: Node, entries: Mapping[str, str], source: Mapping[str, str]
) -> list[_Edit]:
    def lines_at(column: int) -> list[str]:
        first, *rest = (f"{key}: {value}" for key, value in entries.items())
        indent = " " * column
        return [
            f"{indent}- {first}",
            *(f"{indent}  {line}" for line in rest),
            f"{indent}  source:",
            *(f"{indent}    {fact}: {name}" for fact, name in source.items()),
        ]

    pairs = ", ".join(f"{key}: {value}" for key, value in entries.items())
    cited = ", ".join(f"{fact}: {name}" for fact, name in source.items())
    return _fill(text, root, "holds", lines_at, f"{{{pairs}, source: {{{cited}}}}}")


def _set_entries(
    text: str, mapping: Node, entries: Mapping[str, str], *, after: str | None
) -> list[_Edit]:
    """Add entries to a mapping that has some, after one of them or after the last."""
    edits = []
    missing = dict(entries)
    for key, value in entries.items():
        node = mapping.get(key)
        if node is not None:  # it says null, or nothing
            at = node.start if node.text else text.index(":", node.start) + 1
            edits.append(_Edit(at, max(at, node.end), value if node.text else f" {value}"))
            del missing[key]
    if not missing:
        return edits
    if mapping.is_flow:
        pairs = "".join(f"{key}: {value}, " for key, value in missing.items())
        return [*edits, _Edit(mapping.start + 1, mapping.start + 1, pairs)]
    former = _child(mapping, after) if after else mapping
    indent = " " * mapping.column
    lines = [f"{indent}{key}: {value}" for key, value in missing.items()]
    return [*edits, _insert_lines(text, former.end, lines, inside=mapping.column)]


# ---- sources ----------------------------------------------------------------------------


def _cite(text: str, root: Node, source: Cited) -> tuple[str, list[_Edit]]:
    """Return what to write for a source, and the edits that declare it."""
    if not isinstance(source, Source) or source == Source(ASSUMPTION):
        return ASSUMPTION, []
    if source.is_assumption:
        return f"{{{ASSUMPTION}: {json.dumps(source.note, ensure_ascii=False)}}}", []
    facts = {"title": source.title, "address": source.address}
    facts |= {"seen": source.seen.isoformat() if source.seen else "", "note": source.note}
    facts = {key: value for key, value in facts.items() if value}
    declared = root.get("sources")
    for name, entry in (declared.entries if declared else {}).items():
        if entry.node.plain() == facts:
            return name, []
    name = _new_name(source.title, declared.entries if declared else {})
    written = {key: value if key == "seen" else _scalar(value) for key, value in facts.items()}

    def lines_at(column: int) -> list[str]:
        indent = " " * column
        return [
            f"{indent}{name}:",
            *(f"{indent}  {key}: {value}" for key, value in written.items()),
        ]

    flow = f"{name}: {{{', '.join(f'{key}: {value}' for key, value in written.items())}}}"
    return name, _fill(text, root, "sources", lines_at, flow)


def _new_name(title: str, taken: Iterable[str]) -> str:
    ascii_title = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", ascii_title)[:40].strip("-") or "source"
    used = {*taken, ASSUMPTION}
    name, count = stem, 1
    while name in used:
        count += 1
        name = f"{stem}-{count}"
    return name
