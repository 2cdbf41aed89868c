"""Nothing is left of an erased member in anything that a workspace reaches."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from sayso.attest.dsse import STATEMENT_TYPE, parse_envelope, sign
from sayso.attest.keys import SigningKey
from sayso.errors import ConflictError, InputError, IntegrityError, RefusedError
from sayso.ledger import schema
from sayso.ledger.commitments import commitments
from sayso.ledger.fsck import fsck
from sayso.ledger.kept import delete_kept, keep, kept_of_all
from sayso.ledger.sealing import seal
from sayso.model import Reason
from sayso.opening import init_workspace, open_workspace
from sayso.snapshot import compare, load_manifest, load_records
from sayso.snapshot.erase import Reached
from sayso.snapshot.known import known_snapshots
from sayso.snapshot.notes import read_notes
from sayso.training import Permit
from sayso.workspace import Workspace
from tests.town import (
    AT,
    START_US,
    Clock,
    choice_row,
    member_row,
    record_row,
    write_content,
    write_jsonl,
)
from tests.traces import digests, spelled, traces
from tests.unit.ledger.builders import entries, key_of

WHO = "vanish-4711-member"
WORDS = tuple(f"unforgettable words number {n} of somebody" for n in range(3))
KEPT = "unforgettable words for the assistant"
CHANNEL = "a-channel-of-theirs-alone"
OTHERS = tuple(f"stays-{n:03d}" for n in range(40))


def wire(url: str, folder: Path) -> Workspace:
    """Make a workspace with something of WHO in every place there is."""
    workspace = init_workspace(folder / "ws", Clock(), template="linkedin-2024", url=url)
    rows = [member_row(one) for one in (*OTHERS, WHO)]
    workspace.ingest("members", write_jsonl(folder / "m1.jsonl", rows))
    workspace.choose(WHO, "off", channel=CHANNEL)
    said = [choice_row(one, "deferred") for one in OTHERS[:5]]
    said += [choice_row(WHO, "deferred", channel=CHANNEL), choice_row(WHO, "on")]
    workspace.ingest("choices", write_jsonl(folder / "c1.jsonl", said))
    workspace.choose(OTHERS[1], "off")
    seal(workspace.ledger, START_US, threshold_rows=1)
    moved = [member_row(one, "BR" if n == 3 else "US") for n, one in enumerate((*OTHERS, WHO))]
    workspace.ingest("members", write_jsonl(folder / "m2.jsonl", moved))
    notices = [
        {"member_id": one, "purpose": "content-generation-training", "served_at": "2025-09-20"}
        for one in (OTHERS[0], WHO)
    ]
    workspace.ingest("notices", write_jsonl(folder / "n.jsonl", notices))
    workspace.choose(WHO, "on", channel=CHANNEL)  # later than the off
    workspace.choose(OTHERS[2], "off")
    for number, who in enumerate((WHO, WHO, OTHERS[0])):
        keep(workspace.ledger, who, f"kept-{number}", KEPT.encode(), START_US)
    delete_kept(workspace.ledger, WHO, ["kept-1"], START_US)
    return workspace


def content(folder: Path) -> Path:
    rows = [record_row(f"r-{one}", one) for one in OTHERS]
    rows += [record_row(f"secret-{n}", WHO, text=text) for n, text in enumerate(WORDS)]
    return write_content(folder / "content.parquet", rows)


@pytest.fixture
def url(database: str, request: pytest.FixtureRequest) -> str:
    if database == "sqlite":
        return "sqlite:///ledger.db"
    return str(request.getfixturevalue("postgres_url"))


def fill(url: str, folder: Path) -> Workspace:
    """Make a workspace with something of WHO everywhere, and two snapshots that share files."""
    workspace = wire(url, folder)
    workspace.build(content(folder), folder / "first", at=AT)
    workspace.choose(OTHERS[7], "off")
    workspace.rebuild(folder / "first", folder / "second", at=AT)
    return workspace


@pytest.fixture
def either(url: str, tmp_path: Path) -> Iterator[tuple[Path, Workspace]]:
    """A filled workspace on SQLite, and on PostgreSQL."""
    workspace = fill(url, tmp_path)
    yield tmp_path, workspace
    workspace.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A filled workspace on SQLite, to be copied."""
    folder = tmp_path_factory.mktemp("made")
    fill("sqlite:///ledger.db", folder).close()
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Iterator[tuple[Path, Workspace]]:
    """A copy of it: paths of snapshots are relative, links between files are made again."""
    folder = tmp_path / "here"
    shutil.copytree(made, folder)
    for path in (folder / "second" / "records").iterdir():
        shared = folder / "first" / "records" / path.name
        if shared.exists() and shared.read_bytes() == path.read_bytes():
            path.unlink()
            os.link(shared, path)
    workspace = open_workspace(folder / "ws", Clock())
    yield folder, workspace
    workspace.close()


