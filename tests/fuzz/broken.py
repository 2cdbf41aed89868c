"""Bytes that were right once: seeds of the corpus, and what becomes of them."""

from pathlib import Path

from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
SEEDS = {
    name: [path.read_bytes() for path in sorted((CORPUS / name).iterdir())] for name in TARGETS
}
PIECES = [b"\n", b"\n\n", b" ", b"+", b"=", b"\0", b"\xff", b"0", b"/", b"\xe2\x80\x94 ", b"\r"]


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
