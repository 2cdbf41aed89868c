"""A lookup table of 64-bit keys in NumPy: open addressing, built and probed by columns.

Promises: exact for any 64-bit keys; a missing key gives 0. About three times as fast as a
hash join for a million keys (docs/adr/0003). Does not handle text.
"""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

# Odd, high bits well mixed: 2^64 divided by the golden ratio (Knuth 6.4).
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
# Slots per key: four keep the displaced keys few, eight cost more cache than they save.
SPREAD_BITS = 2
# Room for the index of a key beside its home: 2^30 keys of 34-bit homes.
INDEX_BITS = 30
# Rows probed at once: the temporaries of one step stay in the second-level cache.
STEP_ROWS = 1 << 14


class ProbeTable:
    """Keys and values; `take` answers for many keys at once.

    Args:
        keys: Distinct 64-bit keys, shape (n,).
        values: Values above 0, shape (n,).
    """

    def __init__(self, keys: Ints, values: Ints) -> None:
        bits = max(4, int(max(len(keys), 1) - 1).bit_length() + SPREAD_BITS)
        self._shift = np.uint64(64 - bits)
        home = keys.view(np.uint64) * MULTIPLIER >> self._shift
        # One sort of packed numbers is several times as fast as an argsort.
        packed = np.sort(home << np.uint64(INDEX_BITS) | np.arange(len(keys), dtype=np.uint64))
        order = (packed & np.uint64((1 << INDEX_BITS) - 1)).astype(np.int64)
        home = (packed >> np.uint64(INDEX_BITS)).astype(np.int64)
        place = np.arange(len(keys))
        # Sorted homes: each key stands at its home or right after its predecessor.
        slot = place + np.maximum.accumulate(home - place) if len(keys) else place
        size = max(int(slot[-1]) + 2 if len(keys) else 0, (1 << bits) + 1)
        # Key and value side by side: one line of cache answers for both.
        self._pairs = np.zeros(2 * size, np.int64)
        self._pairs[2 * slot] = keys[order]
        self._pairs[2 * slot + 1] = values[order]

    def take(self, keys: Ints) -> Ints:
        """Return the value of each key, 0 where there is none; shape as `keys`."""
        found = np.empty(len(keys), np.int64)
        for start in range(0, len(keys), STEP_ROWS):
            stop = start + STEP_ROWS
            self._step(keys[start:stop], found[start:stop])
        return found

    def _step(self, keys: Ints, found: Ints) -> None:
        pairs = self._pairs
        place = (keys.view(np.uint64) * MULTIPLIER >> self._shift).view(np.int64) << 1
        # INVARIANT: an empty slot ends every search, and the last slot is always empty.
        seeking = np.flatnonzero(pairs.take(place) != keys)
        while len(seeking):
            at = place[seeking]
            on = (pairs.take(at + 1) != 0) & (pairs.take(at) != keys[seeking])
            seeking = seeking[on]
            place[seeking] += 2
        place += 1
        # A search may also have ended on an empty slot whose zero key equals key 0: value 0.
        pairs.take(place, out=found, mode="clip")
