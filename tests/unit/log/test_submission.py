import base64

import pytest

from sayso.errors import InputError
from sayso.log.checkpoint import Checkpoint
from sayso.log.notes import parse_note
from sayso.log.submission import MAX_PROOF_LINES, Submission, parse_submission
from tests.unit.log.signers import LOG, ORIGIN, W1, signed

NOTE = signed(Checkpoint(ORIGIN, 9, bytes(range(32))), LOG, W1)
HASH = base64.b64encode(bytes(range(32)))


@pytest.mark.parametrize("hashes", [0, 1, MAX_PROOF_LINES])
@pytest.mark.parametrize("old_size", [0, 9, 2**63 - 1])
def test_submissions_are_read_back(old_size: int, hashes: int) -> None:
    one = Submission(old_size, (bytes(range(32)),) * hashes, parse_note(NOTE))
    assert parse_submission(one.to_bytes()) == one
    lines = one.to_bytes().split(b"\n")
    assert lines[0] == b"old %d" % old_size
    assert lines[1 : hashes + 1] == [HASH] * hashes
    assert one.to_bytes().endswith(b"\n\n" + NOTE)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0",
        b"old 0\n",
        b"old 0\n\n",
        b"old 0\n" + NOTE,
        b"0\n\n" + NOTE,
        b"old 00\n\n" + NOTE,
        b"old -1\n\n" + NOTE,
        b"old  1\n\n" + NOTE,
        b"old 1 \n\n" + NOTE,
        b"Old 1\n\n" + NOTE,
        b"old 9223372036854775808\n\n" + NOTE,
        b"old 0\r\n\n" + NOTE,
        b"\nold 0\n\n" + NOTE,
        b"old 0\n\n\n" + NOTE,
        b"old 0\nAAAA\n\n" + NOTE,
        b"old 0\n" + HASH[:-1] + b"\n\n" + NOTE,
        b"old 0\n" + (HASH + b"\n") * 64 + b"\n" + NOTE,
        b"old 0\n\ntext\n\n" + NOTE.split(b"\n\n")[1],
        b"old 0\n\n" + NOTE + b"\n",
        b"old 0\n\n" + NOTE[:-1],
    ],
)
def test_other_bodies_are_refused(body: bytes) -> None:
    with pytest.raises(InputError):
        parse_submission(body)
