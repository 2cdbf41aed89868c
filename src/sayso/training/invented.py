"""Invented text: what the project's own base is trained on first.

Promises: made by this file from a number, with no member's data anywhere near; the same
number gives the same text on every machine. It teaches a model the shape of a biography and
of a post, and little else.

Example:
    >>> invented_texts(2, seed=1) == invented_texts(2, seed=1)
    True
"""

import hashlib
from collections.abc import Sequence

_FIELDS = (
    "logistics", "nursing", "accounting", "software", "teaching", "carpentry", "law",
    "marketing", "chemistry", "farming", "design", "translation", "energy", "shipping",
)  # fmt: skip
_DOES = ("plans", "checks", "builds", "explains", "repairs", "measures", "organises", "writes")
_WHAT = (
    "small things", "long projects", "careful reports", "open workshops", "new tools",
    "old machines", "quiet meetings", "clear rules", "simple tests", "shared notes",
)  # fmt: skip
_WHY = (
    "because it saves a week", "so that others can follow", "with a team of five",
    "for hospitals and schools", "before anybody asks", "in three languages",
    "after a long search", "without waste", "at the edge of town",
)  # fmt: skip
_LEARNED = (
    "A good handover saves a week.", "Ask first, then measure.", "Small steps are fast.",
    "Write it down while it is fresh.", "Listen to who does the work.",
    "The second draft is the first good one.", "Nobody reads a long list.",
)  # fmt: skip


def invented_texts(count: int, *, seed: int) -> list[str]:
    """Return so many texts, biographies and posts in turns."""
    return [_biography(seed, n) if n % 2 else _post(seed, n) for n in range(count)]


def _pick(choices: Sequence[str], *place: int | str) -> str:
    """Return one of the choices by a hash of where it stands; no generator to keep in step."""
    digest = hashlib.sha256(repr(place).encode()).digest()
    return choices[int.from_bytes(digest[:8], "big") % len(choices)]


def _sentence(seed: int, number: int, line: int) -> str:
    parts = [_pick(part, seed, number, line, str(part[0])) for part in (_DOES, _WHAT, _WHY)]
    return " ".join(parts)


def _biography(seed: int, number: int) -> str:
    field = _pick(_FIELDS, seed, number)
    return (
        f"Write a biography.\n\nSomebody who works in {field} {_sentence(seed, number, 0)}. "
        f"Before that, {_sentence(seed, number, 1)}. {_pick(_LEARNED, seed, number)}"
    )


def _post(seed: int, number: int) -> str:
    field = _pick(_FIELDS, seed, number)
    return (
        f"Write a post.\n\nToday in {field}: who {_sentence(seed, number, 0)} also "
        f"{_sentence(seed, number, 1)}. {_pick(_LEARNED, seed, number)}"
    )
