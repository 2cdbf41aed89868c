"""What machines read about a snapshot."""

import json

import pyarrow.parquet as pq

from tests.town import AT
from tests.unit.snapshot.builders import Town


def test_croissant_names_the_format_and_the_columns_that_are_there(town: Town) -> None:
    built = town.workspace.build(town.content, town.folder / "out", at=AT)
    found = json.loads((built.path / "croissant.json").read_text())
    files = [one for one in found["distribution"] if one["@type"] == "cr:FileObject"]
    assert [one["contentUrl"] for one in files] == [
        bucket.file for bucket in built.manifest.buckets.values()
    ]
    # Readers of Croissant open Parquet under this name and no other.
    assert {one["encodingFormat"] for one in found["distribution"]} == {"application/x-parquet"}
    columns = pq.read_schema(built.path / files[0]["contentUrl"]).names
    (record_set,) = found["recordSet"]
    named = [field["source"]["extract"]["column"] for field in record_set["field"]]
    assert set(named) == set(columns) - {"tag", "digest", "salt"}
