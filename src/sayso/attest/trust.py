"""Who signs for a workspace, and whose word its checkpoints need.

Promises: two keys, each of one use: `keys/log.key` signs checkpoints and nothing else,
`keys/attest.pem` signs statements, receipts and packs. Both are made from randomness that the
caller brings, and replaced only by a handover that the old one signed (`sayso.rotation`): a
lost key is an error. While the log's key is handed over, the old one signs beside it.
`log/policy` names the log, its witnesses and the quorum.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sayso.attest.handover import check_payload, follow_keys
from sayso.attest.keys import PublicKey, SigningKey, parse_signing_key
from sayso.canonical import parse_canonical
from sayso.errors import InputError, IntegrityError
from sayso.log import Policy, SignerKey, parse_policy, parse_signer_key
from sayso.tables import write_once

LOG_KEY, ATTEST_KEY = "keys/log.key", "keys/attest.pem"
# Signs beside the log's key until its handover is finished.
OLD_LOG_KEY = "keys/log.old.key"
# What shows each handover: the entry, and the proof that it is in the log.
HANDOVERS = "log/handovers"
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
        retiring: The log's key before, while it is handed over.
        earlier: Public keys that signed statements before, by the handovers.
        handovers: Name below `handovers/` -> bytes of what shows each handover.
    """

    log: SignerKey = field(repr=False)
    key: SigningKey = field(repr=False)
    policy: Policy
    policy_bytes: bytes
    retiring: SignerKey | None = field(default=None, repr=False)
    earlier: tuple[PublicKey, ...] = ()
    handovers: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def keys(self) -> tuple[PublicKey, ...]:
        """Whose signatures under statements are this workspace's, the present key first."""
        return (self.key.public, *self.earlier)


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
    stands = parse_signer_key(_read(folder, LOG_KEY).decode(errors="replace").rstrip("\n"))
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
    key = load_attest_key(folder)
    shown = load_handovers(folder)
    return Trust(
        log=signer,
        key=key,
        policy=parse_policy(policy),
        policy_bytes=policy,
        retiring=_retiring(folder, signer),
        earlier=tuple(follow_keys(_payloads(shown), [key.public])[1:]),
        handovers=shown,
    )


def _retiring(folder: Path, signer: SignerKey) -> SignerKey | None:
    """Return the log's key before, which signs as well; None where no handover is under way."""
    place = folder / OLD_LOG_KEY
    if not place.is_file():
        return None
    old = parse_signer_key(_read(folder, OLD_LOG_KEY).decode(errors="replace").rstrip("\n"))
    return None if old == signer else old


def load_handovers(folder: Path) -> dict[str, bytes]:
    """Return what shows the handovers of a workspace, by name."""
    return _shown(folder / HANDOVERS)


def read_handovers(place: Path) -> list[Mapping[str, Any]]:
    """Return the payloads of the handovers that stand in a folder.

    Raises:
        InputError: A file is none.
        IntegrityError: A file is not in canonical form.
    """
    return _payloads(_shown(place))


def _shown(place: Path) -> dict[str, bytes]:
    paths = sorted(place.glob("[0-9]*.json")) + sorted(place.glob("[0-9]*.tlog-proof"))
    return {path.name: path.read_bytes() for path in paths}


def _payloads(shown: Mapping[str, bytes]) -> list[Mapping[str, Any]]:
    """Return the payloads of handovers, by their entries' bytes."""
    found = []
    for name, raw in shown.items():
        if name.endswith(".json"):
            value = parse_canonical(raw)
            payload = value.get("payload") if isinstance(value, dict) else None
            found.append(check_payload(payload, name))
    return found


def load_attest_key(folder: Path) -> SigningKey:
    """Return the key of a workspace that signs statements. Raises as `load_trust`."""
    return parse_signing_key(_read(folder, ATTEST_KEY))


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError:
        raise IntegrityError(f"'{name}' is missing", hint="restore it from backup") from None
