"""Log: the Merkle tree over commitments, and how a stranger checks it.

Promises: hashes, proofs, tiles, signed checkpoints and policies, in the formats that other
verifiers read. Never interprets what an entry says.

    merkle, proofs, tiles               hashes, what they prove, where they lie
    checkpoint, keys, notes             what is signed, who signs, the signed text
    policy, proof_file                  whom to believe, one entry's proof in a file
    submission, witness, witnessing     one who watches that the history stays one

The first three lines, with `lines`, are pure, and also part of the verifier that ships as one
file. The witness is a program of its own, imported by its own name.
"""

from sayso.log.checkpoint import Checkpoint, parse_checkpoint_text
from sayso.log.keys import (
    KeyType,
    SignerKey,
    VerifierKey,
    parse_signer_key,
    parse_verifier_key,
)
from sayso.log.merkle import EMPTY_ROOT, leaf_hash, node_hash, root_of, tree_root
from sayso.log.notes import Note, Signature, cosign, parse_note, sign, verify_note
from sayso.log.policy import Policy, VerifiedCheckpoint, parse_policy
from sayso.log.proof_file import Proof, parse_proof, verify_proof
from sayso.log.proofs import (
    consistency_proof,
    inclusion_proof,
    root_at,
    verify_consistency,
    verify_inclusion,
)
from sayso.log.tiles import TileReader, folder_fetch

__all__ = [
    "EMPTY_ROOT",
    "Checkpoint",
    "KeyType",
    "Note",
    "Policy",
    "Proof",
    "Signature",
    "SignerKey",
    "TileReader",
    "VerifiedCheckpoint",
    "VerifierKey",
    "consistency_proof",
    "cosign",
    "folder_fetch",
    "inclusion_proof",
    "leaf_hash",
    "node_hash",
    "parse_checkpoint_text",
    "parse_note",
    "parse_policy",
    "parse_proof",
    "parse_signer_key",
    "parse_verifier_key",
    "root_at",
    "root_of",
    "sign",
    "tree_root",
    "verify_consistency",
    "verify_inclusion",
    "verify_note",
    "verify_proof",
]
