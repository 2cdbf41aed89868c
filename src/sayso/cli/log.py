"""`sayso log`: the ledger's log, its proofs, its witness, its check."""

import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

import click

from sayso.attest.handover import LOG
from sayso.cli.shared import (
    FILE,
    Shared,
    emit,
    integrate_quietly,
    now,
    opened,
    shared_options,
)
from sayso.errors import ConflictError, InputError, UnavailableError
from sayso.ledger.fsck import fsck as check_ledger
from sayso.ledger.integrate import is_behind
from sayso.ledger.logged import check_log, export_log, prove_entry, reader_of
from sayso.log import KeyType, SignerKey, parse_signer_key, parse_verifier_key
from sayso.log.witness import Witness, open_server
from sayso.rotation import ROLES, finish_log_handover, rotate_key
from sayso.snapshot.evidence import renew_proofs
from sayso.tables import write_once
from sayso.workspace import Workspace

KEY_NAME = "witness.key"
MAX_PORT = 65_535


@click.group("log")
def log() -> None:
    """Integrate, prove, export, witness and check the ledger's log."""


@log.command("fsck")
@shared_options
def fsck(shared: Shared) -> None:
    """Derive again everything that can be, and name the first difference (exit code 1)."""
    with opened(shared) as workspace:
        found = check_ledger(workspace.ledger, progress=workspace.progress)
        logged = check_log(workspace.ledger, workspace.trust.policy, workspace.progress)
    lines = [
        (
            f"{found.size:,} entries, indexes without a gap: {found.head_entries:,} in the "
            "database, "
            f"{found.segment_entries:,} in {found.segments} segments"
        ),
        f"{found.commitments:,} commitments computed again, {found.erased_entries:,} erased",
        f"{found.tables} tables of {found.table_rows:,} rows, {found.roots} roots computed again",
        (
            f"{found.rulebooks} rulebooks, {found.member_keys:,} member keys, "
            f"{found.tombstones:,} tombstones"
        ),
        (
            f"log: {logged.signed:,} entries signed, {logged.published:,} published, "
            f"{logged.tiles:,} tiles derived again; {logged.waiting:,} entries wait"
        ),
        *(
            [f"{found.left_rows:,} rows still to erase: run 'sayso erase --reapply'"]
            if found.left_rows
            else []
        ),
        *(f"left behind by a crash, listed nowhere: {name}" for name in found.orphans),
        "no difference",
    ]
    emit(shared, asdict(found) | {"log": asdict(logged)}, "\n".join(lines))


@log.command("integrate")
@click.option("--follow", metavar="SECONDS", type=click.FloatRange(min=0.05),
              help="Go on, looking so often, until interrupted.")  # fmt: skip
@shared_options
def integrate(shared: Shared, follow: float | None) -> None:
    """Bring every entry into the log, and publish a signed checkpoint."""
    with opened(shared) as workspace:
        if follow is None:
            _bring_in(shared, workspace)
            return
        problem = ""
        while True:
            try:
                if is_behind(workspace.ledger):
                    _bring_in(shared, workspace)
                problem = ""
            except (ConflictError, UnavailableError) as error:  # it may be gone at the next look
                if str(error) != problem:
                    click.echo(f"warning: {error}", err=True)
                problem = str(error)
            time.sleep(follow)


def _bring_in(shared: Shared, workspace: Workspace) -> None:
    done = workspace.integrate()
    _told(shared, done.size, done.root, done.appended, done.witnesses)


def _told(shared: Shared, size: int, root: bytes, appended: int, witnesses: dict[str, int]) -> None:
    emit(
        shared,
        {"size": size, "root": root.hex(), "appended": appended, "witnesses": witnesses},
        f"{size:,} entries, {appended:,} of them new; root {root.hex()}"
        + (f"; cosigned by {', '.join(witnesses)}" if witnesses else ""),
    )


@log.command("prove")
@click.argument("index", type=int, required=False)
@click.option("--out", type=FILE, help="Where the proof goes; end it in .tlog-proof.")
@click.option("--snapshot", type=FILE, help="Renew the proofs in the evidence of a snapshot.")
@shared_options
def prove(shared: Shared, index: int | None, out: Path | None, snapshot: Path | None) -> None:
    """Prove that entry INDEX is in the log, under the published checkpoint."""
    if (index is None) == (snapshot is None):
        raise InputError("one question at a time", hint="give INDEX --out FILE, or --snapshot DIR")
    with opened(shared) as workspace:
        if snapshot is not None:
            place, size = renew_proofs(snapshot, workspace.ledger, workspace.trust)
            emit(
                shared,
                {"snapshot": str(snapshot), "index": place, "size": size},
                f"entry {place} of '{snapshot}' is proved in a log of {size:,}",
            )
            return
        assert index is not None  # noqa: S101  or there was a snapshot
        integrate_quietly(workspace)
        proof = prove_entry(workspace.ledger, index)
        if out is not None:
            out.write_bytes(proof.to_bytes())
        emit(
            shared,
            {"index": index, "proof": proof.to_bytes().decode()},
            f"written to '{out}'" if out is not None else proof.to_bytes().decode().rstrip("\n"),
        )


