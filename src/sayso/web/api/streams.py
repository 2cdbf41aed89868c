"""Streams: what the messages of an Arrow stream say before anything in them is decoded.

Promises: a stream that may become any number of rows or bytes in memory is refused unread: one
whose buffers are compressed, one of more rows than its reader takes, one with columns of a kind
that a few bytes fill (runs, views). Does not decode; what dictionaries, and lists of nothing at
all, unfold to is for whoever reads the batches.

Source: Arrow columnar format, `Message.fbs` and "Serialization and IPC"; the binary form of
FlatBuffers.
"""

import struct

import pyarrow as pa

from sayso.errors import InputError

# Of `MessageHeader`: what has buffers.
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3
# Of `MetadataVersion`: before this one, compression could stand in the custom metadata.
_VERSION_5 = 4
# Places of fields in their tables.
_VERSION, _HEADER_TYPE, _HEADER, _CUSTOM_METADATA = 0, 1, 2, 4
_DICTIONARY_DATA, _BATCH_LENGTH, _COMPRESSION = 1, 0, 3
# Of the schema, with what stands within others.
MAX_COLUMNS, MAX_DEPTH = 1_000, 5
MAX_FIXED_BYTES = 64


def need_bounded(source: pa.Buffer | pa.NativeFile, most_rows: int) -> None:
    """Refuse an Arrow stream that may unfold to more than it brings.

    Args:
        source: The stream.
        most_rows: Of all batches together, and of a dictionary.

    Raises:
        InputError: It may.
        ArrowException, OSError, ValueError: It is no Arrow stream.
    """
    rows = 0
    for number, message in enumerate(pa.ipc.MessageReader.open_stream(source)):
        if not number:
            _need_plain_columns(pa.ipc.read_schema(message))
            continue
        try:
            metadata = bytes(message.metadata)
            is_compressed = _is_compressed(metadata)
            length, is_dictionary = _length(metadata)
        except (struct.error, IndexError):
            raise ValueError("a message cannot be read") from None
        if is_compressed:
            raise InputError(
                "the buffers of the Arrow stream are compressed", hint="send them as they are"
            )
        rows += 0 if is_dictionary else length
        if length < 0 or max(rows, length) > most_rows:
            raise InputError(f"more than {most_rows} records", hint="send them in parts")


def _need_plain_columns(shape: pa.Schema) -> None:
    left = [(one.type, 0) for one in shape]
    looked = 0
    while left:
        kind, depth = left.pop()
        looked += 1
        if looked > MAX_COLUMNS or depth > MAX_DEPTH:
            raise InputError("the Arrow stream has too many columns", hint="send those of content")
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        if pa.types.is_struct(kind) and kind.num_fields:
            left += [(kind.field(i).type, depth + 1) for i in range(kind.num_fields)]
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            left.append((kind.value_type, depth + 1))
        elif pa.types.is_dictionary(kind) and not depth:
            left.append((kind.value_type, MAX_DEPTH))
        elif not (_is_plain(kind) or (pa.types.is_null(kind) and depth < MAX_DEPTH)):
            raise InputError(
                f"a column of the Arrow stream is of a kind that a few bytes may fill ({kind})",
                hint="send text, numbers, times and lists of text",
            )


def _is_plain(kind: pa.DataType) -> bool:
    """Whether each value of a kind takes room of its own."""
    types = pa.types
    return bool(
        types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
        or types.is_decimal(kind) or types.is_temporal(kind) or types.is_string(kind)
        or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind)
        or (types.is_fixed_size_binary(kind) and 0 < kind.byte_width <= MAX_FIXED_BYTES)
    )  # fmt: skip


def _length(metadata: bytes) -> tuple[int, bool]:
    """Return the rows of a batch, and whether it is a dictionary."""
    message = _read("<I", metadata, 0)
    kind_at = _field(metadata, message, _HEADER_TYPE)
    kind = 0 if kind_at is None else metadata[kind_at]
    batch = _table(metadata, message, _HEADER)
    if kind == _DICTIONARY_BATCH and batch is not None:
        batch = _table(metadata, batch, _DICTIONARY_DATA)
    elif kind != _RECORD_BATCH:
        return 0, False
    at = None if batch is None else _field(metadata, batch, _BATCH_LENGTH)
    return 0 if at is None else _read("<q", metadata, at), kind == _DICTIONARY_BATCH


def _is_compressed(metadata: bytes) -> bool:
    message = _read("<I", metadata, 0)
    kind_at = _field(metadata, message, _HEADER_TYPE)
    kind = 0 if kind_at is None else metadata[kind_at]
    if kind not in {_DICTIONARY_BATCH, _RECORD_BATCH}:
        return False
    version_at = _field(metadata, message, _VERSION)
    version = 0 if version_at is None else _read("<h", metadata, version_at)
    if version < _VERSION_5 and _field(metadata, message, _CUSTOM_METADATA) is not None:
        return True
    batch = _table(metadata, message, _HEADER)
    if kind == _DICTIONARY_BATCH and batch is not None:
        batch = _table(metadata, batch, _DICTIONARY_DATA)
    return batch is not None and _field(metadata, batch, _COMPRESSION) is not None


def _table(data: bytes, table: int, number: int) -> int | None:
    """Return where the table stands that a field of another points at; None for none."""
    at = _field(data, table, number)
    return None if at is None else at + _read("<I", data, at)


def _field(data: bytes, table: int, number: int) -> int | None:
    """Return where a field of a table stands; None where the table lacks it."""
    listed = table - _read("<i", data, table)
    place = 4 + 2 * number
    if place + 2 > _read("<H", data, listed):
        return None
    offset = _read("<H", data, listed + place)
    return table + offset if offset else None


def _read(form: str, data: bytes, at: int) -> int:
    if at < 0:
        raise IndexError(at)
    return int(struct.unpack_from(form, data, at)[0])
