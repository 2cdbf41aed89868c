"""Snapshot: immutable training sets with a manifest that reconciles.

Promises: `build`, `rebuild`, `compare` and `load_dataset`; what is not finished is never
taken for a snapshot. Does not train and does not decide.
"""

from sayso.snapshot.build import build, rebuild
from sayso.snapshot.compare import Difference, compare
from sayso.snapshot.load import load_dataset, load_records
from sayso.snapshot.manifest import Manifest, load_manifest
from sayso.snapshot.request import Built, Request, Rules, Tools

__all__ = [
    "Built",
    "Difference",
    "Manifest",
    "Request",
    "Rules",
    "Tools",
    "build",
    "compare",
    "load_dataset",
    "load_manifest",
    "load_records",
    "rebuild",
]