@log.command("export")
@click.option("--out", type=FILE, required=True, help="A folder to make.")
@shared_options
def export(shared: Shared, out: Path) -> None:
    """Write a folder that any web server can serve as the log."""
    with opened(shared) as workspace:
        integrate_quietly(workspace)
        done = export_log(workspace.ledger, workspace.trust.policy_bytes, out)
    emit(
        shared,
        asdict(done) | {"out": str(out)},
        f"'{out}': {done.size:,} entries in {done.tiles:,} tiles and {done.bundles:,} bundles, "
        f"{done.public_entries:,} public entries readable\n"
        f"serve it as it is: any static web server will do",
    )


@log.command("checkpoint")
@shared_options
def checkpoint(shared: Shared) -> None:
    """Print the published checkpoint, which is a signed note."""
    with opened(shared) as workspace:
        reader, note = reader_of(workspace.ledger)
        key = workspace.trust.log.verifier().to_text()
    value = {"size": reader.size, "note": note.decode(), "log_key": key}
    emit(shared, value, note.decode().rstrip("\n"))


@log.command("rotate-key")
@click.argument("role", type=click.Choice(ROLES))
@click.option("--finish", is_flag=True, help="End a handover: the log's old key is deleted.")
@shared_options
def rotate(shared: Shared, role: str, *, finish: bool) -> None:
    """Hand over to a new key of ROLE, announced by the old one in the log."""
    if finish and role != LOG:
        raise InputError("only the log's key has a handover to end", hint="leave --finish out")
    with opened(shared) as workspace:
        if finish:
            finish_log_handover(workspace)
            ended = {"role": role, "finished": True, "entry": None, "new": None}
            emit(shared, ended, "the log's old key is deleted; the new one signs alone")
            return
        done = rotate_key(workspace, role)
    value = {"role": role, "finished": role != LOG, "entry": done.entry, "new": done.new}
    told = f"entry {done.entry} hands over to {done.new}"
    if role == LOG:
        told += (
            "\nboth keys sign for now: give the new one to every witness and verifier, then run "
            "'sayso log rotate-key log --finish'"
        )
    emit(shared, value, told)


@log.command("witness")
@click.argument("directory", type=FILE)
@click.option("--name", metavar="NAME", help="Names the witness's key; needed the first time.")
@click.option("--log", "logs", metavar="VKEY", multiple=True, help="A log to watch; repeatable.")
@click.option("--listen", metavar="HOST:PORT", default="127.0.0.1:8090", show_default=True,
              help="Where it answers.")  # fmt: skip
@click.option("--show-key", is_flag=True, help="Print the line for a policy, and end.")
@shared_options
def witness(
    shared: Shared,
    directory: Path,
    name: str | None,
    logs: tuple[str, ...],
    listen: str,
    show_key: bool,
) -> None:
    """Run a witness with its key and state in DIRECTORY, apart from any workspace.

    It cosigns what only grew, and refuses a second history. Speaks C2SP tlog-witness.
    """
    signer = _witness_key(directory, name)
    host, _, port = listen.rpartition(":")
    vkey = signer.verifier().to_text()
    if not host or not port.isdecimal() or int(port) > MAX_PORT:
        raise InputError(f"'{listen}' is no address", hint="write HOST:PORT")
    line = f"witness {signer.name.replace('/', '-')} {vkey} http://{listen}"
    if show_key:
        emit(shared, {"key": vkey, "policy_line": line}, line)
        return
    if not logs:
        raise InputError("no log to watch", hint="give --log VKEY, as 'sayso init' printed it")
    keys = [parse_verifier_key(one) for one in logs]
    known = {key.name: [one for one in keys if one.name == key.name] for key in keys}
    watching = Witness(directory, [signer], known, lambda: int(now().timestamp()))
    with open_server(watching, host, int(port)) as server:
        address = f"http://{server.server_address[0]!s}:{server.server_address[1]}"
        emit(
            shared,
            {"key": vkey, "url": address, "logs": sorted(known)},
            f"witness {vkey}\nanswers at {address}; watches {', '.join(sorted(known))}",
        )
        sys.stdout.flush()
        server.serve_forever()


def _witness_key(directory: Path, name: str | None) -> SignerKey:
    """Return the key in a folder, made on first use."""
    path = directory / KEY_NAME
    if path.is_file():
        signer = parse_signer_key(path.read_text(encoding="utf-8").rstrip("\n"))
        if name not in {None, signer.name}:
            raise InputError(f"the witness is called '{signer.name}'", hint="leave --name out")
        return signer
    if name is None:
        raise InputError("a new witness needs a name", hint="give --name example.org/witness")
    signer = SignerKey.from_seed(name, os.urandom(32), KeyType.ED25519_COSIGNATURE)
    directory.mkdir(parents=True, exist_ok=True)
    write_once(path, signer.to_text().encode() + b"\n")
    return parse_signer_key(path.read_text(encoding="utf-8").rstrip("\n"))  # or who was first


COMMANDS = (log,)
