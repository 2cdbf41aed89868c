"""Ledger: the append-only sequence of entries, the tables it commits to, and the fold.

Promises: an acknowledged entry is durable; indexes have no gaps; a reading at `known` never
changes. Does not interpret: what a standing means is for `sayso.decision`.
"""

from sayso.ledger.entries import Receipt
from sayso.ledger.fold import fold_standing
from sayso.ledger.ingest import Ingested, ingest_choices, ingest_table
from sayso.ledger.standing import ChoiceEntry, MemberRow, Standing, standing_of
from sayso.ledger.store import Ledger, open_ledger

__all__ = [
    "ChoiceEntry",
    "Ingested",
    "Ledger",
    "MemberRow",
    "Receipt",
    "Standing",
    "fold_standing",
    "ingest_choices",
    "ingest_table",
    "open_ledger",
    "standing_of",
]
