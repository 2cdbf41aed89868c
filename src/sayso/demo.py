"""The story of 2024-2025 on generated members: nobody in it exists.

Promises: the same members, content and notices from the same seed. Writes only below the
folder that it is given. Does not decide; the demo asks the workspace like anybody else.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sayso.model import DEFAULT_PURPOSE

# Twelve countries: a pause in HK, GB and CA, no start in the EEA and CH, the others on.
WEIGHTS = {
    "US": 22, "IN": 18, "GB": 10, "BR": 8, "DE": 8, "FR": 7, "CA": 7, "HK": 6, "AU": 5,
    "IE": 3, "CH": 3, "JP": 3,
}  # fmt: skip
MINOR_SHARE, CLOSED_SHARE, UNKNOWN_SHARE = 0.04, 0.02, 0.01
OFF_SHARE = 0.12

_OPENINGS = (
    "Learned this week that", "A small thing I noticed:", "For everybody who asks:",
    "After ten years of this work,", "Unpopular opinion:", "Proud of the team:",
    "Looking for advice.", "Note to myself:",
)  # fmt: skip
_MIDDLES = (
    "a good handover saves a whole week", "the best meeting is a short letter",
    "tests are how we talk to the people after us", "rain is bad for outdoor workshops",
    "a plan is a question with a date", "the second draft is where the thinking starts",
    "listening beats a longer slide deck", "maps of a process are never the process",
)  # fmt: skip
_TRADES = (
    "carpenter", "nurse", "bridge engineer", "translator", "school cook", "archivist",
    "train dispatcher", "gardener", "bookkeeper", "sound technician",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moment:
    """One step of the story."""

    at: datetime
    title: str


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


MOMENTS: tuple[Moment, ...] = (
    Moment(_instant("2024-09-17T12:00Z"), "before any rule"),
    Moment(_instant("2024-09-19T12:00Z"), "the setting is on by default, the UK is paused"),
    Moment(_instant("2024-10-10T15:59:59Z"), "the last second of 10 October in Hong Kong"),
    Moment(_instant("2024-10-10T16:00Z"), "Hong Kong is paused"),
    Moment(_instant("2024-12-02T12:00Z"), "a member in Hong Kong has said off meanwhile"),
    Moment(_instant("2024-12-11T12:00Z"), "Canada is paused"),
    Moment(_instant("2025-09-20T12:00Z"), "notices have been served"),
    Moment(_instant("2025-11-02T15:59:59Z"), "the last second of 2 November in Hong Kong"),
    Moment(_instant("2025-11-02T16:00Z"), "3 November in Hong Kong"),
    Moment(_instant("2025-11-02T23:00Z"), "3 November in Paris, Berlin and Zurich"),
    Moment(_instant("2025-11-03T00:00Z"), "3 November in London and Dublin"),
    Moment(_instant("2025-11-03T08:00Z"), "3 November in all of Canada"),
)
NOTICE_AT = _instant("2025-09-15T09:00Z")
OFF_AT = _instant("2024-12-01T10:30Z")
BUILD_AT = _instant("2025-11-10T00:00Z")


@dataclass(frozen=True, slots=True)
class Generated:
    """The generated files, and the member whose choice the demo follows."""

    members: Path
    choices: Path
    notices: Path
    content: Path
    followed: str
    followed_record: str


def generate(folder: Path, count: int, seed: int = 2024) -> Generated:
    """Write members, early choices, notices and content.

    Args:
        folder: Where to; made where absent.
        count: Members.
        seed: The same seed gives the same files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random_ = random.Random(seed)  # noqa: S311  a story, not a secret
    people = [_person(random_, number) for number in range(count)]
    # The member that the demo follows: adult, in Hong Kong, and nothing odd about them.
    followed = next(
        one for one in people
        if one["country"] == "HK" and one["status"] is None and str(one["birth_date"])[:3] == "198"
    )  # fmt: skip
    records = [row for person in people for row in _records(random_, person)]
    own = next(
        row for row in records
        if row["member_id"] == followed["member_id"] and row["category"] == "profile"
    )  # fmt: skip
    paths = {
        name: folder / f"{name}.parquet" for name in ("members", "choices", "notices", "content")
    }
    pq.write_table(pa.Table.from_pylist(people), paths["members"])
    pq.write_table(
        pa.Table.from_pylist(list(_choices(random_, people, str(followed["member_id"])))),
        paths["choices"],
    )
    pq.write_table(pa.Table.from_pylist(list(_notices(random_, people))), paths["notices"])
    pq.write_table(pa.Table.from_pylist(records), paths["content"])
    return Generated(
        **paths, followed=str(followed["member_id"]), followed_record=str(own["record_id"])
    )


