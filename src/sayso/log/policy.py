r"""Policies: which logs are believed, and how many witnesses must have seen a checkpoint.

Promises: the format of C2SP tlog-policy; a checkpoint is accepted if a listed log signed it under
its own name and the quorum cosigned it, and else refused by name. Octets beyond ASCII are opaque:
two names that only look alike differ. Does not ask anybody over a network, and does not judge how
old a cosignature is: it gives the times.

Example:
    >>> from sayso.log.keys import SignerKey
    >>> key = SignerKey.from_seed("example.org/log", bytes(32)).verifier().to_text()
    >>> parse_policy(f"log {key}\nquorum none\n".encode()).quorum
    'none'
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from sayso.errors import InputError, IntegrityError
from sayso.log.checkpoint import Checkpoint, parse_checkpoint_text
from sayso.log.keys import KeyType, VerifierKey, parse_verifier_key
from sayso.log.lines import quoted
from sayso.log.notes import parse_note, verify_note

MAX_POLICY_BYTES = 1_000_000
NO_QUORUM = "none"
LOG_TYPES = frozenset({KeyType.ED25519, KeyType.MLDSA44_COSIGNATURE})
WITNESS_TYPES = frozenset({KeyType.ED25519_COSIGNATURE, KeyType.MLDSA44_COSIGNATURE})

_OTHER_OCTET = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")
_THRESHOLD = re.compile(r"[1-9][0-9]{0,5}")


@dataclass(frozen=True)
class Party:
    """A log or a witness: its key, and where it answers if the policy says so."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True)
