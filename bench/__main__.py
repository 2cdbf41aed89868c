"""`make bench`: every bar as a ratio within one run, median of five.

python -m bench                    all of it (about half an hour on two cores)
python -m bench --only decide      decide, ingest, fold, build, log, training, appends or present
python -m bench --scale 0.1        smaller, for a look
python -m bench --large            also ten times the records (needs 60 GB of disk)
python -m bench.shards             what sharding costs in quality: docs/shards.md
"""

import argparse
from pathlib import Path

from bench import asking, build, decide, ledger, log, serving, training
from bench.measure import Report


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only",
        choices=[
            "decide",
            "ingest",
            "fold",
            "build",
            "log",
            "training",
            "appends",
            "present",
            "http",
            "http",
        ],
    )
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    given = parser.parse_args()
    given.out.mkdir(exist_ok=True)
    report = Report()
    scale = given.scale
    if given.only in {None, "decide"}:
        decide.run(report, int(10_000_000 * scale), int(1_000_000 * scale))
    if given.only in {None, "ingest"}:
        ledger.ingest(report, given.out, int(5_000_000 * scale), given.runs)
    if given.only in {None, "fold"}:
        ledger.fold(report, given.out, int(30_000_000 * scale), given.runs)
    if given.only in {None, "build"}:
        build.run(
            report,
            given.out,
            int(10_000_000 * scale),
            int(1_000_000 * scale),
            given.runs,
            large=given.large,
        )
    if given.only in {None, "log"}:
        log.run(report, given.out, int(1_000_000 * scale), int(10_000_000 * scale), given.runs)
    if given.only in {None, "training"}:
        training.run(report, given.out, max(12, int(300 * scale)), min(given.runs, 3))
    if given.only in {None, "appends"}:
        serving.appends(report, given.out, given.runs)
    if given.only in {None, "present"}:
        serving.present(report, given.out, int(100_000 * scale), given.runs)
    if given.only in {None, "http"}:
        asking.http(report, given.out, int(100_000 * scale), given.runs)
    report.write(given.out / "report.json")


if __name__ == "__main__":
    main()
