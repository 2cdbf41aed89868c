"""Parquet: what a file may become, from its footer and the heads of its pages.

Promises: a file that would unfold to more rows, values or bytes than a body may hold is
refused before it is taken. Sizes are those of the pages themselves, since a footer may claim
anything; readers allocate what a page's head says and no more. What a dictionary unfolds to is
counted without unfolding it. Never holds a column whole.

Source: Apache Parquet, `parquet.thrift` (PageHeader, Encoding); Thrift compact protocol.
"""

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sayso.errors import InputError

# A body has 1 GiB at most; a table of a hundred million members takes half of it.
MAX_ROWS = 100_000_000
MAX_BYTES = 8 << 30
MAX_COLUMNS = 1_000
# A value of a fixed width may be repeated by a dictionary as often as there are rows.
MAX_FIXED_BYTES = 64
SCAN_ROWS = 65_536
# A generous bound of what one null becomes, wherever it is told one by one.
NULL_BYTES = 100
_MAGIC = b"PAR1"
# Of `Encoding`.
_PLAIN_DICTIONARY, _DELTA_BYTE_ARRAY, _RLE_DICTIONARY = 2, 7, 8
# Of `PageType`: pages with a head, of which nobody writes the one of an index.
_DATA_PAGE, _DICTIONARY_PAGE, _DATA_PAGE_2 = 0, 2, 3
# Places in `PageHeader`, and of num_values and encoding in the head of each kind of page.
_TYPE, _UNCOMPRESSED, _COMPRESSED = 1, 2, 3
_HEAD_AT = {_DATA_PAGE: 5, _DICTIONARY_PAGE: 7, _DATA_PAGE_2: 8}
_HEADS = frozenset({5, 6, 7, 8})
_NUM_VALUES = 1
_ENCODING_AT = {_DATA_PAGE: 2, _DICTIONARY_PAGE: 2, _DATA_PAGE_2: 4}
# Numbers of fields are 16 bits wide; of integers, the width by their kind.
_MOST_FIELD = (1 << 15) - 1
_WIDTHS = {4: 16, 5: 32, 6: 64}
# Deeper than any head of a page is.
_MOST_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Page:
    """The head of a page: how many bytes it becomes, its values, and how they are written."""

    kind: int
    unfolded_bytes: int
    values: int
    encoding: int


def need_bounded(path: Path) -> None:
    """Refuse a Parquet file that would unfold to too much.

    Raises:
        InputError: It would, or it is none.
    """
    try:
        with pq.ParquetFile(path) as file, path.open("rb") as raw:
            shape = file.metadata
            if shape.num_columns > MAX_COLUMNS:
                raise _too_much("columns", MAX_COLUMNS)
            if shape.num_rows > MAX_ROWS or shape.num_rows < 0:
                raise _too_much("rows", MAX_ROWS)
            with mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as data:
                plain_bytes, folded = _look(shape, data)
        if folded:
            _count(path, folded, plain_bytes)
    except (pa.ArrowException, OSError, LookupError, ValueError, TypeError, OverflowError):
        raise InputError(
            "the body is no Parquet file", hint="send what a common writer wrote"
        ) from None


def _look(shape: Any, data: mmap.mmap) -> tuple[int, frozenset[int]]:
    """Return what pages become without their dictionaries, and columns that have some."""
    total, values = 0, dict.fromkeys(range(shape.num_columns), 0)
    folded = set()
    for group in range(shape.num_row_groups):
        rows = shape.row_group(group).num_rows
        if not rows:  # nobody reads what stands there
            continue
        for number in range(shape.num_columns):
            chunk, column = shape.row_group(group).column(number), shape.schema.column(number)
            if chunk.num_values < rows:
                raise ValueError("a column has fewer values than its group has rows")
            for page in _pages(data, chunk):
                total += page.unfolded_bytes
                if page.kind != _DICTIONARY_PAGE:
                    values[number] += page.values
                if page.encoding in {_PLAIN_DICTIONARY, _RLE_DICTIONARY}:
                    folded.add(number)
                if page.encoding == _DELTA_BYTE_ARRAY:
                    raise InputError(
                        "a column of the Parquet file is written by prefixes",
                        hint="write it with plain or dictionary encoding",
                    )
                if values[number] > MAX_ROWS:
                    raise _too_much("values in a column", MAX_ROWS)
                if total > MAX_BYTES:
                    raise _too_much("bytes", MAX_BYTES)
            if column.physical_type == "FIXED_LEN_BYTE_ARRAY" and column.length > MAX_FIXED_BYTES:
                raise _too_much("bytes in a value of fixed width", MAX_FIXED_BYTES)
    texts = (one for one in folded if shape.schema.column(one).physical_type == "BYTE_ARRAY")
    return total, frozenset(texts)