class Group:
    """Some witnesses and groups, of which `threshold` must have seen a checkpoint."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class VerifiedCheckpoint:
    """A checkpoint that a policy accepts; `witnesses`: who saw it, when in Unix seconds."""

    checkpoint: Checkpoint
    log_name: str
    witnesses: dict[str, int]


@dataclass(frozen=True)
class Policy:
    """Whom to believe. Names of witnesses and groups mean nothing outside of it.

    `groups` stand in the order of their definition, so that members come first.
    """

    logs: tuple[Party, ...]
    witnesses: dict[str, Party]
    groups: dict[str, Group]
    quorum: str

    def check(self, unverified: bytes) -> VerifiedCheckpoint:
        """Return the checkpoint of a note that satisfies the policy.

        Raises:
            InputError: The bytes hold no checkpoint.
            IntegrityError: No listed log signed it, a listed key's signature fails, or too few
                witnesses cosigned it.
        """
        note = parse_note(unverified)
        checkpoint = parse_checkpoint_text(note.text)
        logs = {party.key for party in self.logs if party.key.name == checkpoint.origin}
        if not logs:
            raise IntegrityError(f"the log {quoted(checkpoint.origin)} is not in the policy")
        names = {party.key: name for name, party in self.witnesses.items()}
        verified = verify_note(note, logs | names.keys())
        if not any(one.key in logs for one in verified):
            raise IntegrityError(f"the log {quoted(checkpoint.origin)} did not sign the checkpoint")
        seen = {
            names[one.key]: one.unix_seconds
            for one in verified
            if one.key in names and one.unix_seconds is not None
        }
        if not self._is_quorum(seen.keys()):
            raise IntegrityError(
                "the checkpoint lacks its quorum",
                hint=f"the policy asks for '{shown(self.quorum)}', and cosigned have "
                f"{[shown(name) for name in sorted(seen)]}",
            )
        return VerifiedCheckpoint(checkpoint, checkpoint.origin, seen)

    def _is_quorum(self, cosigned: Iterable[str]) -> bool:
        satisfied = {NO_QUORUM, *cosigned}
        for name, group in self.groups.items():
            if sum(member in satisfied for member in group.members) >= group.threshold:
                satisfied.add(name)
        return self.quorum in satisfied


def parse_policy(unverified: bytes) -> Policy:
    """Return the policy that a file holds.

    Raises:
        InputError: It holds none; `line` says where.
    """
    if len(unverified) > MAX_POLICY_BYTES:
        raise InputError(f"the policy has {len(unverified)} bytes")
    if other := _OTHER_OCTET.search(unverified):
        raise InputError(f"the policy holds the octet {other[0][0]:#04x}")
    # Octets that are not UTF-8 become lone surrogates, one each, so that no two names meet.
    *lines, rest = unverified.decode(errors="surrogateescape").split("\n")
    if rest:
        raise InputError("the last line of the policy does not end in a newline")
    draft = _Draft()
    for number, line in enumerate(lines, 1):
        words = [word for word in re.split("[ \t]+", line) if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            draft.add(words)
        except InputError as error:
            raise InputError(
                f"line {number} of the policy: {error.message}", hint=error.hint, line=number
            ) from error
    return draft.done()


@dataclass
class _Draft:
    """A policy of which some lines were read."""

    logs: list[Party] = field(default_factory=list)
    witnesses: dict[str, Party] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    quorum: str | None = None
    used: set[str] = field(default_factory=set)

    def add(self, words: list[str]) -> None:
        match words:
            case ["log", key, *url] if len(url) <= 1:
                self.logs.append(self._party(key, url, LOG_TYPES, self.logs))
            case ["witness", name, key, *url] if len(url) <= 1:
                self._check_new(name)
                party = self._party(key, url, WITNESS_TYPES, [*self.witnesses.values()])
                self.witnesses[name] = party
            case ["group", name, threshold, _, *_]:
                self._check_new(name)
                self.groups[name] = self._group(threshold, words[3:])
            case ["quorum", name]:
                if self.quorum is not None:
                    raise InputError("there is a quorum already", hint="write one")
                if name != NO_QUORUM:
                    self._check_defined(name)
                self.quorum = name
            case _:
                raise InputError(
                    f"{quoted(shown(' '.join(words)))} is no line of a policy",
                    hint="write 'log <key> [<url>]', 'witness <name> <key> [<url>]', 'group <name> "
                    "<all, any or number> <name>...' or 'quorum <name or none>'",
                )

    def done(self) -> Policy:
        if self.quorum is None:
            raise InputError("the policy has no quorum", hint="write 'quorum none' to ask for none")
        return Policy(tuple(self.logs), self.witnesses, self.groups, self.quorum)

    def _party(
        self, key: str, url: list[str], types: frozenset[KeyType], others: list[Party]
    ) -> Party:
        party = Party(parse_verifier_key(key), *url)
        if party.key.type not in types:
            raise InputError(f"a key of type {party.key.type:#04x} cannot stand here")
        if any(other.key.public == party.key.public for other in others):
            raise InputError("the same public key stands on an earlier line", hint="drop one")
        return party

    def _group(self, threshold: str, members: list[str]) -> Group:
        for member in members:
            self._check_defined(member)
            if member in self.used:
                raise InputError(f"'{shown(member)}' is a member already", hint="list it once")
            self.used.add(member)
        if threshold in {"all", "any"}:
            return Group(len(members) if threshold == "all" else 1, tuple(members))
        if not _THRESHOLD.fullmatch(threshold) or int(threshold) > len(members):
            raise InputError(
                f"the threshold is {quoted(shown(threshold))}",
                hint=f"write all, any or a number from 1 to {len(members)}",
            )
        return Group(int(threshold), tuple(members))

    def _check_new(self, name: str) -> None:
        if name == NO_QUORUM or name in self.witnesses or name in self.groups:
            raise InputError(f"the name '{shown(name)}' is taken", hint="choose another")

    def _check_defined(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise InputError(f"'{shown(name)}' is not defined above", hint="define it first")


def shown(name: str) -> str:
    """Return a name for people: its octets as UTF-8 where they are that."""
    return name.encode(errors="surrogateescape").decode(errors="replace")
