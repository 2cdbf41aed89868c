"""YAML text as nodes that know where they stand: the small part of YAML a rulebook uses.

Promises: any text gives a `Tree`, never an exception, in time and memory proportional to
the text. Anchors, aliases, tags, directives, several documents, repeated keys and
characters that a reviewer cannot see are faults. Only `true`, `false`, `null` and decimal
numbers are not text, so that `NO` stays Norway and `off` stays a word. Does not know rules.

Example:
    >>> read_tree("scope: NO").root.plain()
    {'scope': 'NO'}
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

Scalar: TypeAlias = str | int | bool | None
Path: TypeAlias = tuple[str | int, ...]

# Deepest in a rulebook: file > rules > rule > categories > visibilities.
MAX_DEPTH = 12
# The longest file of the template has about 6,000 characters.
MAX_CHARACTERS = 256 * 1024

_WHOLE_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_WORDS: Mapping[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# Controls, other line separators, text direction overrides (Unicode TR 36, "Trojan
# Source"), surrogates and noncharacters: what is reviewed has to be what is read.
_UNSEEN = re.compile(
    "[^\\t\\n\\r\\x20-\\x7e\\xa0-\\u2027\\u202f-\\u2065\\u206a-\\ud7ff\\ue000-\\ufefe"
    "\\uff00-\\ufffd\\U00010000-\\U0010fffd]"
)
_HINTS: tuple[tuple[str, str], ...] = (
    ("'\\t'", "indent with spaces, not with tabs"),
    ("'\\\\t'", "indent with spaces, not with tabs"),
    ("alias", 'write "*" in quotes'),
    ("mapping values", "put text that holds a colon in quotes"),
    ("'%'", "put text that begins with a sign in quotes"),
    ("'@'", "put text that begins with a sign in quotes"),
    ("'`'", "put text that begins with a sign in quotes"),
)


class TreeFault(NamedTuple):
    """What is wrong with the text, on a 1-based line."""

    line: int
    message: str
    hint: str


class Entry(NamedTuple):
    """A key's line (1-based) and the value that stands for it."""

    line: int
    node: "Node"


@dataclass(frozen=True, slots=True)
class Node:
    """One value and where it stands.

    Attributes:
        value: A scalar, a tuple of nodes, or entries by key.
        text: A scalar as written, without quotes.
        line: 1-based.
        column: 0-based, of the first character.
        start: Offset of the first character; of a value that is not written, of the end of
            its key.
        end: Offset after the last character of the last leaf, or after the bracket.
        is_flow: Whether a collection is written in brackets.
    """

    value: "Scalar | tuple[Node, ...] | Mapping[str, Entry]"
    text: str
    line: int
    column: int
    start: int
    end: int
    is_flow: bool = False

    @property
    def entries(self) -> Mapping[str, Entry]:
        """The entries of a mapping; none for anything else."""
        return self.value if isinstance(self.value, Mapping) else {}

    @property
    def items(self) -> "tuple[Node, ...]":
        """The items of a list; none for anything else."""
        return self.value if isinstance(self.value, tuple) else ()

    def get(self, key: str) -> "Node | None":
        """Return the value of a key, None where the key is absent."""
        entry = self.entries.get(key)
        return entry.node if entry else None

    def plain(self, key: str = "") -> Any:
        """Return dicts, lists and scalars; an entry without a value counts as absent.

        Args:
            key: The key that this node stands for. Under `categories` entries without a
                value stay, for there they would be a category without visibilities.
        """
        if isinstance(self.value, Mapping):
            return {
                name: entry.node.plain(name)
                for name, entry in self.value.items()
                if entry.node.value is not None or key == "categories"
            }
        if isinstance(self.value, tuple):
            return [item.plain() for item in self.value]
        return self.value

    def lines(self, path: Path = ()) -> Iterator[tuple[Path, int]]:
        """Yield the line of every value below this one; an entry's is that of its key."""
        for key, (line, node) in self.entries.items():
            yield (*path, key), line
            yield from node.lines((*path, key))
        for place, node in enumerate(self.items):
            yield (*path, place), node.line
            yield from node.lines((*path, place))


@dataclass(frozen=True, slots=True)
class Tree:
    """What was read; no root where the text is empty or cannot be told."""

    root: Node | None
    faults: tuple[TreeFault, ...]


def read_tree(text: str) -> Tree:
    """Read one YAML document.

    Returns:
        A tree without a root where there is nothing to read, or nothing that is certain;
        in the second case its faults say why. Repeated keys are faults and the first one
        stands.
    """
    if len(text) > MAX_CHARACTERS:
        return Tree(None, (TreeFault(1, "the file is too long", "split it by scope"),))
    unseen = _UNSEEN.search(text)
    if unseen:
        line = text.count("\n", 0, unseen.start()) + 1
        if "\udc80" <= unseen.group() <= "\udcff":  # PEP 383: how a byte is carried along
            return Tree(None, (TreeFault(line, "not UTF-8", "save the file as UTF-8"),))
        sign = f"U+{ord(unseen.group()):04X}"
        return Tree(None, (TreeFault(line, f"a character nobody can see, {sign}", "remove it"),))
    reader = _Reader()
    try:
        reader.read(text)
    except _StopError:
        return Tree(None, tuple(reader.faults))
    except MarkedYAMLError as error:
        # What is never closed is told where it was opened.
        is_open = "stream end" in str(error.problem) and error.context_mark is not None
        mark = error.context_mark if is_open else error.problem_mark or error.context_mark
        problem, context = str(error.problem or error.context), str(error.context or "")
        fault = _syntax_fault(mark.line + 1 if mark else 1, problem, context)
        return Tree(None, (*reader.faults, fault))
    except (YAMLError, ValueError, LookupError, AttributeError, AssertionError) as error:
        # The scanner lets some of its own slips through; to the author they are all one.
        return Tree(None, (*reader.faults, _syntax_fault(1, type(error).__name__, "")))
    return Tree(None if reader.is_uncertain else reader.root, tuple(reader.faults))


