import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from subprocess import run
from sys import executable

import pytest

from sayso.errors import InputError, IntegrityError, UnavailableError
from sayso.log.checkpoint import Checkpoint
from sayso.log.keys import KeyType
from sayso.log.merkle import EMPTY_ROOT
from sayso.log.notes import Note, parse_note, parse_signatures, sign, verify_note
from sayso.log.submission import Submission, parse_submission
from sayso.log.witness import Response, Witness
from tests.unit.log.signers import AT, LOG, ORIGIN, W1, W3, signed, signer
from tests.unit.log.trees import Defined, entries

TREE = Defined(entries(64))
OTHER = Defined([b"another", *entries(64)[1:]])
LOGS = {ORIGIN: [LOG.verifier()]}


def head(size: int, tree: Defined = TREE) -> Checkpoint:
    return Checkpoint(ORIGIN, size, tree.mth(0, size))


def body(old: int, new: int, tree: Defined = TREE, *, note: bytes | None = None) -> bytes:
    proof = tree.proof(old, new) if 0 < old <= new else []
    return Submission(old, tuple(proof), parse_note(note or signed(head(new, tree)))).to_bytes()


def new_witness(folder: Path) -> Witness:
    return Witness(folder, [W1, W3], LOGS, clock=lambda: AT)


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return new_witness(tmp_path)


def check_cosigned(response: Response, size: int) -> None:
    assert response.status == 200, response.body
    assert response.content_type == "text/plain; charset=utf-8"
    note = Note(head(size).to_text(), parse_signatures(response.body.decode()))
    verified = verify_note(note, [W1.verifier(), W3.verifier()])
    assert [(one.key.name, one.unix_seconds) for one in verified] == [(W1.name, AT), (W3.name, AT)]


def check_conflict(response: Response, size: int) -> None:
    assert response == Response(409, "text/x.tlog.size", b"%d\n" % size)


def evidence(folder: Path) -> list[str]:
    return sorted(path.name.rsplit("-", 1)[0] for path in (folder / "evidence").iterdir())


@pytest.mark.parametrize("size", [0, 1, 5, 64])
def test_a_log_that_it_never_saw(witness: Witness, size: int) -> None:
    check_cosigned(witness.add_checkpoint(body(0, size)), size)
    check_conflict(witness.add_checkpoint(body(0, 64)), size) if size else None


def test_a_log_that_grows(witness: Witness) -> None:
    sizes = [0, 1, 2, 2, 7, 8, 31, 64, 64]
    for old, new in zip([0, *sizes], sizes, strict=False):
        check_cosigned(witness.add_checkpoint(body(old, new)), new)


def test_a_wrong_old_size_is_told_the_right_one(witness: Witness, tmp_path: Path) -> None:
    check_cosigned(witness.add_checkpoint(body(0, 10)), 10)
    for old, new in ((0, 20), (9, 20), (11, 20), (0, 10), (0, 9), (9, 9), (20, 20), (0, 0)):
        check_conflict(witness.add_checkpoint(body(old, new)), 10)
    check_cosigned(witness.add_checkpoint(body(10, 20)), 20)
    assert evidence(tmp_path) == []


def test_an_older_checkpoint_is_not_cosigned(witness: Witness) -> None:
    check_cosigned(witness.add_checkpoint(body(0, 10)), 10)
    assert witness.add_checkpoint(body(10, 9)).status == 400
    check_conflict(witness.add_checkpoint(body(9, 9)), 10)


@pytest.mark.parametrize(
    "bad", [b"", b"old 0\n\n", b"old 0\n\ntext\n\n", body(0, 3) + b"x", b"\xff", b"old x\n"]
)
def test_what_cannot_be_read_is_a_bad_request(witness: Witness, bad: bytes) -> None:
    assert witness.add_checkpoint(bad).status == 400


def test_unknown_logs_and_keys(witness: Witness, tmp_path: Path) -> None:
    elsewhere = Checkpoint("example.org/else", 3, TREE.mth(0, 3))
    assert witness.add_checkpoint(body(0, 3, note=signed(elsewhere))).status == 404
    stranger = signed(head(3), signer(ORIGIN, KeyType.MLDSA44_COSIGNATURE))
    assert witness.add_checkpoint(body(0, 3, note=stranger)).status == 403
    forged = parse_note(signed(head(3)))
    forged = replace(forged, text=head(4).to_text())
    assert witness.add_checkpoint(body(0, 4, note=forged.to_bytes())).status == 403
    # An unknown key, and a checkpoint that does not fit: the key comes first.
    assert witness.add_checkpoint(body(5, 3, note=stranger)).status == 403
    assert not [path for path in (tmp_path / "state").iterdir() if path.suffix != ".lock"]


