"""`sayso verify`."""

from pathlib import Path

import click

from sayso.cli.shared import FILE, Shared, emit, shared_options
from sayso.errors import InputError
from sayso.evidence.bundle import build_verifier
from sayso.evidence.command import FAILED, SOUND
from sayso.evidence.verify import load_given, told, verify_path


@click.command("verify")
@click.argument("path", type=FILE, required=False)
@click.option(
    "--key", "keys", type=FILE, multiple=True,
    help="A public key (PEM) that you have from whoever signs; may be repeated.",
)  # fmt: skip
@click.option("--policy", type=FILE, help="Which logs and witnesses you believe (tlog-policy).")
@click.option(
    "--known-checkpoint", type=FILE, help="A checkpoint that you have seen before: no other past."
)
@click.option("--consistency", type=FILE, help="The proof that the log grew from it.")
@click.option(
    "--write-verifier", type=FILE, metavar="OUT",
    help="Write this command as one file that needs Python and cryptography alone.",
)  # fmt: skip
@shared_options
def verify(
    shared: Shared,
    path: Path | None,
    keys: tuple[Path, ...],
    policy: Path | None,
    known_checkpoint: Path | None,
    consistency: Path | None,
    write_verifier: Path | None,
) -> int:
    """Check a snapshot, a pack or a receipt, and say in words what was checked."""
    if write_verifier is not None:
        if path is not None:
            raise InputError("--write-verifier checks nothing", hint="leave PATH out")
        digest = build_verifier(write_verifier)
        emit(
            shared,
            {"out": str(write_verifier), "sha256": digest},
            f"wrote '{write_verifier}' (SHA-256 {digest})",
        )
        return SOUND
    if path is None:
        raise InputError("nothing to verify", hint="name a snapshot's folder, a pack or a receipt")
    report = verify_path(path, load_given(keys, policy, known_checkpoint, consistency))
    emit(shared, report.to_json(), told(report))
    return SOUND if report.is_sound else FAILED


COMMANDS = (verify,)
