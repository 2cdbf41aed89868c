"""Streams: what the messages of an Arrow stream say before anything in them is decoded.

Promises: a stream whose buffers are compressed is refused unread, since a few bytes of it may
become any number in memory. Does not decode.

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
_DICTIONARY_DATA, _COMPRESSION = 1, 3


def need_plain(source: pa.Buffer | pa.NativeFile) -> None:
    """Refuse an Arrow stream with a compressed buffer in it.

    Raises:
        InputError: It has one.
        ArrowException, OSError, ValueError: It is no Arrow stream.
    """
    for message in pa.ipc.MessageReader.open_stream(source):
        try:
            is_compressed = _is_compressed(bytes(message.metadata))
        except (struct.error, IndexError):
            raise ValueError("a message cannot be read") from None
        if is_compressed:
            raise InputError(
                "the buffers of the Arrow stream are compressed", hint="send them as they are"
            )


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
