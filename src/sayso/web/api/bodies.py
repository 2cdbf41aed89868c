"""Bodies: what a request brings, read once whoever asks may ask.

Promises: nothing is read before the route admits its caller; what was read has a digest, by
which a repeated request is known; a file goes to the disk and never whole into memory, into a
folder of its own that is gone when the request ends. A body of another form is refused.
"""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import Depends
from fastapi.exceptions import RequestValidationError
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request

from sayso.errors import InputError
from sayso.web.api import parquet
from sayso.web.api.streams import need_bounded
from sayso.web.request import spool_of

M = TypeVar("M")

JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"
# Media type of a file -> what its name ends in; readers go by that.
FILES = {
    "application/vnd.apache.parquet": ".parquet",
    "application/x-ndjson": ".jsonl",
    "application/jsonl": ".jsonl",
    "text/csv": ".csv",
    ARROW: ".arrow",
}
# What a stream may become in memory.
MAX_TABLE_BYTES = 1 << 30
_INSTANT = re.compile(
    r"\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})?)?", re.ASCII
)


class Given(BaseModel):
    """What a body may say; anything else in it is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_instant(value: object) -> object:
    """Return an instant, aware UTC; a naive one is UTC, a date alone its midnight there."""
    if value is None or isinstance(value, datetime):
        return value
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        try:
            read = datetime.fromisoformat(value.upper().replace(" ", "T"))
            return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise PydanticCustomError("instant", "not an instant such as 2025-11-02T16:00:00Z")


Instant = Annotated[
    datetime,
    BeforeValidator(read_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
# As `member_id` takes it; what it says is checked there.
MemberId = Annotated[
    str | Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)], Field(union_mode="left_to_right")
]
PurposeName = Annotated[str, Field(pattern="^[a-z][a-z0-9-]{0,79}$")]
Known = Annotated[int, Field(ge=0, lt=1 << 62)]
Text = Annotated[str, Field(max_length=500)]


def media_type(request: Request) -> str:
    """Return the media type of a body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def need_media_type(request: Request, *allowed: str) -> str:
    """Return the media type of a body.

    Raises:
        HTTPException: It is none of these.
    """
    found = media_type(request)
    if found not in allowed:
        raise HTTPException(415, headers={"accept": ", ".join(allowed)})
    return found


async def read_bytes(request: Request) -> bytes:
    """Return the body; its digest is kept with the request."""
    body = await request.body()
    request.state.body_digest = hashlib.sha256(body).hexdigest()
    return body


_TWICE = {"type": "value_error", "loc": ("body",), "msg": "an object names a key twice"}


class _TwiceError(Exception):
    """A name stands twice in one object."""


def _each_once(pairs: list[tuple[str, Any]]) -> None:
    """Refuse an object that names a key twice: readers differ in which one counts."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise _TwiceError
        seen.add(name)


def parse(kind: Any, body: bytes) -> Any:
    """Return what JSON says, as a type of pydantic's.

    Raises:
        RequestValidationError: It says something else, or is no JSON.
    """
    try:
        json.loads(body, object_pairs_hook=_each_once)
    except _TwiceError:
        raise RequestValidationError([_TWICE]) from None
    except (ValueError, RecursionError):
        pass  # told below, with its place
    try:
        return _adapter(kind).validate_json(body)
    except ValidationError as error:
        faults = [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False)]
        raise RequestValidationError(faults) from None


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    # Making one takes longer than most bodies take to read.
    return TypeAdapter(kind)


def json_of(model: type[M]) -> Callable[[Request], Awaitable[M]]:
    """Return a dependency that reads a body of JSON as a model."""

    async def read(request: Request) -> M:
        need_media_type(request, JSON)
        found: M = parse(model, await read_bytes(request))
        return found

    return read


def takes(model: type[BaseModel]) -> dict[str, Any]:
    """Return how a route declares that its body is such JSON."""
    BODIES.add(model)
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}


def takes_file(*more: str) -> dict[str, Any]:
    """Return how a route declares that its body is a file, or one of more media types."""
    content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in (*FILES, *more)}
    return {"requestBody": {"required": True, "content": content}}


# Models of bodies, for the document.
BODIES: set[type[BaseModel]] = set()


async def file_of(request: Request, folder: Annotated[Path, Depends(spool_of)]) -> Path:
    """Write the body into a file, which is there for as long as the request; return its path."""
    kind = need_media_type(request, *FILES)
    digest = hashlib.sha256()
    path = folder / f"body{FILES[kind]}"
    with path.open("wb") as file:
        async for chunk in request.stream():
            digest.update(chunk)
            await run_in_threadpool(file.write, chunk)
    request.state.body_digest = digest.hexdigest()
    if kind == ARROW:
        return await run_in_threadpool(_as_parquet, path)
    if path.suffix == ".parquet":
        await run_in_threadpool(parquet.need_bounded, path)
    return path


def _as_parquet(path: Path) -> Path:
    """Write an Arrow stream as Parquet beside it, batch by batch.

    Raises:
        InputError: It is none, compressed, or unfolds to too much.
    """
    made = path.with_suffix(".parquet")
    try:
        need_bounded(pa.memory_map(str(path)), parquet.MAX_ROWS)
        size = 0
        with (
            pa.ipc.open_stream(pa.memory_map(str(path))) as reader,
            pq.ParquetWriter(made, reader.schema) as writer,
        ):
            for batch in reader:
                batch.validate(full=True)  # offsets are the sender's
                size += _unfolded(batch)
                if size > parquet.MAX_BYTES:
                    raise InputError("the table is too large", hint="send it in parts")
                writer.write_batch(batch)
    except (pa.ArrowException, OSError, ValueError):
        raise InputError("the body is no Arrow stream", hint=f"send {ARROW}") from None
    return made


def read_arrow(body: bytes, most_rows: int) -> pa.Table:
    """Return the table in an Arrow IPC stream, checked down to its last offset.

    Args:
        body: The stream.
        most_rows: How many it may have.

    Raises:
        InputError: It is none, compressed, or too large.
    """
    batches: list[pa.RecordBatch] = []
    size = 0
    try:
        need_bounded(pa.py_buffer(body), most_rows)
        with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
            for batch in reader:
                # Offsets are the sender's: unchecked, they may point anywhere.
                batch.validate(full=True)
                size += _unfolded(batch)
                if size > MAX_TABLE_BYTES:
                    raise InputError("the table is too large", hint="send it in parts")
                batches.append(batch)
            return pa.Table.from_batches(batches, reader.schema)
    except (pa.ArrowException, OSError, ValueError):
        raise InputError("the body is no Arrow stream", hint=f"send {ARROW}") from None


def _unfolded(batch: pa.RecordBatch) -> int:
    """Return how many bytes a batch holds once its dictionaries are unfolded."""
    return int(batch.nbytes) + sum(parquet.unfolded_bytes(one) for one in batch.columns)