def needles(workspace: Workspace) -> set[bytes]:
    """Everything that must be nowhere: id, words, key."""
    key = key_of(workspace.ledger, WHO)
    assert key is not None
    plain = {word.encode() for word in (WHO, *WORDS, CHANNEL, "secret-0", "secret-2")}
    plain |= {b"kept-0", b"kept-1", sealed_of(workspace)}
    return plain | spelled(key)


def sealed_of(workspace: Workspace) -> bytes:
    """What stands in the place of WHO's words to the assistant."""
    with workspace.ledger.reading() as con:
        column = schema.kept.c
        query = sa.select(column.sealed).where(column.kept_id == "kept-0")
        return bytes(con.execute(query).scalar_one())


def everywhere(folder: Path) -> list[Path]:
    return [one for one in folder.iterdir() if one.is_dir()]


def committed(workspace: Workspace) -> list[bytes]:
    """The commitment of every entry, wherever it stands."""
    joined = b"".join(commitments(workspace.ledger, 0, workspace.ledger.size()))
    return [joined[at : at + 32] for at in range(0, len(joined), 32)]


# ---- gone -------------------------------------------------------------------------------


def test_nothing_is_left_and_every_commitment_stands(either: tuple[Path, Workspace]) -> None:
    folder, workspace = either
    words = needles(workspace)
    assert traces(everywhere(folder), words)
    before = committed(workspace)
    manifests = [(folder / name / "manifest.json").read_bytes() for name in ("first", "second")]
    others = {i: row for i, row in entries(workspace.ledger).items() if row["member_id"] != WHO}

    done = workspace.erase(WHO)

    assert traces(everywhere(folder), words) == set()
    after = committed(workspace)
    assert done.entry == len(before)
    assert after[:-1] == before
    assert entries(workspace.ledger) == others
    report = fsck(workspace.ledger)
    assert (report.roots, report.tables, report.left_rows, report.orphans) == (3, 3, 0, ())
    assert report.erased_entries == 4
    assert report.erased_rows == 3
    assert [
        (folder / name / "manifest.json").read_bytes() for name in ("first", "second")
    ] == manifests
    assert done.ledger.kept_rows == 2
    assert [who for who, _ in kept_of_all(workspace.ledger)] == [OTHERS[0]]
    assert (done.ledger.keys, len(done.ledger.segments), len(done.ledger.tables)) == (1, 2, 3)
    assert [one.reached for one in done.snapshots] == [Reached.ERASED] * 2
    assert done.inputs == (str(folder / "content.parquet"),)
    assert not any(one.is_behind for one in known_snapshots(workspace.ledger))
    assert done.waiting == ()


def test_an_unkeyed_digest_of_an_id_or_a_text_stands_nowhere(
    place: tuple[Path, Workspace],
) -> None:
    folder, workspace = place
    table = pq.read_table(folder / "content.parquet")
    words = {*OTHERS, WHO, *WORDS, *table["text"].to_pylist(), *table["record_id"].to_pylist()}
    assert traces(everywhere(folder), digests(words)) == set()
    workspace.erase(WHO)
    assert traces(everywhere(folder), digests(words)) == set()


