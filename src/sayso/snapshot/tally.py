"""Counting decisions by bucket, country and mask while they stream by.

Promises: exact; memory bounded by the distinct triples, not by the records.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sayso.decision.many import reasons_overlapping, refused_by_first
from sayso.snapshot.manifest import Counts

Ints = npt.NDArray[np.int64]

MASK_BITS, COUNTRY_BITS = 24, 10
# Keys kept unmerged, 8 bytes each.
PENDING_ROWS = 1 << 21
# The bucket of records without a known member.
NO_BUCKET = -1

COUNTS_SCHEMA = pa.schema(
    [("bucket", pa.int16()), ("country", pa.string()), ("mask", pa.uint32()), ("rows", pa.int64())]
)


class Tally:
    """Rows by (bucket, country, mask).

    Args:
        countries: What the country codes mean.
    """

    def __init__(self, countries: tuple[str, ...]) -> None:
        self._countries = countries
        self._pending: list[Ints] = []
        self._pending_rows = 0
        self._keys = np.empty(0, np.int64)
        self._rows = np.empty(0, np.int64)

    def add(
        self,
        bucket: npt.NDArray[np.int16],
        country: npt.NDArray[np.int32],
        masks: npt.NDArray[np.uint32],
    ) -> None:
        """Count one batch; arrays of shape (rows,)."""
        key = _key(bucket, country, masks)
        self._pending.append(key)
        self._pending_rows += len(key)
        if self._pending_rows >= PENDING_ROWS:
            self._merge()

    def add_counted(
        self,
        bucket: npt.NDArray[np.int16],
        country: npt.NDArray[np.int32],
        masks: npt.NDArray[np.uint32],
        rows: Ints,
    ) -> None:
        """Add counts that somebody else made; arrays of shape (counts,), all of them positive."""
        self._sum(_key(bucket, country, masks), rows)

    def _merge(self) -> None:
        if not self._pending:
            return
        self._sum(*np.unique(np.concatenate(self._pending), return_counts=True))
        self._pending, self._pending_rows = [], 0

    def _sum(self, keys: Ints, rows: Ints) -> None:
        every = np.concatenate([self._keys, keys])
        self._keys, place = np.unique(every, return_inverse=True)
        sums = np.zeros(len(self._keys), np.int64)
        np.add.at(sums, place, np.concatenate([self._rows, rows]))
        self._rows = sums

    def table(self) -> pa.Table:
        """Return the counts, sorted by bucket, country and mask."""
        self._merge()
        country = (self._keys >> MASK_BITS) & ((1 << COUNTRY_BITS) - 1)
        names = np.array(self._countries, dtype=object)
        return pa.table(
            [
                pa.array((self._keys >> (MASK_BITS + COUNTRY_BITS)) - 1).cast(pa.int16()),
                pa.array(names[country].tolist(), pa.string()),
                pa.array(self._keys & ((1 << MASK_BITS) - 1)).cast(pa.uint32()),
                pa.array(self._rows),
            ],
            schema=COUNTS_SCHEMA,
        ).sort_by([("bucket", "ascending"), ("country", "ascending"), ("mask", "ascending")])


def _key(
    bucket: npt.NDArray[np.int16],
    country: npt.NDArray[np.int32],
    masks: npt.NDArray[np.uint32],
) -> Ints:
    key: Ints = (bucket.astype(np.int64) + 1) << COUNTRY_BITS
    key |= country
    key <<= MASK_BITS
    key |= masks
    return key


def counts_of(by_mask: Mapping[int, int]) -> Counts:
    """Return the counts of decisions given as mask -> records."""
    masks = dict(by_mask)
    return Counts(
        records_in=sum(masks.values()),
        admitted=masks.get(0, 0),
        refused=refused_by_first(masks),
        reasons=reasons_overlapping(masks),
    )


def by_country(table: pa.Table) -> dict[str, Counts]:
    """Return the counts of each country of a tally, by country."""
    sums: dict[str, dict[int, int]] = {}
    for country, mask, rows in _triples(table):
        masks = sums.setdefault(country, {})
        masks[mask] = masks.get(mask, 0) + rows
    return {country: counts_of(masks) for country, masks in sorted(sums.items())}


def in_total(table: pa.Table) -> Counts:
    """Return the counts of a whole tally."""
    masks: dict[int, int] = {}
    for _, mask, rows in _triples(table):
        masks[mask] = masks.get(mask, 0) + rows
    return counts_of(masks)


def _triples(table: pa.Table) -> Iterable[tuple[str, int, int]]:
    grouped = table.group_by(["country", "mask"]).aggregate([("rows", "sum")])
    return zip(
        grouped["country"].to_pylist(),
        grouped["mask"].to_pylist(),
        grouped["rows_sum"].to_pylist(),
        strict=True,
    )
