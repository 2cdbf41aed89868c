"""What the statements about a snapshot are pinned to: all of it follows from the manifest."""

from collections.abc import Mapping

from sayso.attest.statements import Pins
from sayso.log.checkpoint import Checkpoint
from sayso.snapshot.manifest import Manifest


def pins_of(manifest: Manifest, siblings: Mapping[str, str]) -> Pins:
    """Return the pins of a statement that has siblings: name -> SHA-256 in hex."""
    log = manifest.log
    return Pins(
        purpose=manifest.purpose,
        at=manifest.at_instant,
        known=manifest.known,
        log=Checkpoint(log.origin, log.size, bytes.fromhex(log.root)),
        rulebook=manifest.rulebook.digest,
        rulebook_entry=manifest.rulebook.entry,
        semantics=manifest.versions.semantics,
        tzdata=manifest.versions.tzdata,
        inputs={name: one.sha256 for name, one in manifest.inputs.items()},
        siblings=siblings,
    )
