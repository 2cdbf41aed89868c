"""A case: the files of one piece of evidence, whom the verifier trusts, what held so far.

Promises: what a check leaves here has passed; a check that needs what an earlier one leaves
gets it or an error. Holds no policy of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sayso.attest.keys import PublicKey
from sayso.attest.statements import Statement
from sayso.errors import IntegrityError
from sayso.evidence.files import Files
from sayso.log.policy import Policy, VerifiedCheckpoint


@dataclass(frozen=True)
class Given:
    """What the verifier brings: nothing of it came with the evidence.

    Attributes:
        keys: Public keys of who signs statements.
        policy: Which logs and witnesses to believe; None: the one that came along.
        known_checkpoint: A signed checkpoint that the verifier has seen before.
        consistency: Proof that the log grew from it, as `evidence/consistency.json`.
    """

    keys: tuple[PublicKey, ...] = ()
    policy: bytes | None = None
    known_checkpoint: bytes | None = None
    consistency: bytes | None = None


@dataclass
class Case:
    """What is verified.

    Attributes:
        files: Of the folder or the pack.
        given: By the verifier.
        in_pack: Whether they are a pack's.
        keys: Against which statements are checked.
        policy: Against which checkpoints are checked.
        stated: The policy that came with the files.
        manifest: Its values, once they held.
        manifest_digest: SHA-256 of its bytes, in hex.
        statement: Of the snapshot, once it held.
        signed: Files beside the statement that it names.
        heads: Checkpoints that held, by what they are of.
        leaves: Index of an entry -> its commitment, of all that was committed to.
        logged: Index of an entry -> its commitment, of all that tiles of the log hold.
        recorded: Index of an entry -> when it says that it was recorded, in microseconds.
        handed: Entries that announce keys, each proved by a file of its own.
        replaced: File -> the digests it may have after erasures; None where it may be gone.
    """

    files: Files
    given: Given
    in_pack: bool = False
    keys: tuple[PublicKey, ...] = ()
    policy: Policy | None = None
    stated: Policy | None = None
    manifest: Mapping[str, Any] | None = None
    manifest_digest: str = ""
    statement: Statement | None = None
    signed: set[str] = field(default_factory=set)
    heads: dict[str, VerifiedCheckpoint] = field(default_factory=dict)
    leaves: dict[int, bytes] = field(default_factory=dict)
    logged: dict[int, bytes] = field(default_factory=dict)
    recorded: dict[int, int] = field(default_factory=dict)
    handed: set[int] = field(default_factory=set)
    replaced: dict[str, frozenset[str | None]] = field(default_factory=dict)

    @property
    def need_manifest(self) -> Mapping[str, Any]:
        """The manifest.

        Raises:
            IntegrityError: There is none.
        """
        if self.manifest is None:
            raise IntegrityError("there is no manifest")
        return self.manifest

    @property
    def need_policy(self) -> Policy:
        """The policy.

        Raises:
            IntegrityError: There is none.
        """
        if self.policy is None:
            raise IntegrityError("there is no policy", hint="give one with --policy")
        return self.policy

    def commit(self, index: int, commitment: bytes, recorded_us: int) -> None:
        """Keep what an entry of the log must be.

        Raises:
            IntegrityError: Another file says that it is something else.
        """
        if self.leaves.setdefault(index, commitment) != commitment:
            raise IntegrityError(f"two files disagree on entry {index} of the log", index=index)
        self.recorded[index] = recorded_us
