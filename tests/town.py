"""Invented members, choices and records, and a clock: what the tests' worlds are made of."""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sayso.model import DEFAULT_PURPOSE
from sayso.sources import CONTENT_SCHEMA

Row = dict[str, Any]

# After every rule of the template has begun; most tests ask about this instant.
AT = datetime(2026, 1, 15, 12, tzinfo=UTC)
# When the tests' clocks begin.
START = datetime(2026, 1, 10, 9, tzinfo=UTC)
SECOND_US = 1_000_000
START_US = int(START.timestamp()) * SECOND_US

# Stands in every text that must not be admitted, and in no other.
REFUSED_MARK = "zq-refused-words"
ADMITTED_MARK = "zq-admitted-words"

MEMBER_COLUMNS = ("member_id", "country", "birth_date", "status", "since")
CHOICE_COLUMNS = (
    "member_id", "purpose", "choice", "effective_at", "country", "channel", "setting_version",
)  # fmt: skip
NOTICE_COLUMNS = ("member_id", "purpose", "served_at", "notice_id", "channel", "outcome")


class Clock:
    """Gives one second later whenever it is asked."""

    def __init__(self, start: datetime = START) -> None:
        self.now = start

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def choice_row(
    member_id: str | int | None,
    choice: str | None = "off",
    effective_at: str | None = "2026-01-01T00:00:00Z",
    **more: str | None,
) -> Row:
    """Return one row of a choices file."""
    row: Row = dict.fromkeys(CHOICE_COLUMNS)
    row |= {"member_id": member_id, "purpose": DEFAULT_PURPOSE, "choice": choice}
    return row | {"effective_at": effective_at} | more


def member_row(member_id: str | int | None, country: str | None = "US", **more: Any) -> Row:
    """Return one row of a members file: grown up, active, always."""
    row: Row = dict.fromkeys(MEMBER_COLUMNS)
    return row | {"member_id": member_id, "country": country, "birth_date": "1980-05-01"} | more


def record_row(record_id: str | None, member_id: str | None, **more: Any) -> Row:
    """Return one row of content that the world's rule admits."""
    row: Row = dict.fromkeys(CONTENT_SCHEMA.names)
    row |= {
        "record_id": record_id, "member_id": member_id, "category": "post",
        "visibility": "public", "authorship": "own", "context": "feed",
        "written_at": datetime(2025, 6, 1, tzinfo=UTC), "mentions": [],
        "text": f"{ADMITTED_MARK} {record_id}",
    }  # fmt: skip
    return row | more


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write JSON Lines; nulls are left out."""
    lines = [
        json.dumps({k: v for k, v in row.items() if v is not None}, ensure_ascii=False)
        for row in rows
    ]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Path:
    """Write CSV; nulls are empty, text is quoted."""
    lines = [",".join(columns)]
    for row in rows:
        values = (row[name] for name in columns)
        lines.append(
            ",".join("" if v is None else '"' + str(v).replace('"', '""') + '"' for v in values)
        )
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Path:
    """Write Parquet; every column is text, ids keep their type."""
    ids = pa.int64() if rows and isinstance(rows[0]["member_id"], int) else pa.string()
    schema = pa.schema([(name, ids if name == "member_id" else pa.string()) for name in columns])
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=schema), path)
    return path


def write_content(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write content as an import would."""
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=CONTENT_SCHEMA), path)
    return path


# ---- a small town: every kind of member and record that the template tells apart --------

COUNTRIES = (*("US",) * 5, *("BR",) * 3, "IN", "IN", "GB", "GB", "HK", "DE", "CH", "CA", None)
BIRTHS = (*("1970", "1988-02-29", "2001-07-09") * 3, "2009-01-20", None)
STATUSES = (*(None,) * 8, "active", "closed", "deceased")
CATEGORIES = (*("post", "article", "comment") * 4, "message", "salary", None)
VISIBILITIES = (*("public",) * 10, "connections", "private")
AUTHORSHIPS = (*("own",) * 10, "shared", "generated")


def town_members(count: int, seed: int = 1) -> list[Row]:
    """Return one row per member; about two in three are grown up and active."""
    dice = random.Random(seed)
    return [
        member_row(
            f"m{number:04d}",
            dice.choice(COUNTRIES),
            birth_date=dice.choice(BIRTHS),
            status=dice.choice(STATUSES),
        )
        for number in range(count)
    ]


def town_content(count: int, members: int, seed: int = 2) -> list[Row]:
    """Return records of the town's members, and a few of nobody known."""
    dice = random.Random(seed)
    rows = []
    for number in range(count):
        who = dice.randrange(members + 2)
        rows.append(
            record_row(
                f"r{number:05d}",
                f"m{who:04d}" if who != members else None,
                category=dice.choice(CATEGORIES),
                visibility=dice.choice(VISIBILITIES),
                authorship=dice.choice(AUTHORSHIPS),
                written_at=datetime(2024, 1, 1, tzinfo=UTC)
                + timedelta(minutes=dice.randrange(800 * 24 * 60)),  # up to two months after AT
                deleted_at=datetime(2025, 1, 1, tzinfo=UTC) if dice.random() < 0.1 else None,
                text=f"words of record {number} with “quotes” and\ntwo lines",
            )
        )
    return rows


def town_choices(count: int, members: int, seed: int = 3) -> list[Row]:
    """Return choices of the town's members, some more than once."""
    dice = random.Random(seed)
    return [
        choice_row(
            f"m{dice.randrange(members):04d}",
            dice.choice(("on", "off", "deferred", "off")),
            f"2025-{dice.randrange(1, 13):02d}-{dice.randrange(1, 29):02d}T00:00:00Z",
        )
        for _ in range(count)
    ]


def town_notices(members: int, seed: int = 4) -> list[Row]:
    """Return notices to about half of the town's members."""
    dice = random.Random(seed)
    return [
        {
            "member_id": f"m{number:04d}", "purpose": DEFAULT_PURPOSE,
            "served_at": dice.choice(("2025-09-20T00:00:00Z",) * 4 + ("2026-01-01T00:00:00Z",)),
            "notice_id": "n1", "channel": "mail",
            "outcome": dice.choice((None, None, "delivered", "bounced")),
        }
        for number in range(members)
        if dice.random() < 0.9
    ]  # fmt: skip
