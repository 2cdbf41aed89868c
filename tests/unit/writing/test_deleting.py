"""What a member deletes is not served any more, and is forgotten where it was learned from."""

from pathlib import Path

import pytest

from sayso.ledger.kept import delete_kept, keep, kept_of
from sayso.sources.sink import Record
from sayso.training import ForgetRequest, forget, release, standing_of
from sayso.writing import Exchange, ServedRelease, records_of
from tests.town import START_US
from tests.unit.training.lab import build, country_of, run, small_base
from tests.unit.writing.conftest import Trained

WHO = ("m1", "m4", "m5", "m7")


def test_deleting_queues_a_forget_where_it_was_learned_from(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = trained.workspace
    rows: list[Record] = []
    for who in WHO:
        asked = f"What {who} asked the assistant, so it goes, and so on."
        exchange = Exchange("post", asked, (), ("Generated.",), "small", "")
        keep(workspace.ledger, who, f"of{who}", exchange.to_bytes(), START_US)
        rows += records_of(who, kept_of(workspace.ledger, who)[0])
    snapshot = build(workspace, tmp_path, "asked", [row._asdict() for row in rows])
    done = run(workspace, snapshot, tmp_path / "run")
    made = release(workspace, done.path, tmp_path / "releases", base=small_base())
    assert {country_of(int(who[1:])) for who in WHO} == {"US"}
    assert sum(one.rows for one in done.run.shards.values()) == len(WHO)
    # No time passes, which would make it look again by itself.
    at = workspace.clock()
    monkeypatch.setattr(workspace, "clock", lambda: at)
    served = ServedRelease(workspace, made.path, base=small_base())
    assert served.serving == made.release

    delete_kept(workspace.ledger, "m4", ["ofm4"], START_US)
    served.look()

    # The deletion is no entry of the ledger, and stops the serving all the same.
    assert served.serving is not None
    (gone,) = made.release.adapters.keys() - served.serving.adapters.keys()
    assert "RECORD_DELETED" in served.why
    assert standing_of(workspace, done.path).refused.keys() == {gone}
    forgotten = forget(workspace, done.path, ForgetRequest(pending=True))
    assert (forgotten.shards, forgotten.records) == ((gone,), 1)
    assert {one.why for one in forgotten.dispositions} == {("RECORD_DELETED",)}