def _syntax_fault(line: int, problem: str, context: str) -> TreeFault:
    problem = " ".join(problem.split())
    hint = next(
        (hint for sign, hint in _HINTS if sign in problem or sign in context),
        "check the indentation and the quotes near this line",
    )
    return TreeFault(line, f"not readable as YAML: {problem}", hint)


class _StopError(Exception):
    """The rest is not worth reading; the fault is already noted."""


@dataclass(slots=True)
class _Frame:
    """A collection that is still open."""

    is_mapping: bool
    is_flow: bool
    line: int
    column: int
    start: int
    end: int
    items: list[Node] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    key: Node | None = None

    def close(self, end: int) -> Node:
        value = self.entries if self.is_mapping else tuple(self.items)
        last = end if self.is_flow else self.end
        return Node(value, "", self.line, self.column, self.start, last, self.is_flow)


class _Reader:
    """Folds parser events into nodes, without recursion."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.faults: list[TreeFault] = []
        self.is_uncertain = False
        self._frames: list[_Frame] = []
        self._documents = 0

    def read(self, text: str) -> None:
        for event in YAML(typ="safe", pure=True).parse(text):
            self._take(event, type(event).__name__)

    def _take(self, event: Any, kind: str) -> None:
        line = event.start_mark.line + 1
        self._refuse_extras(event, kind, line)
        if kind == "ScalarEvent":
            is_plain = event.style is None and event.implicit[0]
            value = _resolve(event.value) if is_plain else event.value
            if isinstance(value, str) and (unseen := _UNSEEN.search(value)):
                sign = f"U+{ord(unseen.group()):04X}"
                self._fault(line, f"a character nobody can see, {sign}", "remove it")
            marks = (event.start_mark.column, event.start_mark.index, event.end_mark.index)
            self._attach(Node(value, event.value, line, *marks))
        elif kind == "AliasEvent":
            self._attach(Node(None, "", line, 0, 0, 0))
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            if len(self._frames) >= MAX_DEPTH:
                self._fault(line, f"nested deeper than {MAX_DEPTH} levels", "write it flat")
                raise _StopError
            start = event.start_mark
            is_mapping = kind == "MappingStartEvent"
            frame = _Frame(
                is_mapping, bool(event.flow_style), line, start.column, start.index, start.index
            )
            self._frames.append(frame)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._attach(self._frames.pop().close(event.end_mark.index))

    def _refuse_extras(self, event: Any, kind: str, line: int) -> None:
        if kind == "DocumentStartEvent":
            self._documents += 1
            if self._documents > 1:
                self._fault(line, "a second document begins", "keep one document in a file")
                raise _StopError
            if event.version or event.tags:
                self._fault(line, "a YAML directive", "remove the line that begins with '%'")
        if kind == "AliasEvent":
            self._fault(line, f"a reference '*{event.anchor}'", "write the value out, or in quotes")
        elif getattr(event, "anchor", None) is not None:
            self._fault(line, f"an anchor '&{event.anchor}'", "remove it, or write it in quotes")
        if getattr(event, "tag", None) is not None:
            self._fault(line, "a tag that begins with '!'", "remove it, or write it in quotes")

    def _fault(self, line: int, message: str, hint: str) -> None:
        self.faults.append(TreeFault(line, message, hint))
        self.is_uncertain = True

    def _attach(self, node: Node) -> None:
        if not self._frames:
            self.root = node
            return
        frame = self._frames[-1]
        if node.start == node.end:
            # Nothing is written; the parser places it at whatever comes next.
            at = frame.key.end if frame.key else frame.end
            node = replace(node, line=frame.key.line if frame.key else node.line, start=at, end=at)
        frame.end = max(frame.end, node.end)
        if not frame.is_mapping:
            frame.items.append(node)
        elif frame.key is None:
            if isinstance(node.value, Mapping | tuple):
                self._fault(node.line, "a key that is not a word", "write a plain word")
            frame.key = node
        else:
            key, frame.key = frame.key, None
            first = frame.entries.setdefault(key.text, Entry(key.line, node))
            if first.node is not node:
                told = f"repeated key '{key.text[:60]}', first on line {first.line}"
                self.faults.append(TreeFault(key.line, told, "keep one of them"))


def _resolve(text: str) -> Scalar:
    """Tell what a plain scalar is; YAML 1.2 core schema without floats and octals."""
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else text