def test_what_goes_in_is_looked_for_rightly(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"..." + next(iter(digests(["seven"]))))
    assert len(traces([tmp_path], digests(["seven"]))) >= 1
    write_content(tmp_path / "a" / "c.parquet", [record_row("r", "m", text="some words" * 9)])
    assert traces([tmp_path], {b"some words"})


# ---- snapshots --------------------------------------------------------------------------


def test_a_snapshot_reads_without_the_erased_and_keeps_its_root(
    place: tuple[Path, Workspace],
) -> None:
    folder, workspace = place
    key = key_of(workspace.ledger, WHO)
    assert key
    whole = load_records(folder / "first")
    leaves = set(zip(whole["tag"].to_pylist(), whole["digest"].to_pylist(), strict=True))
    workspace.erase(WHO)
    for name in ("first", "second"):
        left = load_records(folder / name)
        assert WHO not in left["member_id"].to_pylist()
        assert left.num_rows == load_manifest(folder / name).counts.admitted - len(WORDS)
    files = [pq.read_table(path) for path in (folder / "first" / "records").iterdir()]
    kept = {
        pair
        for one in files
        for pair in zip(one["tag"].to_pylist(), one["digest"].to_pylist(), strict=True)
    }
    assert kept == leaves
    again = workspace.rebuild(folder / "first", folder / "third", at=AT)
    found = compare(folder / "first", again.path)
    assert (found.erased, found.left.num_rows) == (len(WORDS), 1)  # OTHERS[7] said off
    anew = workspace.build(
        folder / "content.parquet", folder / "anew", at=AT, known=again.manifest.known
    )
    assert again.manifest == anew.manifest


def test_the_files_of_another_snapshot_are_not_written_into(
    place: tuple[Path, Workspace],
) -> None:
    folder, workspace = place
    shared = f"records/bucket-{workspace.ledger.keys.bucket_of(WHO):04d}.parquet"
    assert (folder / "first" / shared).samefile(folder / "second" / shared)
    kept = folder / "a copy elsewhere.parquet"
    os.link(folder / "first" / shared, kept)
    before = kept.read_bytes()
    workspace.erase(WHO)
    assert kept.read_bytes() == before
    assert (folder / "first" / shared).read_bytes() == (folder / "second" / shared).read_bytes()


def test_a_moved_snapshot_is_named_and_reached_with_in(place: tuple[Path, Workspace]) -> None:
    folder, workspace = place
    words = needles(workspace)
    shutil.move(folder / "first", folder / "moved")
    shutil.copytree(folder / "second", folder / "copy")
    shutil.rmtree(folder / "second")
    workspace.build(folder / "content.parquet", folder / "second", at=AT)
    done = workspace.erase(WHO)
    assert [one.path.name for one in done.missed] == ["first"]
    left = {Path(name).relative_to(folder).parts[0] for name, _ in traces([folder], words)}
    assert {"moved", "copy"} <= left
    assert "second" not in left
    again = workspace.erase(WHO, copies=[folder / "moved", folder / "copy"])
    assert (again.entry, again.is_new) == (done.entry, False)
    assert traces(everywhere(folder), words) == set()
    load_records(folder / "moved")


def test_a_snapshot_that_was_away_is_made_good_by_the_next_erasure(
    place: tuple[Path, Workspace],
) -> None:
    folder, workspace = place
    words = needles(workspace)
    shutil.move(folder / "first", folder / "away")
    assert len(workspace.erase(WHO).missed) == 1
    shutil.move(folder / "away", folder / "first")
    other = next(
        one
        for one in OTHERS
        if workspace.ledger.keys.bucket_of(one) != workspace.ledger.keys.bucket_of(WHO)
    )
    assert workspace.erase(other).missed == ()
    assert traces(everywhere(folder), words) == set()
    assert not any(one.is_behind for one in known_snapshots(workspace.ledger))


