"""Log: the Merkle tree over commitments.

Promises: hashes as in RFC 6962. Never interprets what an entry says.
"""

from sayso.log.merkle import EMPTY_ROOT, leaf_hash, node_hash, root_of, tree_root

__all__ = ["EMPTY_ROOT", "leaf_hash", "node_hash", "root_of", "tree_root"]