def test_further_signatures_do_not_matter(witness: Witness) -> None:
    note = signed(head(4), LOG, W1, W3)
    check_cosigned(witness.add_checkpoint(body(0, 4, note=note)), 4)


def test_a_second_history_of_the_same_size_is_kept_as_proof(
    witness: Witness, tmp_path: Path
) -> None:
    check_cosigned(witness.add_checkpoint(body(0, 10)), 10)
    for _ in range(3):
        response = witness.add_checkpoint(body(10, 10, OTHER))
        assert (response.status, response.content_type) == (409, "text/plain; charset=utf-8")
    assert evidence(tmp_path) == ["split-10", "split-10"]
    # Also where the request could not have been granted for another reason.
    check_conflict(witness.add_checkpoint(body(0, 10, OTHER)), 10)
    submitted = next((tmp_path / "evidence").glob("*.submitted")).read_bytes()
    known = next((tmp_path / "evidence").glob("*.known")).read_bytes()
    one, other = parse_submission(submitted).note, parse_note(known)
    verify_note(one, LOGS[ORIGIN])
    verify_note(other, LOGS[ORIGIN])
    assert one.text.split("\n")[:2] == other.text.split("\n")[:2]
    assert one.text != other.text


@pytest.mark.parametrize("new", [11, 16, 64])
def test_a_second_history_is_refused_and_kept(witness: Witness, tmp_path: Path, new: int) -> None:
    check_cosigned(witness.add_checkpoint(body(0, 10)), 10)
    assert witness.add_checkpoint(body(10, new, OTHER)).status == 422
    assert evidence(tmp_path) == [f"unproven-{new}"] * 2
    check_cosigned(witness.add_checkpoint(body(10, new)), new)


def test_proofs_that_do_not_fit(witness: Witness) -> None:
    def sent(old: int, new: int, proof: list[bytes]) -> int:
        note = parse_note(signed(head(new)))
        return witness.add_checkpoint(Submission(old, tuple(proof), note).to_bytes()).status

    assert sent(0, 10, [bytes(32)]) == 422
    assert sent(0, 10, []) == 200
    assert sent(10, 10, [bytes(32)]) == 422
    assert sent(10, 20, []) == 422
    assert sent(10, 20, TREE.proof(10, 20)[:-1]) == 422
    assert sent(10, 20, [*TREE.proof(10, 20), bytes(32)]) == 422
    assert sent(10, 20, TREE.proof(9, 20)) == 422
    assert sent(10, 20, TREE.proof(10, 20)) == 200


def test_no_leaves_have_one_root(witness: Witness) -> None:
    wrong = signed(Checkpoint(ORIGIN, 0, bytes(32)))
    assert witness.add_checkpoint(body(0, 0, note=wrong)).status == 409
    right = signed(Checkpoint(ORIGIN, 0, EMPTY_ROOT))
    check_cosigned(witness.add_checkpoint(body(0, 0, note=right)), 0)


def test_what_it_saw_survives_a_restart(tmp_path: Path) -> None:
    check_cosigned(new_witness(tmp_path).add_checkpoint(body(0, 10)), 10)
    again = new_witness(tmp_path)
    check_conflict(again.add_checkpoint(body(0, 20, OTHER)), 10)
    assert again.add_checkpoint(body(10, 10, OTHER)).status == 409
    check_cosigned(again.add_checkpoint(body(10, 20)), 20)


def test_two_logs_do_not_meet(tmp_path: Path) -> None:
    other = signer("example.org/other")
    witness = Witness(tmp_path, [W1, W3], LOGS | {other.name: [other.verifier()]}, clock=lambda: AT)
    check_cosigned(witness.add_checkpoint(body(0, 10)), 10)
    theirs = Checkpoint(other.name, 4, OTHER.mth(0, 4))
    assert witness.add_checkpoint(body(0, 4, note=signed(theirs, other))).status == 200
    # One log's key does not sign for another.
    ours = Note(theirs.to_text(), (sign(theirs.to_text(), LOG),)).to_bytes()
    assert witness.add_checkpoint(body(4, 4, note=ours)).status == 403


@pytest.mark.parametrize(
    "broken", [b"", b"x", signed(Checkpoint("example.org/else", 3, bytes(32)))]
)
def test_a_broken_memory_is_not_an_empty_one(tmp_path: Path, broken: bytes) -> None:
    witness = new_witness(tmp_path)
    check_cosigned(witness.add_checkpoint(body(0, 10)), 10)
    (state,) = (path for path in (tmp_path / "state").iterdir() if not path.suffix)
    state.write_bytes(broken)
    with pytest.raises(IntegrityError, match="what is remembered of a log"):
        witness.add_checkpoint(body(0, 20))


