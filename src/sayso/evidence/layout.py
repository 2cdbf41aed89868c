"""Which files evidence is made of: a snapshot's folder, and a pack.

Promises: a name that is not known is refused, so that nothing rides along unread; a snapshot's
folder has all that it must have. Does not read files.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from sayso.errors import IntegrityError

MANIFEST = "manifest.json"
EVIDENCE = "evidence/"
STATEMENT, PROVENANCE = "evidence/statement.json", "evidence/provenance.json"
ENTRY, PROOF = "evidence/entry.json", "evidence/snapshot.tlog-proof"
CONSISTENCY, STANDING = "evidence/consistency.json", "evidence/standing.bin"
POLICY, KEY = "evidence/policy", "evidence/attest.pem"
BUILD, RETENTION = "evidence/build.json", "evidence/retention.json"
CHECKPOINT = "log/checkpoint"
MEMBER_STANDING = "member/standing.json"
BOM = "bom.cdx.json"

# What speaks of a snapshot; each belongs to the others.
SPEAKING = frozenset({STATEMENT, PROVENANCE, ENTRY, PROOF, CONSISTENCY})
REQUIRED = SPEAKING | {MANIFEST, STANDING, POLICY, KEY}
OPTIONAL = frozenset({BUILD, RETENTION})

_INDEX = "(?P<index>0|[1-9][0-9]{0,15})"
ERASURES = re.compile(rf"evidence/erasures/{_INDEX}\.json", re.ASCII)
HANDOVER_FOLDER = "evidence/handovers/"
HANDOVERS = re.compile(rf"evidence/handovers/{_INDEX}\.(?P<what>json|tlog-proof)", re.ASCII)
LEAVES = re.compile(r"leaves/(?P<bucket>[0-9]{4})\.bin", re.ASCII)
TILES = re.compile(r"log/(?P<path>tile/.+)")
ENTRIES = re.compile(rf"entries/{_INDEX}\.json", re.ASCII)
PROOFS = re.compile(rf"proofs/{_INDEX}\.tlog-proof", re.ASCII)
RECEIPTS = re.compile(rf"receipts/{_INDEX}\.json", re.ASCII)
CHOICES = re.compile(rf"member/choices/{_INDEX}\.json", re.ASCII)
KEPT = re.compile(rf"member/kept/{_INDEX}\.json", re.ASCII)
RECORDS = re.compile(r"member/records/(?P<tag>[0-9a-f]{64})\.json", re.ASCII)
# What a pack shows of a snapshot that has an entry here, and no folder.
SNAPSHOTS = re.compile(
    rf"snapshots/{_INDEX}/(?P<file>(?:manifest|statement|buckets|standing)\.json|"
    r"records/[0-9a-f]{64}\.json)",
    re.ASCII,
)
# What a pack shows of runs and releases that have entries here.
RUNS = re.compile(rf"runs/{_INDEX}/(?P<file>run|statement)\.json", re.ASCII)
RELEASES = re.compile(rf"releases/{_INDEX}/(?P<file>release|statement)\.json", re.ASCII)
# Signed as part of the pack, and read by people: nothing in them is computed again.
TOLD = re.compile(
    r"report\.(?:html|css|json)|timeline\.svg|tables/[A-Za-z0-9_-]+\.(?:csv|json)|"
    r"article-53\.(?:html|json)",
    re.ASCII,
)
_IN_PACKS = (
    HANDOVERS,
    ERASURES, LEAVES, TILES, ENTRIES, PROOFS, RECEIPTS, CHOICES, KEPT, RECORDS, SNAPSHOTS,
    RUNS, RELEASES, TOLD,
)  # fmt: skip
_ALONE_IN_PACKS = REQUIRED | OPTIONAL | {CHECKPOINT, MEMBER_STANDING, BOM}


def matching(names: Collection[str], pattern: re.Pattern[str]) -> list[re.Match[str]]:
    """Return the names of one kind; by their index where they have one."""
    found = [match for name in names if (match := pattern.fullmatch(name))]
    numbered = "index" in pattern.groupindex
    return sorted(found, key=lambda one: (int(one["index"]) if numbered else 0, one[0]))


def check_folder(
    names: Collection[str], manifest: Mapping[str, Any], gone: Collection[str] = ()
) -> None:
    """Check that a snapshot's folder has what it must have and nothing else.

    Args:
        names: That are there.
        manifest: What it lists.
        gone: Files that an erasure took away.

    Raises:
        IntegrityError: A file is missing or unlisted.
    """
    records = {one["file"] for one in manifest["buckets"].values()}
    needed = REQUIRED | manifest["files"].keys()
    if RETENTION not in names:
        needed |= records
    elif left := sorted(records & set(names)):
        raise IntegrityError(f"'{left[0]}' is there, and retention says that it was deleted")
    needed -= set(gone)
    for name in sorted(needed - set(names)):
        raise IntegrityError(f"'{name}' is missing", hint="fetch all of it again", name=name)
    for name in sorted(set(names) - needed - OPTIONAL - set(gone)):
        if not ERASURES.fullmatch(name) and not HANDOVERS.fullmatch(name):
            raise _unlisted(name)


def check_pack(names: Collection[str], manifest: Mapping[str, Any] | None) -> None:
    """Check that a pack holds nothing but what a pack may hold, and no part without its rest.

    Raises:
        IntegrityError: A file is of no known kind, or what it belongs to is missing.
    """
    listed: Collection[str] = manifest["files"].keys() if manifest is not None else ()
    for name in sorted(names):
        known = name in _ALONE_IN_PACKS or any(one.fullmatch(name) for one in _IN_PACKS)
        if not known and name not in listed:
            raise _unlisted(name)
    if MANIFEST in names:
        for name in sorted(SPEAKING - set(names)):
            raise IntegrityError(f"'{name}' is missing beside the manifest", name=name)
    else:
        needs = (*SPEAKING, STANDING, BUILD, RETENTION, MEMBER_STANDING)
        lost = {name for name in needs if name in names}
        lost |= {one[0] for kind in (LEAVES, RECORDS, ERASURES) for one in matching(names, kind)}
        for name in sorted(lost):
            raise IntegrityError(f"'{name}' is there without a manifest", name=name)
    if BOM in names and not matching(names, RELEASES):
        raise IntegrityError(f"'{BOM}' is there without a release", name=BOM)
    if CHECKPOINT not in names:
        for one in matching(names, TILES):
            raise IntegrityError(f"'{one[0]}' is there without a checkpoint", name=one[0])


def _unlisted(name: str) -> IntegrityError:
    return IntegrityError(
        f"'{name}' is not listed anywhere", hint="remove it, or ask who put it there", name=name
    )
