"""Decision: the definition on one page, its cells, and the engine that looks them up.

Promises: `decide_many(rows) == [decide(r) for r in rows]`, for every cell and at every
boundary instant. Does not read files or ledgers: facts come in as values and relations.
"""

from sayso.decision.cells import Cells, tabulate
from sayso.decision.many import Decisions, decide_many
from sayso.decision.one import decide

__all__ = ["Cells", "Decisions", "decide", "decide_many", "tabulate"]