def test_a_copy_that_is_none_of_ours_is_bad_input_and_nobody_is_erased(
    place: tuple[Path, Workspace],
) -> None:
    folder, workspace = place
    size = workspace.ledger.size()
    for strange in (folder, folder / "ws", folder / "nowhere"):
        with pytest.raises(InputError):
            workspace.erase(WHO, copies=[strange])
    path = folder / "first" / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"at": "2026-01-15T12', b'"at": "2026-01-15T13'))
    with pytest.raises(InputError):
        workspace.erase(WHO, copies=[folder / "first"])
    assert workspace.ledger.size() == size


@pytest.mark.parametrize("what", ["flipped file", "flipped note", "old file", "lost note"])
def test_a_rewritten_snapshot_that_was_changed_is_not_read(
    place: tuple[Path, Workspace], what: str
) -> None:
    folder, workspace = place
    file = folder / "first" / f"records/bucket-{workspace.ledger.keys.bucket_of(WHO):04d}.parquet"
    old = file.read_bytes()
    done = workspace.erase(WHO)
    note = folder / "first" / "evidence" / "erasures" / f"{done.entry}.json"
    load_records(folder / "first")
    if what == "flipped file":
        raw = bytearray(file.read_bytes())
        raw[len(raw) // 2] ^= 1
        file.write_bytes(bytes(raw))
    elif what == "flipped note":
        envelope = parse_envelope(note.read_bytes())
        at = envelope.payload.index(b'"after"')
        at = envelope.payload.index(b'"sha256": "', at) + 12
        other = b"0" if envelope.payload[at : at + 1] != b"0" else b"1"
        said = envelope.payload[:at] + other + envelope.payload[at + 1 :]
        note.write_bytes(replace(envelope, payload=said).to_bytes())
    elif what == "old file":
        file.write_bytes(old)
    else:
        note.unlink()
    with pytest.raises(IntegrityError):
        load_records(folder / "first")
    with pytest.raises(IntegrityError):
        workspace.rebuild(folder / "first", folder / "third", at=AT)


def test_a_note_that_another_signed_counts_for_nothing(place: tuple[Path, Workspace]) -> None:
    """Whoever can write into the folder can sign with a key of their own, and name it there."""
    folder, workspace = place
    done = workspace.erase(WHO)
    snapshot = folder / "first"
    note = snapshot / "evidence" / "erasures" / f"{done.entry}.json"
    stranger = SigningKey(bytes(32))
    payload = parse_envelope(note.read_bytes()).payload
    note.write_bytes(sign(STATEMENT_TYPE, payload, stranger).to_bytes())
    with pytest.raises(IntegrityError):
        load_records(snapshot)
    (snapshot / "evidence" / "attest.pem").write_bytes(stranger.public.to_pem())
    with pytest.raises(IntegrityError):
        read_notes(snapshot, workspace.trust.keys)
    with pytest.raises(IntegrityError):
        Permit.ask(workspace, snapshot)


def test_a_killed_builds_leftovers_go(place: tuple[Path, Workspace]) -> None:
    folder, workspace = place
    words = needles(workspace)
    shutil.copytree(folder / "first", folder / "first.partial")
    (folder / "first.partial" / "work").mkdir()
    (folder / "first.partial" / "work" / "part-0.arrows").write_bytes(WORDS[0].encode())
    done = workspace.erase(WHO)
    assert not (folder / "first.partial").exists()
    assert traces(everywhere(folder), words) == set()
    assert done.missed == ()


# ---- refused for ever -------------------------------------------------------------------


def test_refused_at_every_at_and_known_and_others_as_before(
    place: tuple[Path, Workspace],
) -> None:
    folder, workspace = place
    table = pq.read_table(folder / "content.parquet")
    size = workspace.ledger.size()

    def masks(known: int) -> dict[str, int]:
        found = workspace.decide_many(table, at=AT, known=known).masks.tolist()
        return dict(zip(table["record_id"].to_pylist(), found, strict=True))

    asked = range(1, size + 1, 3 if size > 40 else 1)
    before = {known: masks(known) for known in asked}
    workspace.erase(WHO)
    for known in asked:
        after = masks(known)
        for record, mask in before[known].items():
            if record.startswith("r-"):
                assert after[record] == mask
            else:
                assert after[record]
        found = workspace.decide(WHO, at=AT, known=known).decision
        assert found.reasons == (Reason.MEMBER_ERASED,)
    with pytest.raises(RefusedError):
        workspace.choose(WHO, "on")


def test_files_that_bring_them_back_bring_nothing(place: tuple[Path, Workspace]) -> None:
    folder, workspace = place
    words = needles(workspace)
    workspace.erase(WHO)
    assert workspace.ingest("choices", folder / "c1.jsonl").unchanged
    workspace.ingest("members", folder / "m1.jsonl")
    more = [choice_row(WHO, "on", channel=CHANNEL), choice_row(OTHERS[0])]
    workspace.ingest("choices", write_jsonl(folder / "more.jsonl", more))
    workspace.build(folder / "content.parquet", folder / "later", at=AT)
    assert traces(everywhere(folder), words) == set()
    fsck(workspace.ledger)


# ---- meanwhile --------------------------------------------------------------------------


def test_an_erasure_amid_an_ingest_is_heard(
    place: tuple[Path, Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sayso.ledger.ingest as module

    folder, workspace = place
    words = needles(workspace)
    real: Any = module._keyed
    calls: list[str] = []

    @contextmanager
    def keyed(ledger: Any, duck: Any, relation: str) -> Iterator[None]:
        with real(ledger, duck, relation):
            yield
        calls.append(relation)
        if len(calls) in {1, 3}:  # between the keys and the listing
            waiting = workspace.erase(WHO if len(calls) == 1 else OTHERS[9]).waiting
            assert waiting == ("segments/" if relation == "typed" else "tables/", "spool/")

    monkeypatch.setattr(module, "_keyed", keyed)
    rows = [choice_row(WHO, channel=CHANNEL), choice_row(OTHERS[9]), choice_row(OTHERS[8])]
    assert workspace.ingest("choices", write_jsonl(folder / "c9.jsonl", rows)).rows == 2
    table = [member_row(one) for one in (WHO, OTHERS[9], OTHERS[8])]
    assert workspace.ingest("members", write_jsonl(folder / "m9.jsonl", table)).rows == 1
    assert calls == ["typed", "typed", "incoming", "incoming"]
    assert traces(everywhere(folder), words) == set()
    fsck(workspace.ledger)
    workspace.close()
    again = open_workspace(folder / "ws", Clock())
    assert again.erase(WHO).waiting == ()
    again.close()


@pytest.mark.parametrize("moment", ["keys", "sealing", "flushing"])
def test_an_erasure_amid_a_build_is_heard(place: tuple[Path, Workspace], moment: str) -> None:
    folder, workspace = place
    words = needles(workspace)
    told: list[str] = []

    def progress(stage: str, _rows: int) -> None:
        if stage == moment and moment not in told:
            told.append(stage)
            workspace.erase(WHO)

    workspace.progress = progress
    try:
        built = workspace.build(folder / "content.parquet", folder / "amid", at=AT)
    except ConflictError:
        assert moment == "keys"
        assert not (folder / "amid").exists()
    else:
        assert WHO not in load_records(built.path)["member_id"].to_pylist()
        assert built.manifest.counts.admitted == len(load_records(built.path)) + len(WORDS)
    assert told == [moment]
    assert traces(everywhere(folder), words) == set()


def test_an_erasure_amid_a_rebuild_is_heard(place: tuple[Path, Workspace]) -> None:
    folder, workspace = place
    words = needles(workspace)
    told: list[str] = []

    def progress(stage: str, _rows: int) -> None:
        if stage == "keys" and not told:
            told.append(stage)
            workspace.erase(WHO)

    workspace.progress = progress
    with pytest.raises(ConflictError, match="erased while"):
        workspace.rebuild(folder / "first", folder / "amid", at=AT)
    assert traces(everywhere(folder), words) == set()
