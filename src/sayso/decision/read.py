"""Cells for people: the classes that share their reasons, in a line each.

Promises: every cell stands in exactly one line. Does not change what a cell says.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sayso.decision.cells import (
    AGES,
    AUTHORSHIPS,
    CATEGORIES,
    CHOICES,
    STATUSES,
    UNNAMED_CONTEXT,
    VISIBILITIES,
    Cells,
)
from sayso.model import reasons_of

# The name of an axis and of its values, in the order of the table.
Axis = tuple[str, tuple[str, ...]]


def _named(values: tuple[object, ...]) -> tuple[str, ...]:
    return tuple("unknown" if value is None else str(value) for value in values)


MEMBER_AXES: tuple[Axis, ...] = (
    ("status", _named(STATUSES)),
    ("notice", ("served", "not served", "days not passed", "some not served, some not passed")),
    ("age", tuple(age.name.lower().replace("_", " ") for age in AGES)),
    ("choice", _named(CHOICES)),
)
WHEN_AXES: tuple[Axis, ...] = (
    ("as a minor", ("no", "yes")),
    ("too early", ("no", "yes")),
    ("writing time", ("known", "unknown")),
    ("deleted", ("no", "yes")),
    ("record id", ("single", "null or repeated")),
)


def what_axes(cells: Cells) -> tuple[Axis, ...]:
    """Return the axes of what a record is; contexts are those that the rules name."""
    contexts = tuple("any other" if one == UNNAMED_CONTEXT else one for one in cells.contexts)
    return (
        ("category", _named(CATEGORIES)),
        ("visibility", _named(VISIBILITIES)),
        ("authorship", _named(AUTHORSHIPS)),
        ("context", _named(contexts)),
        ("others named", ("no", "yes", "unknown")),
    )


@dataclass(frozen=True, slots=True)
class Line:
    """Classes that share their reasons.

    Attributes:
        classes: How many.
        shared: The values of the axes that tell them from the others, in words.
    """

    reasons: tuple[str, ...]
    classes: int
    shared: str


def grouped_cells(masks: npt.NDArray[np.uint32], axes: tuple[Axis, ...]) -> list[Line]:
    """Return the lines of one table, those with fewest reasons first."""
    shaped = masks.reshape(tuple(len(values) for _, values in axes))
    lines = []
    for mask in sorted(set(masks.reshape(-1).tolist()), key=lambda m: (m.bit_count(), m)):
        places = np.argwhere(shaped == mask)
        words, every = [], 1
        for number, (name, values) in enumerate(axes):
            used = sorted(set(places[:, number].tolist()))
            every *= len(used)
            if len(used) < len(values):
                words.append(f"{name} {' or '.join(values[i] for i in used)}")
        reasons = tuple(str(reason) for reason in reasons_of(mask))
        # Where not every combination of the values is meant, say so.
        some = "some of " if every > len(places) else ""
        lines.append(Line(reasons, len(places), some + ", ".join(words)))
    return lines
