"""What is fuzzed: a function for each parser, which takes any bytes (law 12).

A target returns where its parser gave a value or one of the two allowed errors, and raises
where it did anything else, or where a value is not written back to the bytes that it came from.

To add one: write `fuzz_<name>(data)`, put it into `TARGETS`, and give it seeds, which stand for
what it reads when nothing is wrong, in `corpus/<name>/`. Everything else goes by the table:
`test_corpus.py` replays the seeds, `tests/property/test_law_12.py` breaks them a little,
`tests/soak/test_fuzz.py` lets atheris break them for long, and what that finds is kept beside
the seeds.
"""

import functools
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sayso.attest.dsse import STATEMENT_TYPE, parse_envelope, verify
from sayso.attest.handover import check_payload, follow_keys, keys_of
from sayso.attest.receipts import parse_receipt
from sayso.attest.statements import parse_statement
from sayso.canonical import parse_canonical
from sayso.errors import InputError, IntegrityError
from sayso.evidence.checks_manifest import parse_manifest
from sayso.evidence.container import pack_bytes, parse_pack, verify_pack
from sayso.evidence.files import PackFiles
from sayso.evidence.merkle_proofs import parse_membership, root_of_leaves, verify_membership
from sayso.evidence.verify import verify_folder, verify_pack_bytes, verify_receipt_bytes
from sayso.log.checkpoint import Checkpoint, parse_checkpoint_text
from sayso.log.keys import KeyType, SignerKey, parse_signer_key, parse_verifier_key
from sayso.log.merkle import leaf_hash
from sayso.log.notes import Note, cosign, parse_note, sign, verify_note
from sayso.log.policy import parse_policy
from sayso.log.proof_file import parse_proof, verify_proof
from sayso.log.submission import parse_submission
from sayso.log.tiles import (
    Tile,
    TileReader,
    bundle_path,
    encode_bundle,
    parse_bundle,
    parse_path,
    tile_path,
)
from sayso.log.witness import Witness
from sayso.snapshot.manifest import parse_manifest as parse_snapshot_manifest
from tests.unit.evidence.builders import GIVEN, KEY, Town
from tests.unit.evidence.releases import release_pack

Target = Callable[[bytes], None]

ORIGIN = "example.org/log"
AT = 1_800_000_000
LOG = SignerKey.from_seed(ORIGIN, bytes(32))
WITNESS = SignerKey.from_seed("example.org/w", bytes(32), KeyType.ED25519_COSIGNATURE)
KEYS = [LOG.verifier(), WITNESS.verifier()]
TEXT = Checkpoint(ORIGIN, 1, leaf_hash(b"")).to_text()
NOTE = Note(TEXT, (sign(TEXT, LOG), cosign(TEXT, WITNESS, AT))).to_bytes()
POLICY = parse_policy(
    f"log {KEYS[0].to_text()}\nwitness w {KEYS[1].to_text()}\nquorum w\n".encode()
)
STATUSES = {200, 400, 403, 404, 409, 422}


def text_of(data: bytes) -> str:
    """Any bytes as some text, and no two as the same."""
    return data.decode(errors="surrogateescape")


def fuzz_note(data: bytes) -> None:
    note = parse_note(data)
    assert note.to_bytes() == data
    verify_note(note, KEYS)


def fuzz_checkpoint(data: bytes) -> None:
    text = text_of(data)
    head = parse_checkpoint_text(text)
    assert head.to_text() == text


def fuzz_key(data: bytes) -> None:
    text = text_of(data)
    with suppress(InputError):
        key = parse_verifier_key(text)
        assert key.to_text() == text
        with suppress(IntegrityError):
            key.verify(TEXT, bytes(72))
    signer = parse_signer_key(text)
    assert signer.to_text() == text


def fuzz_proof(data: bytes) -> None:
    proof = parse_proof(data)
    assert proof.to_bytes() == data
    verify_proof(proof, leaf_hash(b""), POLICY)


def fuzz_policy(data: bytes) -> None:
    policy = parse_policy(data)
    assert parse_policy(data + b"# the same\n") == policy
    policy.check(NOTE)


def fuzz_path(data: bytes) -> None:
    text = text_of(data)
    found = parse_path(text)
    again = tile_path(found) if isinstance(found, Tile) else bundle_path(found.index, found.width)
    assert again == text


def fuzz_bundle(data: bytes) -> None:
    assert encode_bundle(parse_bundle(data)) == data


