"""Readers of other people's formats, which admit by allow-list of file and column.

Promises: what comes out is `members.parquet` and `content.parquet` in one shape, whatever
went in; what is not on the list never comes out, and the report says what was left out
and why. No reader lets a private file, a message, an invitation's note or another
person's words through as the member's own. What a source does not say is null. Any bytes
at all give tables or an `InputError`. Does not decide what may be used: that is for the
rules, which refuse what is unknown.

Example:
    report = import_source("polis", Path("consultations"), Path("out"))
    print(report.content_rows, report.skipped)
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from sayso.errors import InputError
from sayso.sources import linkedin, polis, stackexchange, tables
from sayso.sources.sink import (
    CONTENT_SCHEMA,
    MEMBERS_SCHEMA,
    TABLE_NAMES,
    ImportReport,
    Skipped,
    open_sink,
)

__all__ = [
    "CONTENT_SCHEMA",
    "KINDS",
    "MEMBERS_SCHEMA",
    "ImportReport",
    "Skipped",
    "import_source",
]

KINDS: tuple[str, ...] = ("table", "stackexchange", "linkedin", "polis")


def import_source(
    kind: str,
    src: Path,
    out: Path,
    *,
    mapping: Mapping[str, str] | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> ImportReport:
    """Read one source into `out/members.parquet`, `out/content.parquet` and a report.

    The tables appear complete, with `report.json` last, or not at all. Tables of an
    earlier import are replaced.

    Args:
        kind: One of `KINDS`.
        src: A file or folder of that kind.
        out: Folder for the tables; made if it is not there.
        mapping: For `table`: our column -> theirs. For `linkedin`: `member_id` -> the id
            to use where the files do not tell it.
        progress: Called with the name of a table and the rows written to it so far.

    Returns:
        The same report as in `out/report.json`.

    Raises:
        InputError: An unknown kind or mapping, nothing of that kind at `src`, bytes that
            cannot be read, or an `out` that cannot be written to.
        UnavailableError: The disk would not take it.
    """
    mapping = dict(mapping or {})
    _check(kind, src, out, mapping)
    with open_sink(out, progress) as sink:
        if kind == "table":
            tables.read(src, mapping, sink)
        elif kind == "stackexchange":
            stackexchange.read(src, sink)
        elif kind == "linkedin":
            linkedin.read(src, mapping, sink)
        else:
            polis.read(src, sink)
        return sink.finish(kind)


def _check(kind: str, src: Path, out: Path, mapping: Mapping[str, str]) -> None:
    if kind not in KINDS:
        raise InputError(f"unknown kind '{kind}'", hint=f"use one of {', '.join(KINDS)}")
    allowed = {"linkedin": {"member_id"}, "stackexchange": set(), "polis": set()}
    extra = sorted(set(mapping) - allowed[kind]) if kind in allowed else []
    if extra:
        raise InputError(
            f"a mapping of '{extra[0]}' has no meaning for '{kind}'", hint="leave it out"
        )
    try:
        there = src.exists()
        place = src.resolve()
        targets = {out.resolve(), *(out.resolve() / name for name in TABLE_NAMES)}
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise InputError(f"'{src}' or '{out}' is not a path", hint="give two paths") from error
    if not there:
        raise InputError(f"'{src}' is not there", hint="give a file or folder that is")
    if place in targets:
        raise InputError(f"'{out}' would overwrite the source", hint="give another folder")
