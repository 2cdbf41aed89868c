"""The log as others get it; and whatever was done to it, the check says where."""

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
import sqlalchemy as sa

from sayso.canonical import commit
from sayso.errors import ConflictError, InputError, IntegrityError
from sayso.ledger import Ledger, schema
from sayso.ledger.entries import canonical_choice
from sayso.ledger.fsck import fsck
from sayso.ledger.logged import (
    PUBLIC_NAME,
    check_log,
    export_log,
    prove_entry,
    public_commitment,
    public_line,
)
from sayso.log import TileReader, leaf_hash, parse_proof, verify_proof
from sayso.log.tiles import Fetch
from tests.unit.ledger.builders import say
from tests.unit.ledger.logs import (
    PLAIN,
    WITNESSES,
    bring_in,
    fill,
    policy_of,
    put_back,
    signed_row,
    watching,
)
from tests.unit.ledger.test_integrate import stored

POLICY = b"quorum none\n"


@pytest.fixture
def logged(ledger: Ledger, folder: Path) -> Ledger:
    """A ledger of 617 entries, integrated."""
    fill(ledger, folder)
    bring_in(ledger)
    return ledger


def flip(path: Path, at: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


# ---- proofs -----------------------------------------------------------------------------


def test_every_entry_is_proved(logged: Ledger) -> None:
    for index, commitment in enumerate(stored(logged)):
        if index % 23 in {0, 22} or index > 610:
            proof = parse_proof(prove_entry(logged, index).to_bytes())

            assert verify_proof(proof, leaf_hash(commitment), PLAIN).checkpoint.size == 617
            with pytest.raises(IntegrityError):
                verify_proof(proof, leaf_hash(bytes(32)), PLAIN)


@pytest.mark.parametrize("index", [-1, 617, 1 << 70])
def test_no_other_entry_is_proved(logged: Ledger, index: int) -> None:
    with pytest.raises(InputError, match="is not in the published log of 617"):
        prove_entry(logged, index)


def test_nothing_is_proved_before_the_first_checkpoint(ledger: Ledger) -> None:
    say(ledger, "m")

    with pytest.raises(InputError, match="no checkpoint yet"):
        prove_entry(ledger, 0)


def test_no_wrong_proof_is_given(logged: Ledger, folder: Path) -> None:
    flip(folder / "log/tile/0/000")

    with pytest.raises(IntegrityError, match="another entry 255"):
        prove_entry(logged, 3)


# ---- export -----------------------------------------------------------------------------


@pytest.fixture
def exported(logged: Ledger, tmp_path: Path) -> Path:
    export_log(logged, POLICY, tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def over_http(exported: Path) -> Iterator[Fetch]:
    """What a client sees of the export behind a plain web server."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_given: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(exported))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_address[1]}/"

        def fetch(path: str) -> bytes | None:
            try:
                with urllib.request.urlopen(base + path) as answer:
                    data: bytes = answer.read()
                    return data
            except HTTPError as error:
                if error.code == 404:
                    return None
                raise

        yield fetch
        server.shutdown()


def test_any_web_server_serves_it(logged: Ledger, over_http: Fetch) -> None:
    note = over_http("checkpoint")
    assert note
    head = PLAIN.check(note).checkpoint
    reader = TileReader(over_http, head.size)

    assert reader.root() == head.root
    assert [*reader.entries(0, head.size)] == stored(logged)


def test_public_entries_can_be_read_and_belong_to_the_tree(
    exported: Path, over_http: Fetch
) -> None:
    reader = TileReader(over_http, 617)
    lines = (exported / PUBLIC_NAME).read_bytes().splitlines(keepends=True)
    for line in lines:
        told = json.loads(line)

        assert line == public_line(**told)
        assert reader.entry(told.pop("index")) == public_commitment(**told)
    assert len(lines) == 5


def test_nothing_about_a_member_is_exported(exported: Path) -> None:
    found = b"".join(path.read_bytes() for path in exported.rglob("*") if path.is_file())

    assert b"later" not in found
    assert b"choice" not in found
    assert (exported / "policy").read_bytes() == POLICY
    assert not [path for path in exported.parent.iterdir() if path.name.startswith(".out")]


def test_an_export_is_of_the_published_tree(
    logged: Ledger, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its partial tiles were replaced by full ones meanwhile."""
    old = (folder / "log/checkpoint").read_bytes()
    for number in range(200):
        logged.append_public("note", {"n": number}, 0)
    bring_in(logged)
    assert not (folder / "log/tile/0/002.p/105").exists()
    (folder / "log/checkpoint").write_bytes(old)
    done = export_log(logged, POLICY, tmp_path / "old")

    assert (done.size, done.public_entries) == (617, 5)
    assert len((tmp_path / "old/tile/0/002.p/105").read_bytes()) == 105 * 32
    assert len((tmp_path / "old/tile/entries/002.p/105").read_bytes()) == 105 * 34


def test_an_export_replaces_nothing(logged: Ledger, exported: Path, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="exists"):
        export_log(logged, POLICY, exported)
    (tmp_path / "empty").mkdir()
    assert export_log(logged, POLICY, tmp_path / "empty").bundles == 3


def test_a_broken_log_is_not_exported(logged: Ledger, folder: Path, tmp_path: Path) -> None:
    flip(folder / "log/tile/1/000.p/2")
    with pytest.raises(IntegrityError, match="do not lead to the published root"):
        export_log(logged, POLICY, tmp_path / "out")
    flip(folder / "log/tile/1/000.p/2")
    (folder / "log/tile/0/001").unlink()
    with pytest.raises(IntegrityError, match="'tile/0/001' is missing"):
        export_log(logged, POLICY, tmp_path / "out")

    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


# ---- the check --------------------------------------------------------------------------


def damaged_folder(name: str, at: int = -1) -> Callable[[Ledger], None]:
    return lambda ledger: flip(ledger.folder / "log" / name, at)


def gone(name: str) -> Callable[[Ledger], None]:
    return lambda ledger: (ledger.folder / "log" / name).unlink()


def older_checkpoint(ledger: Ledger) -> None:
    row = signed_row(ledger)
    say(ledger, "m")
    bring_in(ledger)
    put_back(ledger, row)


FAULTS: dict[str, tuple[Callable[[Ledger], None], str]] = {
    "a leaf tile": (damaged_folder("tile/0/001", 5 * 32), "001 holds another entry 261"),
    "a partial leaf tile": (damaged_folder("tile/0/002.p/105"), "holds another entry 616"),
    "a bundle": (damaged_folder("tile/entries/000", 2 + 34 * 7), "another entry 7 than its tile"),
    "a length in a bundle": (damaged_folder("tile/entries/000", 34), "tile/entries/000 is broken"),
    "an upper tile": (damaged_folder("tile/1/000.p/2", 3), "'tile/1/000.p/2' does not follow"),
    "a tile that is gone": (gone("tile/0/001"), "tile/0/001 is missing"),
    "a bundle that is gone": (gone("tile/entries/001"), "tile/entries/001 is missing"),
    "the published signature": (damaged_folder("checkpoint", -5), "signature"),
    "the published size": (damaged_folder("checkpoint", 18), "signature"),
    "an older checkpoint in the database": (older_checkpoint, "published checkpoint has 618"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_the_first_difference_is_named(logged: Ledger, name: str) -> None:
    do, told = FAULTS[name]
    do(logged)

    with pytest.raises((IntegrityError, InputError), match=told) as found:
        check_log(logged, PLAIN)
    assert found.type is IntegrityError


def test_the_folder_rewritten_with_its_hashes_is_noticed(
    logged: Ledger, folder: Path, tmp_path: Path
) -> None:
    """Tiles of another history, whole in themselves."""
    from sayso.log.write import extend

    entries = stored(logged)
    entries[300] = bytes(32)
    for path in (folder / "log/tile").rglob("*"):
        if path.is_file():
            path.unlink()
    extend(folder / "log", 0, [b"".join(entries)])

    with pytest.raises(IntegrityError, match="entry 300 of the log is not what the ledger"):
        check_log(logged, PLAIN)


def deletion(ledger: Ledger) -> None:
    with ledger.writing() as con:
        con.execute(sa.delete(schema.entry).where(schema.entry.c.index == 611))


def reordering(ledger: Ledger) -> None:
    """Two choices change places, whole."""
    column = schema.entry.c.index
    with ledger.writing() as con:
        for was, now in ((611, -1), (613, 611), (-1, 613)):
            con.execute(sa.update(schema.entry).where(column == was).values(index=now))


def back_dating(ledger: Ledger) -> None:
    """A choice is moved to 1970."""
    with ledger.writing() as con:
        con.execute(
            sa.update(schema.entry).where(schema.entry.c.index == 611).values(effective_us=0)
        )


def both(ledger: Ledger) -> None:
    """What `sayso log fsck` does."""
    fsck(ledger)
    check_log(ledger, PLAIN)


@pytest.mark.parametrize("check", [both, lambda ledger: check_log(ledger, PLAIN)])
@pytest.mark.parametrize(
    ("do", "told"),
    [
        (deletion, "entry 611 of the ledger is missing|611"),
        (reordering, "entry 611 of the log is not what the ledger commits to"),
    ],
)
def test_tampering_with_the_ledger_is_named(
    logged: Ledger, do: Callable[[Ledger], None], check: Callable[[Ledger], None], told: str
) -> None:
    do(logged)

    with pytest.raises(IntegrityError, match=told):
        check(logged)


def test_back_dating_is_named(logged: Ledger) -> None:
    back_dating(logged)

    with pytest.raises(IntegrityError, match="611"):
        both(logged)


def test_back_dating_with_a_new_commitment_is_named(logged: Ledger) -> None:
    """Whoever has the keys can make the ledger agree with itself, and not with its log."""
    before = stored(logged)[611]
    back_dating(logged)
    with logged.writing() as con:
        rows = sa.select(schema.entry).where(schema.entry.c.index == 611)
        row = dict(con.execute(rows).mappings().one())
        key = logged.keys.ensure(con, row["member_id"])
        names = ("purpose", "choice", "effective_us", "recorded_us", "country", "channel",
                 "setting_version", "claimed_us")  # fmt: skip
        made = commit(key, canonical_choice(*(row[name] for name in names)))
        change = sa.update(schema.entry).where(schema.entry.c.index == 611)
        con.execute(change.values(commitment=made))
    assert made != before
    fsck(logged)

    with pytest.raises(IntegrityError, match="entry 611 of the log is not what the ledger"):
        both(logged)


def test_without_its_quorum_the_published_checkpoint_does_not_verify(
    logged: Ledger, tmp_path: Path
) -> None:
    with watching(tmp_path / "w", WITNESSES[0]) as url:
        strict = policy_of({WITNESSES[0]: url}, 1)
        with pytest.raises(IntegrityError, match="lacks its quorum"):
            check_log(logged, strict)
        bring_in(logged, strict)
    assert check_log(logged, strict).published == 617
    assert check_log(logged, PLAIN).published == 617


def test_what_waits_is_counted(logged: Ledger) -> None:
    say(logged, "m")
    report = check_log(logged, PLAIN)

    assert (report.signed, report.published, report.waiting, report.tiles) == (617, 617, 1, 4)


def test_nothing_signed_is_nothing_to_check(ledger: Ledger, folder: Path) -> None:
    assert check_log(ledger, PLAIN).signed == 0
    say(ledger, "m")
    note = bring_in(ledger).note
    put_back(ledger, None)
    (folder / "log/checkpoint").write_bytes(note)

    with pytest.raises(IntegrityError, match="the database signed none"):
        check_log(ledger, PLAIN)
