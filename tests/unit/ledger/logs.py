"""Logs of ledgers for tests: filling, integrating, witnessing, and reading back without us."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path

import sqlalchemy as sa

from sayso.ledger import Ledger, ingest_choices, open_ledger, schema
from sayso.ledger.integrate import Integrated, integrate
from sayso.ledger.sealing import seal
from sayso.log import Checkpoint, Policy, folder_fetch, parse_checkpoint_text, parse_note
from sayso.log.keys import KeyType, SignerKey
from sayso.log.merkle import root_of
from sayso.log.policy import parse_policy
from sayso.log.witness import Witness, open_server
from tests.town import START_US, choice_row, write_jsonl
from tests.unit.ledger.builders import say
from tests.unit.log.signers import AT, LOG, ORIGIN, signer

PLAIN = parse_policy(f"log {LOG.verifier().to_text()}\nquorum none\n".encode())
WITNESSES = [signer(f"example.org/w{n}", KeyType.ED25519_COSIGNATURE) for n in range(3)]


def policy_of(urls: dict[SignerKey, str], quorum: int) -> Policy:
    """Return a policy that asks for some of these witnesses."""
    names = [one.name.replace("/", "-") for one in urls]
    lines = [f"log {LOG.verifier().to_text()}"]
    lines += [
        f"witness {name} {key.verifier().to_text()} {url}"
        for name, (key, url) in zip(names, urls.items(), strict=True)
    ]
    lines += [f"group all {quorum} {' '.join(names)}", "quorum all", ""]
    return parse_policy("\n".join(lines).encode())


def fill(ledger: Ledger, folder: Path) -> None:
    """Make a ledger of every kind of place: a bulk file, a sealed head with gaps, a head."""
    for number in range(5):
        say(ledger, f"m{number}")
        ledger.append_public("note", {"number": number}, START_US)  # stays when sealed
    assert seal(ledger, START_US, threshold_rows=1) >= 5
    rows = [choice_row(f"m{number % 40}", channel=f"bulk {number}") for number in range(600)]
    ingest_choices(ledger, write_jsonl(folder / "bulk.jsonl", rows), START_US, threads=1)
    for number in range(7):
        say(ledger, f"m{number}", channel=f"later {number}")


def bring_in(ledger: Ledger, policy: Policy = PLAIN, by: SignerKey = LOG) -> Integrated:
    """Integrate with the tests' key."""
    return integrate(ledger, by, policy)


def head_of(note: bytes) -> Checkpoint:
    """Return what a note says."""
    return parse_checkpoint_text(parse_note(note).text)


def published_head(ledger: Ledger) -> Checkpoint | None:
    """Return what stands in the log's folder."""
    note = folder_fetch(ledger.folder / "log")("checkpoint")
    return None if note is None else head_of(note)


def signed_row(ledger: Ledger) -> dict[str, object] | None:
    """Return the checkpoint as the database holds it."""
    with ledger.reading() as con:
        row = con.execute(sa.select(schema.checkpoint)).mappings().first()
    return None if row is None else dict(row)


def put_back(ledger: Ledger, row: dict[str, object] | None) -> None:
    """Make the database hold another checkpoint, as one from a backup does."""
    with ledger.writing() as con:
        con.execute(sa.delete(schema.checkpoint))
        if row is not None:
            con.execute(sa.insert(schema.checkpoint).values(row))


def defined_root(commitments: list[bytes]) -> bytes:
    """Return the root over commitments, by the definition."""
    return root_of(commitments)


@contextmanager
def watching(folder: Path, key: SignerKey) -> Iterator[str]:
    """Run a witness over loopback; yield its URL."""
    witness = Witness(folder, [key], {ORIGIN: [LOG.verifier()]}, clock=lambda: AT)
    with open_server(witness, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


# ---- other processes --------------------------------------------------------------------


def append_and_integrate(barrier: Barrier, url: str, folder: Path, number: int, turns: int) -> None:
    """Append and integrate in turns, at the same time as others."""
    ledger = open_ledger(url, folder)
    barrier.wait()
    for turn in range(turns):
        index = say(ledger, f"p{number}", channel=f"{number}/{turn}").index
        done = bring_in(ledger)
        assert done.size > index
        with (folder / f"seen-{number}").open("a", encoding="ascii") as file:
            file.write(f"{done.size} {done.root.hex()}\n")
    ledger.close()


def hold_the_lock(url: str, folder: Path, begun: Path) -> None:
    """Hold the integrators' lock of the database until killed."""
    ledger = open_ledger(url, folder)
    with ledger.alone(schema.INTEGRATE_LOCK):
        begun.touch()
        time.sleep(60)