def test_a_disk_that_does_not_take_it_gets_no_cosignature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = new_witness(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UnavailableError, match="No space left"):
        witness.add_checkpoint(body(0, 10))
    monkeypatch.undo()
    check_cosigned(witness.add_checkpoint(body(0, 5)), 5)


class Killed(BaseException):
    """No handler catches it, as none would catch a kill."""


@pytest.mark.parametrize("step", range(1, 14))
@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace"])
def test_killed_at_any_step_it_remembers_what_it_cosigned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, step: int
) -> None:
    owner, name = (os, "fsync") if call == "os.fsync" else (Path, "replace")
    real, left, cosigned = getattr(owner, name), step, 0

    def killing(*args: object) -> object:
        nonlocal left
        left -= 1
        if not left:
            raise Killed
        return real(*args)

    witness = new_witness(tmp_path)
    monkeypatch.setattr(call, killing)
    with suppress(Killed):
        for size in range(1, 9):
            check_cosigned(witness.add_checkpoint(body(size - 1, size)), size)
            cosigned = size
    monkeypatch.undo()

    again = new_witness(tmp_path)
    known = int(again.add_checkpoint(body(9, 9)).body)
    assert known in {cosigned, cosigned + 1}
    if known:
        assert again.add_checkpoint(body(known, 20, OTHER)).status == 422
    check_cosigned(again.add_checkpoint(body(known, 20)), 20)


def test_it_signs_with_cosignature_keys_alone(tmp_path: Path) -> None:
    for signers in ([], [LOG], [W1, LOG]):
        with pytest.raises(InputError, match="cosignature keys"):
            Witness(tmp_path, signers, LOGS, clock=lambda: AT)


def race(ask: Callable[[int], tuple[int, Response]], rounds: int) -> list[tuple[int, Response]]:
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(ask, range(rounds)))


def test_many_at_once_never_roll_it_back(tmp_path: Path) -> None:
    """16 threads over two witnesses on one folder; each asks from what it last heard."""
    witnesses = [new_witness(tmp_path), new_witness(tmp_path)]
    signed_order: list[int] = []
    lock = threading.Lock()
    notes = {size: signed(head(size)) for size in range(65)}

    def clock() -> int:  # runs where it signs, under the witness's own lock
        (state,) = (path for path in (tmp_path / "state").iterdir() if not path.suffix)
        with lock:
            signed_order.append(int(state.read_bytes().split(b"\n")[1]))
        return AT

    for one in witnesses:
        one._clock = clock

    def ask(number: int) -> tuple[int, Response]:
        known, new = 0, 1 + number * 7 % 64
        witness = witnesses[number % 2]
        while True:
            if known > new:
                return new, Response(0, "", b"")
            response = witness.add_checkpoint(body(known, new, note=notes[new]))
            if response.content_type != "text/x.tlog.size":
                return new, response
            known = int(response.body)

    answers = race(ask, 96)
    assert signed_order == sorted(signed_order)
    for new, response in answers:
        if response.status:
            check_cosigned(response, new)
    check_conflict(witnesses[0].add_checkpoint(body(0, 64)), max(signed_order))


def test_of_two_histories_at_once_one_is_cosigned(tmp_path: Path) -> None:
    witnesses = [new_witness(tmp_path), new_witness(tmp_path)]
    first = None
    for size in range(1, 21):
        asked = [body(size - 1, size, tree) for tree in (TREE, OTHER)]

        def ask(turn: int, asked: list[bytes] = asked) -> tuple[int, Response]:
            return turn, witnesses[turn].add_checkpoint(asked[turn])

        (won,) = (turn for turn, response in race(ask, 2) if response.status == 200)
        first = won if first is None else first
        assert won == first


ASK = """
import sys
from pathlib import Path
from tests.unit.log.test_witness import body, new_witness
witness, won = new_witness(Path(sys.argv[1])), 0
for size in range(1, 33):
    won += witness.add_checkpoint(body(size - 1, size)).status == 200
print(won)
"""


def test_processes_exclude_each_other(tmp_path: Path) -> None:
    """Two processes offer the same steps: each step from n - 1 is cosigned to one of them."""
    root = Path(__file__).parents[3]

    def one(_: int) -> int:
        done = run(
            [executable, "-c", ASK, str(tmp_path)],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
        return int(done.stdout)

    with ThreadPoolExecutor(2) as pool:
        won = list(pool.map(one, range(2)))
    assert sum(won) <= 32
    check_conflict(new_witness(tmp_path).add_checkpoint(body(0, 64)), sum(won))