def write_lesson(made: Generated, folder: Path, countries: Sequence[str], count: int) -> Path:
    """Write what the first members of some countries wrote, each with so many members."""
    people = pq.read_table(made.members, columns=["member_id", "country"]).to_pylist()
    pupils = [
        who
        for country in countries
        for who in [row["member_id"] for row in people if row["country"] == country][:count]
    ]
    records = pq.read_table(made.content)
    path = folder / "lesson.parquet"
    pq.write_table(records.filter(pc.is_in(records["member_id"], pa.array(pupils))), path)
    return path


def _person(random_: random.Random, number: int) -> dict[str, object]:
    minor = random_.random() < MINOR_SHARE
    born = date(2008, 1, 1) if minor else date(1955, 1, 1)
    span = 4 * 365 if minor else 50 * 365
    unknown = random_.random() < UNKNOWN_SHARE
    return {
        "member_id": f"m{number:06d}",
        "country": None if unknown else random_.choices([*WEIGHTS], [*WEIGHTS.values()])[0],
        "birth_date": (born + timedelta(days=random_.randrange(span))).isoformat(),
        "status": "closed" if random_.random() < CLOSED_SHARE else None,
    }


def _records(random_: random.Random, person: dict[str, object]) -> Iterator[dict[str, object]]:
    who = person["member_id"]
    others = random_.choices(
        ["post", "comment", "message", "article", "group_message"], [4, 4, 3, 1, 1],
        k=random_.randrange(2, 11),
    )  # fmt: skip
    for number, kind in enumerate(("profile", *others)):
        private = kind in {"message", "group_message"}
        seen = "private" if private else random_.choices(["public", "connections"], [8, 1])[0]
        yield {
            "record_id": f"{who}-{number}",
            "member_id": who,
            "category": kind,
            "visibility": "public" if kind == "profile" else seen,
            "authorship": random_.choices(["own", "shared", "quoted"], [18, 1, 1])[0]
            if number
            else "own",
            "written_at": datetime(2015, 1, 1, tzinfo=UTC)
            + timedelta(seconds=random_.randrange(9 * 365 * 86_400)),
            "licence": None,
            "mentions": ["someone"] if random_.random() < 0.1 else [],
            "text": _text(random_, kind),
        }


def _text(random_: random.Random, kind: str) -> str:
    if kind == "profile":
        return f"{random_.choice(_TRADES).capitalize()} for {random_.randrange(2, 30)} years."
    return f"{random_.choice(_OPENINGS)} {random_.choice(_MIDDLES)}."


def _choices(
    random_: random.Random, people: list[dict[str, object]], followed: str
) -> Iterator[dict[str, object]]:
    """Yield what members said before the pause, without the one that the demo follows."""
    start = _instant("2024-09-18T09:00Z")
    for person in people:
        if person["member_id"] == followed or random_.random() >= OFF_SHARE:
            continue
        said_at = start + timedelta(seconds=random_.randrange(20 * 86_400))
        yield {
            "member_id": person["member_id"],
            "purpose": DEFAULT_PURPOSE,
            "choice": "off",
            "effective_at": said_at,
        }
        if random_.random() < 0.1:
            yield {
                "member_id": person["member_id"],
                "purpose": DEFAULT_PURPOSE,
                "choice": "on",
                "effective_at": said_at + timedelta(seconds=40),
            }


def _notices(
    random_: random.Random, people: list[dict[str, object]]
) -> Iterator[dict[str, object]]:
    """Yield notices to everybody: most in time, some late, some returned."""
    for person in people:
        late = timedelta(days=random_.choices([random_.randrange(10), 40], [24, 1])[0])
        yield {
            "member_id": person["member_id"],
            "purpose": DEFAULT_PURPOSE,
            "served_at": NOTICE_AT + late,
            "outcome": "bounced" if random_.random() < 0.03 else "delivered",
        }
