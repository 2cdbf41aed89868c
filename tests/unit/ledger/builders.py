"""Readings of a ledger that tests compare, and what several processes do to one."""

from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import sqlalchemy as sa

from sayso.ledger import Ledger, Receipt, fold_standing, ingest_choices, ingest_table, open_ledger
from sayso.ledger import schema as tables
from sayso.ledger.entries import NewChoice
from sayso.ledger.fold import NoticeBound
from sayso.ledger.store import HEAD_CHOICES
from sayso.model import DEFAULT_PURPOSE, Choice
from sayso.tables import connect
from tests.town import SECOND_US, START_US

Row = dict[str, Any]


def say(
    ledger: Ledger,
    member_id: str,
    choice: Choice = Choice.OFF,
    *,
    at_us: int = START_US,
    recorded_us: int = START_US,
    **more: str | None,
) -> Receipt:
    """Append one choice."""
    return ledger.append_choice(
        NewChoice.of(
            member_id, DEFAULT_PURPOSE, choice, effective_us=at_us, recorded_us=recorded_us, **more
        )
    )


def entries(ledger: Ledger, known: int | None = None) -> dict[int, Row]:
    """Return every choice below `known` by index, from head and segments alike."""
    size = ledger.size() if known is None else known
    head, segments = ledger.choices(size)
    found = {row.pop("index"): row for row in head.to_pylist()}
    for segment in segments:
        for row in pq.read_table(segment.path).to_pylist():
            if row["member_id"] is None:  # erased
                continue
            index = segment.first + row.pop("ordinal")
            if index < size:
                assert index not in found
                found[index] = {name: row.get(name) for name in HEAD_CHOICES.names[1:]}
    return dict(sorted(found.items()))


def standings(ledger: Ledger, known: int, at_us: int = START_US + 10 * SECOND_US) -> list[Row]:
    """Return the fold of everybody, as the engine reads it."""
    bounds = [NoticeBound(country, 0, 0) for country in ()]  # type: ignore[var-annotated]
    with connect(threads=1) as duck:
        found = fold_standing(
            ledger, duck, purpose=DEFAULT_PURPOSE, at_us=at_us, known=known, bounds=bounds
        )
    rows: list[Row] = found.sort_by("member_id").to_pylist()
    return rows


def key_of(ledger: Ledger, member_id: str) -> bytes | None:
    """Return a member's key as the database holds it."""
    table = tables.member_key
    with ledger.reading() as con:
        found = con.execute(sa.select(table.c.key).where(table.c.member_id == member_id)).scalar()
    return None if found is None else bytes(found)


def head_rows(ledger: Ledger) -> list[Row]:
    """Return the entries in the database."""
    with ledger.reading() as con:
        found = con.execute(sa.select(tables.entry).order_by(tables.entry.c.index)).mappings()
        return [dict(row) for row in found]


# ---- other processes --------------------------------------------------------------------


def together(target: Any, arguments: list[tuple[Any, ...]], timeout_seconds: float = 90) -> None:
    """Run a function in as many processes as there are argument lists, begun at once."""
    # A server that has imported everything and opened nothing forks them: quick, and clean.
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    barrier = context.Barrier(len(arguments))
    children = [context.Process(target=target, args=(barrier, *given)) for given in arguments]
    for child in children:
        child.start()
    for child in children:
        child.join(timeout_seconds)
        assert child.exitcode == 0


def open_fresh(barrier: Barrier, url: str, folder: Path) -> None:
    """Open a ledger at the same moment as others."""
    barrier.wait()
    ledger = open_ledger(url, folder)
    ledger.size()
    ledger.close()


def write_choices(barrier: Barrier, url: str, folder: Path, writer: int, count: int) -> None:
    """Append choices and note what was acknowledged, in `acknowledged-<writer>`."""
    barrier.wait()
    ledger = open_ledger(url, folder)
    with (folder / f"acknowledged-{writer}").open("w", encoding="utf-8") as file:
        for number in range(count):
            receipt = say(ledger, f"w{writer}-{number % 7}", channel=f"{writer}/{number}")
            file.write(f"{receipt.index} {writer}/{number} {receipt.commitment.hex()}\n")
    ledger.close()


def ingest_file(barrier: Barrier, url: str, folder: Path, number: int, path: Path) -> None:
    """Ingest a file at the same moment as others; its name begins with its kind."""
    kind = path.name.partition("-")[0]
    ledger = open_ledger(url, folder)
    barrier.wait()
    recorded_us = START_US + number
    if kind == "choices":
        taken = ingest_choices(ledger, path, recorded_us, threads=1)
    else:
        taken = ingest_table(ledger, kind, path, recorded_us)
    (folder / f"taken-{number}").write_text(f"{taken.rows} {taken.unchanged}", encoding="utf-8")
    ledger.close()
