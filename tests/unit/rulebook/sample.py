"""A small rulebook without faults, and how its tests change it."""

from collections.abc import Mapping

PURPOSE = """\
title: Training
recipients: [Platform]
sharing: false
wordings:
  - {version: "1", from: 2024-01-01, label: Use my data, text: On by default}
source:
  recipients: assumption
  sharing: assumption
  wordings: assumption
"""

GROUP = """\
title: Union
members:
  - {country: FR, from: 1958-01-01}
  - country: GB
    from: 1973-01-01
    until: 2020-01-31T23:00:00Z
source: {members: assumption}
"""

SCOPE = """\
# What the platform published.
scope: HK
sources:
  faq:
    title: FAQ, "the page"
    address: https://example.org/faq
    seen: 2026-11-22
    note: read in part
rules:
  # The first rule.
  - purpose: training
    from: 2024-09-18
    mode: opt-out
    minimum_age: 18
    categories:
      post: [public]
      prompt: [public, platform]
    authorship: [own]
    others: ignore
    withdrawal: future-runs
    decided_by: platform
    source:
      from: faq
      mode: faq
      minimum_age: {assumption: nobody said}
      categories: faq
      authorship: assumption
      others: assumption
      withdrawal: faq
      decided_by: faq
  - purpose: training
    from: 2025-11-03
    mode: opt-in
    minimum_age: 16
    categories: {article: [public]}
    authorship: [own, edited]
    others: refuse
    excluded_contexts: [health]
    notice: {days: 30, since: 2025-09-01}
    earliest_written: 2003-05-05
    withdrawal: forget
    decided_by: law
    controller: Platform Ltd
    lawful_basis: consent
    assessments: [impact assessment]
    source: {from: faq, mode: faq, minimum_age: faq, categories: faq, authorship: faq,
      others: faq, excluded_contexts: faq, notice: assumption, earliest_written: faq,
      withdrawal: faq, decided_by: faq, controller: faq, lawful_basis: faq, assessments: faq}
holds:
  - id: hk-1  # the pause
    purposes: [training]
    from: {date: 2024-10-11, exactness: by}
    lifted: 2025-11-03
    placed_by: Platform
    asked_by: PCPD
    condition: until concerns are addressed
    position: none
    source: {from: faq, lifted: faq, placed_by: faq, asked_by: faq}
"""

WORLD = """\
scope: world
rules:
  - purpose: training
    from: always
    mode: not-enabled
    decided_by: platform
    source: {from: assumption, mode: assumption, decided_by: assumption}
"""

FILES: Mapping[str, str] = {
    "groups/UNION.yaml": GROUP,
    "purposes/training.yaml": PURPOSE,
    "scopes/HK.yaml": SCOPE,
    "scopes/world.yaml": WORLD,
}

HERE = "# HERE"


def changed(file: str, old: str, new: str) -> dict[str, str]:
    """Return the sample with one piece of one file replaced, once."""
    assert FILES[file].count(old) >= 1, old
    return {**FILES, file: FILES[file].replace(old, new, 1)}


def line_here(text: str) -> int:
    """Return the 1-based line that carries the mark."""
    return next(n for n, line in enumerate(text.splitlines(), 1) if HERE in line)