def fuzz_tiles(data: bytes) -> None:
    """Three bytes say how many leaves; whatever path is asked for gives the rest."""
    size = int.from_bytes(data[:3])
    reader = TileReader(lambda _: data[3:], size)
    with suppress(IntegrityError):
        assert len(reader.root()) == 32
    with suppress(IntegrityError):
        assert len(reader.inclusion_proof(size // 3)) <= 24
    assert len(list(reader.entries(0, size))) == size


def fuzz_submission(data: bytes) -> None:
    submission = parse_submission(data)
    assert submission.to_bytes() == data
    verify_note(submission.note, KEYS)


def fuzz_witness(data: bytes) -> None:
    response = _witness().add_checkpoint(data)
    assert response.status in STATUSES


@functools.cache
def _witness() -> Witness:
    folder = tempfile.TemporaryDirectory()
    _FOLDERS.append(folder)
    return Witness(Path(folder.name), [WITNESS], {ORIGIN: KEYS[:1]}, clock=lambda: AT)


def fuzz_envelope(data: bytes) -> None:
    envelope = parse_envelope(data)
    assert envelope.to_bytes() == data
    verify(envelope, [KEY.public], STATEMENT_TYPE)


def fuzz_statement(data: bytes) -> None:
    assert parse_statement(data).to_bytes() == data


def fuzz_receipt(data: bytes) -> None:
    with suppress(InputError, IntegrityError):
        assert parse_receipt(data).to_bytes() == data
    verify_receipt_bytes(data, GIVEN).to_json()


def fuzz_manifest(data: bytes) -> None:
    """The verifier's reader takes nothing that the one of snapshots refuses."""
    parse_manifest(data)
    try:
        assert parse_snapshot_manifest(data).to_bytes() == data
    except (InputError, IntegrityError) as error:
        raise AssertionError(str(error)) from error


def fuzz_membership(data: bytes) -> None:
    proof = parse_membership(data)
    assert proof.to_bytes() == data
    verify_membership(proof, bytes(32), 7)


def fuzz_leaves(data: bytes) -> None:
    rows, root = root_of_leaves([data])
    assert (64 * rows, len(root)) == (len(data), 32)


def fuzz_pack(data: bytes) -> None:
    with suppress(InputError, IntegrityError):
        pack = parse_pack(data)
        verify_pack(pack, [KEY.public])
        made = pack_bytes(pack.kind, pack.question, pack.files, KEY, pack.created_us)
        assert made == data
    verify_pack_bytes(data, GIVEN).to_json()


def fuzz_handover(data: bytes) -> None:
    """What an entry of kind `key` may hold, and what stands in it as signed by two keys."""
    value = parse_canonical(data)
    payload = check_payload(value, "payload")
    if payload["role"] == "statements":
        old, new = keys_of(payload)
        assert set(follow_keys([payload], [old])) == {old, new}


def fuzz_evidence(data: bytes) -> None:
    """The first byte names a file of a folder or of a signed pack; the rest stands in it."""
    sets = _evidence()
    every = [(number, name) for number, files in enumerate(sets) for name in sorted(files)]
    number, name = every[data[0] % len(every)] if data else every[0]
    broken = {**sets[number], name: data[1:]}
    if number == 0:
        verify_folder(functools.partial(PackFiles, broken), GIVEN).to_json()
    else:
        kind = "release" if number > 1 else "member"
        verify_pack_bytes(pack_bytes(kind, {}, broken, KEY, 0), GIVEN).to_json()


@functools.cache
def _evidence() -> tuple[dict[str, bytes], ...]:
    town = Town()
    return town.folder, town.snapshot_pack() | town.member_pack(), release_pack(town)


_FOLDERS: list["tempfile.TemporaryDirectory[str]"] = []


def _allowing(target: Target) -> Target:
    """A target for which the two errors that a parser may raise are nothing."""

    @functools.wraps(target)
    def allowing(data: bytes) -> None:
        with suppress(InputError, IntegrityError):
            target(data)

    return allowing


TARGETS: dict[str, Target] = {
    target.__name__.removeprefix("fuzz_"): _allowing(target)
    for target in (
        fuzz_note,
        fuzz_checkpoint,
        fuzz_key,
        fuzz_proof,
        fuzz_policy,
        fuzz_path,
        fuzz_bundle,
        fuzz_tiles,
        fuzz_submission,
        fuzz_witness,
        fuzz_envelope,
        fuzz_statement,
        fuzz_receipt,
        fuzz_manifest,
        fuzz_membership,
        fuzz_leaves,
        fuzz_pack,
        fuzz_evidence,
        fuzz_handover,
    )
}
