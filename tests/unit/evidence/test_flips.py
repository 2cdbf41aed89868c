"""Every bit of a small folder and of small packs, flipped alone: each is noticed (law 9).

The same bytes are parsed and verified thousands of times, so that what these pure functions
gave is kept for the time of the tests.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sayso.attest.keys import PublicKey
from sayso.canonical import parse_canonical
from sayso.errors import SaysoError
from sayso.evidence.case import Given
from sayso.evidence.checks import Report
from sayso.evidence.checks_manifest import parse_manifest
from sayso.evidence.layout import TOLD
from sayso.evidence.verify import verify_pack_bytes, verify_receipt_bytes
from sayso.log.keys import VerifierKey
from sayso.log.policy import parse_policy
from tests.unit.evidence.builders import GIVEN, Town, checked, packed
from tests.unit.evidence.releases import release_pack

TOWN = Town()
FOLDER = TOWN.folder
RECEIPT = TOWN.receipt(TOWN.proof(1))
PACKS = {
    "snapshot": TOWN.snapshot_pack(), "member": TOWN.member_pack(),
    "release": release_pack(TOWN),
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def remembered() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for owner in (PublicKey, VerifierKey):
            patch.setattr(owner, "verify", _remembering(owner.verify))
        for parse in (parse_canonical, parse_manifest, parse_policy):
            kept = _remembering(parse)
            for name, module in sys.modules.items():
                if name.startswith("sayso.") and hasattr(module, parse.__name__):
                    patch.setattr(module, parse.__name__, kept)
        yield


def _remembering(verify: Callable[..., Any]) -> Callable[..., Any]:
    @functools.lru_cache(10_000)
    def outcome(*arguments: Any) -> tuple[Any, SaysoError | None]:
        try:
            return verify(*arguments), None
        except SaysoError as error:
            return None, error

    def remembering(*arguments: Any) -> Any:
        found, error = outcome(*arguments)
        if error is not None:
            raise error
        return found

    return remembering


def flips(data: bytes, *, sparse: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """Yield the data with each of its bits flipped, or with a bit of every so many bytes."""
    broken = bytearray(data)
    for place in range(0, len(data), sparse or 1):
        for bit in (place % 8,) if sparse else range(8):
            broken[place] ^= 1 << bit
            yield place, bit, bytes(broken)
            broken[place] ^= 1 << bit


def refused(verify: Callable[[bytes], Report], data: bytes, sparse: int = 0) -> None:
    assert verify(data).is_sound
    for place, bit, broken in flips(data, sparse=sparse):
        assert not verify(broken).is_sound, (place, bit)


def in_folder(name: str, given: Given) -> Callable[[bytes], Report]:
    return lambda data: checked({**FOLDER, name: data}, given)


def in_pack(kind: str, name: str) -> Callable[[bytes], Report]:
    """As the platform would sign it anew."""
    return lambda data: verify_pack_bytes(packed({**PACKS[kind], name: data}, kind), GIVEN)


@pytest.mark.parametrize("name", FOLDER)
def test_law_9_every_flipped_bit_of_a_folder(name: str) -> None:
    refused(in_folder(name, GIVEN), FOLDER[name])


@pytest.mark.parametrize("name", FOLDER)
def test_law_9_flipped_bits_of_a_folder_by_its_own_keys(name: str) -> None:
    refused(in_folder(name, Given()), FOLDER[name], sparse=2)


def test_law_9_every_flipped_bit_of_a_pack() -> None:
    refused(lambda data: verify_pack_bytes(data, GIVEN), packed(PACKS["snapshot"], "snapshot"))


def test_law_9_flipped_bits_of_another_pack() -> None:
    refused(lambda data: verify_pack_bytes(data, GIVEN), packed(PACKS["member"]), sparse=2)


def test_law_9_flipped_bits_of_the_pack_of_a_release() -> None:
    made = packed(PACKS["release"], "release")
    refused(lambda data: verify_pack_bytes(data, GIVEN), made, sparse=7)


def test_law_9_flipped_bits_of_a_receipt() -> None:
    refused(lambda data: verify_receipt_bytes(data, GIVEN), RECEIPT, sparse=5)


KEPT = {name: data for name, data in FOLDER.items() if not name.startswith("records/")}


def of_retention(data: bytes) -> Report:
    return checked({**KEPT, "evidence/retention.json": data}, GIVEN)


def test_law_9_flipped_bits_of_what_retention_signed() -> None:
    refused(of_retention, TOWN.expiry(), sparse=3)


@pytest.mark.soak
def test_law_9_every_flipped_bit_of_what_retention_signed() -> None:
    refused(of_retention, TOWN.expiry())


# The others are flipped in their folder; of what is told, only the pack's signature speaks.
OWN = [
    (kind, name)
    for kind, files in PACKS.items()
    for name in files
    if name not in FOLDER and not TOLD.fullmatch(name) and not name.startswith("receipts/")
]


@pytest.mark.parametrize(("kind", "name"), OWN)
def test_law_9_flipped_bits_that_the_platform_signed_anew(kind: str, name: str) -> None:
    # A release is followed anew each time: every bit of it is for the soak.
    refused(in_pack(kind, name), PACKS[kind][name], sparse=61 if kind == "release" else 3)


@pytest.mark.soak
def test_law_9_every_flipped_bit_of_a_receipt_and_of_another_pack() -> None:
    refused(lambda data: verify_receipt_bytes(data, GIVEN), RECEIPT)
    refused(lambda data: verify_pack_bytes(data, GIVEN), packed(PACKS["member"]))
    refused(lambda data: verify_pack_bytes(data, GIVEN), packed(PACKS["release"], "release"))


@pytest.mark.soak
@pytest.mark.parametrize(("kind", "name"), OWN)
def test_law_9_every_flipped_bit_that_the_platform_signed_anew(kind: str, name: str) -> None:
    refused(in_pack(kind, name), PACKS[kind][name])
