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
from sayso.evidence.checks_manifest import parse_manifest
from sayso.evidence.layout import TOLD
from sayso.evidence.verify import verify_pack_bytes
from sayso.log.keys import VerifierKey
from sayso.log.policy import parse_policy
from tests.unit.evidence.builders import GIVEN, Town, checked, packed

TOWN = Town()
FOLDER = TOWN.folder
PACKS = {"snapshot": TOWN.snapshot_pack(), "member": TOWN.member_pack()}


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


def flips(data: bytes, *, each: bool = True) -> Iterator[tuple[int, int, bytes]]:
    """Yield the data with each of its bits flipped, or with one bit of each byte."""
    broken = bytearray(data)
    for place in range(len(data)):
        for bit in range(8) if each else (place % 8,):
            broken[place] ^= 1 << bit
            yield place, bit, bytes(broken)
            broken[place] ^= 1 << bit


@pytest.mark.parametrize("name", FOLDER)
def test_law_9_every_flipped_bit_of_a_folder(name: str) -> None:
    assert checked(FOLDER).is_sound
    for place, bit, broken in flips(FOLDER[name]):
        assert not checked({**FOLDER, name: broken}).is_sound, (place, bit)


@pytest.mark.parametrize("name", FOLDER)
def test_law_9_a_flipped_bit_of_every_byte_by_the_keys_of_the_folder(name: str) -> None:
    assert checked(FOLDER, Given()).is_sound
    for place, bit, broken in flips(FOLDER[name], each=False):
        assert not checked({**FOLDER, name: broken}, Given()).is_sound, (place, bit)


@pytest.mark.parametrize("kind", PACKS)
def test_law_9_flipped_bits_of_a_pack(kind: str) -> None:
    pack = packed(PACKS[kind], kind)
    assert verify_pack_bytes(pack, GIVEN).is_sound
    for place, bit, broken in flips(pack, each=kind == "snapshot"):
        assert not verify_pack_bytes(broken, GIVEN).is_sound, (place, bit)


# The others are flipped in their folder; of what is told, only the pack's signature speaks.
OWN = [
    (kind, name)
    for kind, files in PACKS.items()
    for name in files
    if name not in FOLDER and not TOLD.fullmatch(name)
]


@pytest.mark.parametrize(("kind", "name"), OWN)
def test_law_9_a_flip_that_the_platform_signed_anew(kind: str, name: str) -> None:
    """What the pack's own signature covers again is noticed by what it is about."""
    files = PACKS[kind]
    for place, bit, broken in flips(files[name], each=False):
        pack = packed({**files, name: broken}, kind)
        assert not verify_pack_bytes(pack, GIVEN).is_sound, (place, bit)
