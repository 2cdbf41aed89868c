"""Following a snapshot through the ledger's entries; needs neither PyTorch nor a folder."""

from typing import Any

from sayso.ledger.store import PublicEntry
from sayso.training import follow

RUNS: list[tuple[str, dict[str, Any]]] = [
    (
        "training-run",
        {"run": "r1", "snapshot": "s1", "before": "", "shards": {"HK-0": "h", "US-0": "u"}},
    ),
    ("release", {"release": "all", "adapters": {"HK-0": "h", "US-0": "u"}}),
    ("release", {"release": "us", "adapters": {"US-0": "u"}}),
    (
        "disposition",
        {
            "run": "r1", "release": "", "disposition": "forgotten", "shards": ["HK-0"],
            "why": ["hold hk"],
        },
    ),
    (
        "disposition",
        {
            "run": "r1", "release": "all", "disposition": "sealed", "shards": ["HK-0"],
            "why": ["hold hk"],
        },
    ),
    ("training-run", {"run": "r2", "snapshot": "s1", "before": "r1", "shards": {"US-0": "u"}}),
    ("training-run", {"run": "r3", "snapshot": "s2", "before": "", "shards": {"HK-0": "x"}}),
]  # fmt: skip
ENTRIES = [PublicEntry(place, kind, 0, payload) for place, (kind, payload) in enumerate(RUNS)]


def test_a_country_is_followed_to_its_adapters_and_releases() -> None:
    first, second = follow(ENTRIES, "s1", {"HK"})

    assert (first.run, first.adapters, first.forgotten) == ("r1", {"HK-0": "h"}, ("HK-0",))
    assert [(one.release, one.disposition, one.why) for one in first.releases] == [
        ("all", "sealed", ("hold hk",))
    ]
    # The run that took its place holds nothing of the country.
    assert (second.before, second.adapters, second.releases) == ("r1", {}, ())


def test_all_of_a_snapshot_is_followed() -> None:
    first, second = follow(ENTRIES, "s1")

    assert [one.disposition for one in first.releases] == ["sealed", "served"]
    assert [one.release for one in second.releases] == ["all", "us"]
    assert follow(ENTRIES, "nowhere") == ()
