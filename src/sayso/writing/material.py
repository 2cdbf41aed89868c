"""The material of a biography: what one member's own records say of them.

Promises: by allow-list of categories and visibilities, own words alone, of one member alone:
no row of anybody else is ever read into a value. A record whose id is missing or repeated is
nobody's. E-mail addresses and phone numbers are masked, as they are in training. Reads the
platform's content and keeps nothing.

Example:
    >>> load_material(Path("content.parquet"), "7", at)          # doctest: +SKIP
    (Material(record_id='r1', text='...'),)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sayso.decision.content import content_columns
from sayso.facts import record_facts
from sayso.model import Authorship, Category, RecordFacts, Visibility
from sayso.tables import connect, open_table, quoted, reading
from sayso.training.text import mask_contacts

_SHOWN = frozenset({Visibility.PUBLIC, Visibility.MEMBERS, Visibility.CONNECTIONS})
# A biography is for others to read, so it is made of what others may read; a resume is given
# to the platform for just this.
ALLOWED: Mapping[Category, frozenset[Visibility]] = {
    Category.PROFILE: _SHOWN,
    Category.RESUME: _SHOWN | {Visibility.PLATFORM},
}
# What a biography is made of first.
_ORDER: tuple[Category | None, ...] = tuple(ALLOWED)


@dataclass(frozen=True, slots=True)
class Material:
    """What one record says."""

    record_id: str
    text: str = field(repr=False)


def load_material(content: Path, who: str, at: datetime) -> tuple[Material, ...]:
    """Return what a member's profile says at an instant, in a fixed order.

    Args:
        content: A content table of the platform.
        who: The member's id, canonical text.
        at: What was deleted by then does not count.

    Raises:
        InputError: The content cannot be read.
    """
    with connect() as duck, reading(content):
        table = open_table(duck, content)
        columns = content_columns(table, integer_ids=False)
        source = f"(SELECT {columns}, {table.text('text')} AS words FROM {table.sql})"
        mine = f"SELECT * FROM {source} WHERE member_id = {quoted(who)}"
        counts = (
            f"SELECT record_id, count(*) AS times FROM {source} WHERE record_id IN "
            f"(SELECT record_id FROM ({mine})) GROUP BY record_id"
        )
        rows = (
            duck.sql(
                "SELECT mine.* EXCLUDE (record_id, written_at, first_seen_at, deleted_at), "
                "mine.record_id::VARCHAR AS record_id, times, "
                "epoch_us(least(written_at, first_seen_at)) written_us, "
                f"epoch_us(deleted_at) deleted_us FROM ({mine}) mine "
                f"JOIN ({counts}) counts ON counts.record_id = mine.record_id"
            )
            .to_arrow_table()
            .to_pylist()
        )
    found = [
        (_ORDER.index(facts.category), row["record_id"], row["words"])
        for row in rows
        if _is_allowed(facts := record_facts(row, is_single=row["times"] == 1), at) and row["words"]
    ]
    return tuple(Material(record_id, mask_contacts(words)) for _, record_id, words in sorted(found))


def _is_allowed(facts: RecordFacts, at: datetime) -> bool:
    return (
        facts.is_single
        and facts.category is not None
        and facts.visibility in ALLOWED.get(facts.category, ())
        and facts.authorship is Authorship.OWN
        and (facts.deleted_at is None or facts.deleted_at > at)
    )
