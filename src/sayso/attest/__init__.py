"""Attest: what is signed, and by which key.

Promises: one canonical form for every signed file, read back strictly; statements that are
pinned to what they depend on; receipts that say what a member chose in the member's words.
The parts that a stranger verifies with need only the standard library and `cryptography`.
Does not decide, does not keep keys, and knows no clock and no randomness.
"""

from sayso.attest.dsse import STATEMENT_TYPE, Envelope, parse_envelope, sign, verify
from sayso.attest.keys import PublicKey, SigningKey, parse_public_key, parse_signing_key
from sayso.attest.statements import Statement, parse_statement, verify_statement

__all__ = [
    "STATEMENT_TYPE",
    "Envelope",
    "PublicKey",
    "SigningKey",
    "Statement",
    "parse_envelope",
    "parse_public_key",
    "parse_signing_key",
    "parse_statement",
    "sign",
    "verify",
    "verify_statement",
]
