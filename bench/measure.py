"""Timing: alternate the two sides, take the median of several runs, print the ratio.

Promises: both sides run in the same process and on the same data, in turns, so that a noisy
neighbour disturbs both. A ratio is a measurement, never a test.
"""

import json
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Result:
    """One line of the table."""

    work: str
    value: float
    unit: str
    bar: str
    met: bool
    detail: str = ""


@dataclass
class Report:
    """All lines, printed as they come and written at the end."""

    lines: list[Result] = field(default_factory=list)

    def add(self, work: str, value: float, unit: str, *, at_most: float | None = None,
            at_least: float | None = None, detail: str = "") -> None:  # fmt: skip
        """Print and keep one line."""
        met = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
        bar = f"<= {at_most:g}" if at_most is not None else f">= {at_least:g}" if at_least else ""
        line = Result(work, round(value, 4), unit, bar, met, detail)
        self.lines.append(line)
        mark = "ok    " if met else "MISSED"
        print(
            f"{mark if bar else '      '} {work:66} {value:9.3f} {unit:6} {bar:9} {detail}",
            flush=True,
        )

    def write(self, path: Path) -> None:
        """Write the lines as JSON."""
        path.write_text(json.dumps([asdict(line) for line in self.lines], indent=2) + "\n")


def seconds(run: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def ratio(
    ours: Callable[[], object], floor: Callable[[], object], runs: int = 5
) -> tuple[float, float, float]:
    """Return the ratio of the medians, and both medians in seconds; the sides take turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        times[1].append(seconds(floor))
        times[0].append(seconds(ours))
    one, other = statistics.median(times[0]), statistics.median(times[1])
    return one / other, one, other


def peak_bytes(*, children: bool = False) -> int:
    """Return the peak resident memory of this process, or of its largest child."""
    who = resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF
    return resource.getrusage(who).ru_maxrss * 1024
