"""Many digests at once are those of hashlib, by either engine."""

import os
from hashlib import sha256

import pyarrow as pa
import pytest

from sayso import digests
from sayso.digests import FEW_ROWS, sha256_of_each


@pytest.mark.parametrize("rows", [0, 1, FEW_ROWS, FEW_ROWS + 1, 20_000])
@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_each_digest_is_that_of_hashlib(rows: int, kind: pa.DataType) -> None:
    """Of every length around a block of 64 bytes, in chunks that begin anywhere."""
    messages = [bytes([number % 256]) * (number % 200) for number in range(rows + 3)]
    column = pa.array(messages, kind)
    middle = rows // 2 + 1
    cut = pa.chunked_array([column.slice(0, 1), column.slice(1, middle - 1), column.slice(middle)])
    assert sha256_of_each(cut) == b"".join(sha256(one).digest() for one in messages)


def test_a_fork_goes_without_the_threads_that_it_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_started", [os.getpid() + 1])
    monkeypatch.delattr(digests, "sha256_of_rows")
    messages = [b"%d" % number for number in range(FEW_ROWS + 1)]
    column = pa.chunked_array([pa.array(messages)])
    assert sha256_of_each(column) == b"".join(sha256(one).digest() for one in messages)
