import base64
from dataclasses import replace

import pytest

from sayso.errors import InputError, IntegrityError
from sayso.log.checkpoint import Checkpoint
from sayso.log.merkle import leaf_hash
from sayso.log.policy import parse_policy
from sayso.log.proof_file import MAX_PROOF_BYTES, Proof, parse_proof, verify_proof
from sayso.log.proofs import inclusion_proof, root_at
from tests.unit.log.signers import AT, LOG, ORIGIN, W1, signed
from tests.unit.log.trees import Defined, entries, entry

SIZE = 11
TREE = Defined(entries(SIZE))
NOTE = signed(Checkpoint(ORIGIN, SIZE, root_at(SIZE, TREE.node)), LOG, W1)
POLICY = parse_policy(
    f"log {LOG.verifier().to_text()}\nwitness w {W1.verifier().to_text()}\nquorum w\n".encode()
)
PROOFS = [
    Proof(index, tuple(inclusion_proof(index, SIZE, TREE.node)), NOTE) for index in range(SIZE)
]
ALONE = Proof(0, (), signed(Checkpoint(ORIGIN, 1, leaf_hash(entry(0)))))


@pytest.mark.parametrize(
    "proof",
    [
        *PROOFS,
        ALONE,
        replace(ALONE, hashes=(bytes(32),) * 63),
        replace(PROOFS[3], extra=b"\0\xff"),
        replace(ALONE, extra=b"more"),
    ],
)
def test_proofs_are_read_back(proof: Proof) -> None:
    assert parse_proof(proof.to_bytes()) == proof


def test_the_bytes_of_a_proof() -> None:
    lines = replace(PROOFS[10], extra=b"age").to_bytes().decode().split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", "extra YWdl", "index 10"]
    assert lines[3:5] == [base64.b64encode(one).decode() for one in PROOFS[10].hashes]
    assert lines[5:8] == ["", ORIGIN, str(SIZE)]


@pytest.mark.parametrize("index", range(SIZE))
def test_a_proof_is_verified_against_a_policy_alone(index: int) -> None:
    unverified = parse_proof(PROOFS[index].to_bytes())
    verified = verify_proof(unverified, leaf_hash(entry(index)), POLICY)
    assert verified.checkpoint.size == SIZE
    assert verified.witnesses == {"w": AT}
    with pytest.raises(IntegrityError, match="does not lead to the root"):
        verify_proof(unverified, leaf_hash(b"another"), POLICY)
    with pytest.raises(IntegrityError):
        verify_proof(replace(unverified, index=(index + 1) % SIZE), leaf_hash(entry(index)), POLICY)
    with pytest.raises(IntegrityError):
        verify_proof(replace(unverified, index=SIZE), leaf_hash(entry(index)), POLICY)


def test_a_proof_without_its_quorum_is_refused() -> None:
    with pytest.raises(IntegrityError, match="lacks its quorum"):
        verify_proof(ALONE, leaf_hash(entry(0)), POLICY)


def test_every_flipped_bit_of_a_proof_is_noticed() -> None:
    data = PROOFS[6].to_bytes()
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((InputError, IntegrityError)):
            verify_proof(parse_proof(bytes(changed)), leaf_hash(entry(6)), POLICY)


HEAD, FOOT = PROOFS[6].to_bytes().split(b"\n\n", 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n" + FOOT,
        HEAD,
        HEAD + b"\n\n",
        HEAD + b"\n" + FOOT,
        HEAD + b"\n\n\n" + FOOT,
        b"\n" + HEAD + b"\n\n" + FOOT,
        HEAD.replace(b"@v1", b"@v2") + b"\n\n" + FOOT,
        HEAD.replace(b"@v1", b"@v1 ") + b"\n\n" + FOOT,
        HEAD.replace(b"index 6", b"index 06") + b"\n\n" + FOOT,
        HEAD.replace(b"index 6", b"index  6") + b"\n\n" + FOOT,
        HEAD.replace(b"index 6", b"index -6") + b"\n\n" + FOOT,
        HEAD.replace(b"index 6", b"Index 6") + b"\n\n" + FOOT,
        HEAD.replace(b"index 6", b"6") + b"\n\n" + FOOT,
        HEAD.replace(b"index 6\n", b"") + b"\n\n" + FOOT,
        HEAD.replace(b"index 6", b"index 6\nindex 6") + b"\n\n" + FOOT,
        HEAD.replace(b"index 6", b"extra \nindex 6") + b"\n\n" + FOOT,
        HEAD.replace(b"index 6", b"extra YQ\nindex 6") + b"\n\n" + FOOT,
        HEAD.replace(b"index 6", b"extra YQ==\nextra YQ==\nindex 6") + b"\n\n" + FOOT,
        HEAD.replace(b"index 6", b"index 6\nextra YQ==") + b"\n\n" + FOOT,
        HEAD + b"\nAAAA\n\n" + FOOT,
        HEAD + b"\r\n\n" + FOOT,
        HEAD + b"\n" + b"\n".join([base64.b64encode(bytes(32))] * 60) + b"\n\n" + FOOT,
        HEAD + b"\n\ntext" + FOOT[FOOT.index(b"\n\n") :],
        HEAD.replace(b"index", b"extra " + b"AAAA" * (MAX_PROOF_BYTES // 4) + b"\nindex")
        + b"\n\n"
        + FOOT,
    ],
)
def test_other_proofs_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        parse_proof(data)


def test_the_extra_is_vouched_for_by_nobody() -> None:
    one = replace(PROOFS[2], extra=b"anything")
    verify_proof(parse_proof(one.to_bytes()), leaf_hash(entry(2)), POLICY)
