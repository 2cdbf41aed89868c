"""What is one member's own in a snapshot: their rows in the one bucket that may hold any.

Promises: the bucket's file is the listed one and its leaves lead to its root, so that a row
that is not found was not there. Hands out rows of that member and of nobody else.
"""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sayso.errors import IntegrityError
from sayso.evidence.entries import Folder
from sayso.evidence.merkle_proofs import SortedTree
from sayso.snapshot.load import verified_file
from sayso.snapshot.notes import need_records, read_notes, visiting


def own_records(
    folder: Folder, member: str, bucket: int
) -> tuple[SortedTree, list[dict[str, Any]]]:
    """Return the tree of a member's bucket, and the member's rows in it.

    Args:
        folder: Of the snapshot.
        member: Canonical text of the id.
        bucket: Of the member.

    Raises:
        InputError: Retention deleted the records.
        IntegrityError: The file is missing or another, or does not lead to its root.
    """
    path = folder.path
    listed = folder.manifest.buckets.get(f"{bucket:04d}")
    if listed is None:
        return SortedTree(b""), []
    need_records(path, folder.manifest)
    with visiting(path, alone=False):
        table = pq.read_table(verified_file(path, listed, read_notes(path)))
    pairs = zip(table["tag"].to_pylist(), table["digest"].to_pylist(), strict=True)
    tree = SortedTree(b"".join(tag + digest for tag, digest in pairs))
    if tree.root.hex() != listed.root:
        raise IntegrityError(f"the leaves of '{listed.file}' do not lead to its root")
    own = table.filter(pc.equal(table["member_id"], member))
    written = own["written_at"].cast(pa.int64())
    place = own.schema.get_field_index("written_at")
    return tree, own.set_column(place, "written_at", written).to_pylist()
