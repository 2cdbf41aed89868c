"""Every seed, and every seed broken a little, through its target (law 12)."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sayso.errors import InputError
from tests.fuzz.targets import TARGETS, fuzz_note

CORPUS = Path(__file__).parent / "corpus"
SEEDS = {
    name: [path.read_bytes() for path in sorted((CORPUS / name).iterdir())] for name in TARGETS
}
FILES = [path for name in TARGETS for path in sorted((CORPUS / name).iterdir())]
PIECES = [b"\n", b"\n\n", b" ", b"+", b"=", b"\0", b"\xff", b"0", b"/", b"\xe2\x80\x94 ", b"\r"]


def test_every_target_has_seeds_and_every_seed_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert all(SEEDS.values())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_seed(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


@st.composite
def broken(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A seed with some bytes cut, flipped, put in, repeated, or taken from another."""
    found = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(found)))
        end = at + draw(st.integers(0, 40))
        kind = draw(st.sampled_from(["cut", "flip", "put", "drop", "repeat", "splice"]))
        if kind == "cut":
            del found[at:]
        elif kind == "flip" and at < len(found):
            found[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "put":
            found[at:at] = draw(st.binary(max_size=6) | st.sampled_from(PIECES))
        elif kind == "drop":
            del found[at:end]
        elif kind == "repeat":
            found[at:at] = found[at:end]
        elif kind == "splice":
            found[at:] = draw(st.sampled_from(seeds))[at:]
    return bytes(found)


@pytest.mark.parametrize("name", TARGETS)
@given(source=st.data())
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_law_12_broken_seeds(name: str, source: st.DataObject) -> None:
    TARGETS[name](source.draw(broken(SEEDS[name]) | st.binary(max_size=200)))


def test_a_target_tells_what_is_not_allowed() -> None:
    with pytest.raises(InputError):
        fuzz_note(b"")
    TARGETS["note"](b"")
    with pytest.raises(TypeError):
        TARGETS["note"](None)  # type: ignore[arg-type]
