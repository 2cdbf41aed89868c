"""Who signs for a workspace, and whose word its checkpoints need.

Promises: two keys, each of one use: `keys/log.key` signs checkpoints and nothing else,
`keys/attest.pem` signs statements, receipts and packs. Both are made once, from randomness
that the caller brings, and never replaced: a lost key is an error. `log/policy` names the log,
its witnesses and the quorum.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sayso.attest.keys import SigningKey, parse_signing_key
from sayso.errors import InputError, IntegrityError
from sayso.log import Policy, SignerKey, parse_policy, parse_signer_key
from sayso.tables import write_once

LOG_KEY, ATTEST_KEY = "keys/log.key", "keys/attest.pem"
POLICY = "log/policy"
SEED_BYTES = 32
_POLICY = """# Whom to believe about this log; the format is C2SP tlog-policy.
# To ask for a witness: add `witness <name> <vkey> <url>` and name it in the quorum.
log {vkey}
quorum none
"""


@dataclass(frozen=True)
class Trust:
    """The keys and the policy of a workspace.

    Attributes:
        log: Signs checkpoints; its name is the log's origin.
        key: Signs statements, receipts and packs.
        policy_bytes: The policy as it stands in the file.
    """

    log: SignerKey = field(repr=False)
    key: SigningKey = field(repr=False)
    policy: Policy
    policy_bytes: bytes


def origin_of(name: str) -> str:
    """Return an origin for a log called after a folder: no spaces, no plus signs."""
    return f"example.org/{re.sub(r'[^0-9A-Za-z._~-]+', '-', name) or 'log'}"


def make_trust(folder: Path, origin: str, randomness: Callable[[int], bytes]) -> None:
    """Make the keys and the policy of a new workspace; those that stand, stay.

    Args:
        folder: The workspace.
        origin: Names the log for ever.
        randomness: Gives so many random bytes.

    Raises:
        InputError: The origin cannot name a key.
    """
    signer = SignerKey.from_seed(origin, randomness(SEED_BYTES))
    write_once(folder / LOG_KEY, signer.to_text().encode() + b"\n")
    write_once(folder / ATTEST_KEY, SigningKey(randomness(SEED_BYTES)).to_pem())
    stands = parse_signer_key(_read(folder, LOG_KEY).decode().rstrip("\n"))
    write_once(folder / POLICY, _POLICY.format(vkey=stands.verifier().to_text()).encode(), 0o644)


def load_trust(folder: Path, origin: str) -> Trust:
    """Return the keys and the policy of a workspace.

    Raises:
        IntegrityError: One of them is missing: another would be another log, or nobody's word.
        InputError: One of them cannot be read, or the settings name another origin.
    """
    signer = parse_signer_key(_read(folder, LOG_KEY).decode(errors="replace").rstrip("\n"))
    if signer.name != origin:
        raise InputError(
            f"sayso.toml names the log '{origin}' and its key '{signer.name}'",
            hint="an origin is chosen once: set it back",
        )
    policy = _read(folder, POLICY)
    return Trust(signer, load_attest_key(folder), parse_policy(policy), policy)


def load_attest_key(folder: Path) -> SigningKey:
    """Return the key of a workspace that signs statements. Raises as `load_trust`."""
    return parse_signing_key(_read(folder, ATTEST_KEY))


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError:
        raise IntegrityError(f"'{name}' is missing", hint="restore it from backup") from None