def _count(path: Path, columns: frozenset[int], total: int) -> None:
    """Refuse what dictionaries would unfold to, without unfolding them."""
    with pq.ParquetFile(path) as file:
        names = [file.metadata.schema.column(one).path for one in sorted(columns)]
    with pq.ParquetFile(path, read_dictionary=names) as file:
        # One group at a time: lists whose dictionaries differ are not read together.
        for group in range(file.num_row_groups):
            try:
                for batch in file.iter_batches(SCAN_ROWS, row_groups=[group], columns=names):
                    total += sum(unfolded_bytes(column) for column in batch.columns)
                    if total > MAX_BYTES:
                        raise _too_much("bytes", MAX_BYTES)
            except pa.ArrowNotImplementedError:  # a dictionary that was given up amid a group
                raise InputError(
                    "a list in the Parquet file is written with a dictionary in part",
                    hint="write lists without a dictionary",
                ) from None


def unfolded_bytes(column: pa.Array) -> int:
    """Return how many bytes a column becomes, beside its own, once it is unfolded.

    Its dictionaries do, and nulls without a type in its lists, which have no bytes of their own.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        if not _is_text(kind.value_type):
            return 0
        lengths = pc.cast(pc.binary_length(column.dictionary), pa.int64())
        return int(pc.sum(pc.take(lengths, column.indices)).as_py() or 0)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        values = column.flatten()
        return _nulls_within(values) * NULL_BYTES + unfolded_bytes(values)
    if pa.types.is_struct(kind):
        return sum(unfolded_bytes(one) for one in column.flatten())
    return 0


def _nulls_within(values: pa.Array) -> int:
    """Return how many nulls without a type stand in the values of lists, themselves or in parts."""
    if pa.types.is_null(values.type):
        return len(values)
    if pa.types.is_struct(values.type):
        return sum(_nulls_within(one) for one in values.flatten())
    return 0


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


def _too_much(what: str, most: int) -> InputError:
    return InputError(f"the Parquet file has more than {most} {what}", hint="send it in parts")


# ---- heads of pages ---------------------------------------------------------------------


def _pages(data: mmap.mmap, chunk: Any) -> Iterator[Page]:
    """Yield the heads of a column's pages, by the way that readers take."""
    first, missing = chunk.data_page_offset, chunk.num_values
    if chunk.has_dictionary_page and chunk.dictionary_page_offset >= len(_MAGIC):
        if chunk.dictionary_page_offset >= first:
            raise ValueError("readers begin this column at different places")
        first = chunk.dictionary_page_offset
    at, end = first, first + chunk.total_compressed_size
    if first < 0 or chunk.total_compressed_size < 0 or end > len(data):
        raise ValueError("a column stands outside of the file")
    while at < end:
        told, at = _struct(data, at, 0)
        folded_bytes, unfolded = int(told[_COMPRESSED]), int(told[_UNCOMPRESSED])
        if folded_bytes < 0 or unfolded < 0:
            raise ValueError("a page has no size")
        page = _page(told, unfolded)
        missing -= page.values if page.kind != _DICTIONARY_PAGE else 0
        yield page
        at += folded_bytes
    if missing > 0 or at > end:  # a reader that counts values would go on elsewhere
        raise ValueError("a column does not end where it says")


def _page(told: Mapping[int, Any], unfolded: int) -> Page:
    """Return a page by the head that its type names, which is the one that readers go by."""
    kind = int(told[_TYPE])
    if {_HEAD_AT[kind]} != _HEADS & told.keys():
        raise ValueError("a page has another head than its type says")
    head = told[_HEAD_AT[kind]]
    if not isinstance(head, dict):
        raise TypeError("a page has no head")
    values = int(head[_NUM_VALUES])
    if values < 0:
        raise ValueError("a page has fewer values than none")
    return Page(kind, unfolded, values, int(head[_ENCODING_AT[kind]]))


def _struct(data: mmap.mmap, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """Read a struct of the compact protocol: number of a field -> integer or struct."""
    if depth > _MOST_DEPTH:
        raise ValueError("a head is nested too deep")
    found: dict[int, Any] = {}
    number = 0
    while kind := data[at]:
        at += 1
        number += kind >> 4
        if not kind >> 4:
            number, at = _integer(data, at)
        # What stands twice, or past the width, each reader takes for something else.
        if number in found or not 0 < number <= _MOST_FIELD:
            raise ValueError("a head names a field twice, or one that none has")
        found[number], at = _value(data, at, kind & 15, depth)
    return found, at + 1


def _value(data: mmap.mmap, at: int, kind: int, depth: int) -> tuple[Any, int]:
    match kind:
        case 1 | 2:  # true and false stand in the kind
            return kind == 1, at
        case 3:
            return data[at], at + 1
        case 4 | 5 | 6:
            number, at = _integer(data, at)
            if not -1 << (_WIDTHS[kind] - 1) <= number < 1 << (_WIDTHS[kind] - 1):
                raise ValueError("a number is wider than its kind")
            return number, at
        case 7:
            return None, at + 8
        case 8:
            size, at = _varint(data, at)
            return None, at + size
        case 12:
            return _struct(data, at, depth + 1)
        case _:
            raise ValueError("a head holds what none has")


def _integer(data: mmap.mmap, at: int) -> tuple[int, int]:
    number, at = _varint(data, at)
    return (number >> 1) ^ -(number & 1), at


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
    raise ValueError("a number has no end")
