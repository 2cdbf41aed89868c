"""Access: who is asking, and who may use which route.

Promises: a route that names nobody is used by nobody, and the application does not start with
one; a role gives what it names and nothing that it seems to imply. Does not find out who is
asking: see `sessions` and `api.tokens`.

Example:
    >>> @allow(Role.OFFICER, scopes={Scope.HOLDS_WRITE})
    ... def place_hold() -> None: ...
    >>> access_of(place_hold).roles == {Role.OFFICER}
    True
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from sayso.rulebook.civil import COUNTRIES

F = TypeVar("F", bound=Callable[..., Any])
_MARK = "__sayso_access__"
_REGULATOR = "regulator"


class Role(StrEnum):
    """What a person does here; the provider of identities says which."""

    MEMBER = "member"
    OFFICER = "officer"
    APPROVER = "approver"
    ENGINEER = "engineer"
    AUDITOR = "auditor"
    REGULATOR = "regulator"
    ADMIN = "admin"


class Scope(StrEnum):
    """What a service client may do."""

    CHOICES_READ = "choices:read"
    CHOICES_WRITE = "choices:write"
    DECISIONS_READ = "decisions:read"
    EVIDENCE_READ = "evidence:read"
    HOLDS_READ = "holds:read"
    HOLDS_WRITE = "holds:write"
    MEMBERS_WRITE = "members:write"
    METRICS_READ = "metrics:read"
    NOTICES_WRITE = "notices:write"
    PERMITS_WRITE = "permits:write"
    READS_READ = "reads:read"
    RULEBOOK_READ = "rulebook:read"
    RULEBOOK_WRITE = "rulebook:write"
    SNAPSHOTS_READ = "snapshots:read"
    WEBHOOKS_WRITE = "webhooks:write"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use a route: anyone, or people with one of the roles and clients with a scope."""

    anyone: bool = False
    roles: frozenset[Role] = frozenset()
    scopes: frozenset[Scope] = frozenset()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking.

    Attributes:
        subject: The provider's name for a person, or a client's id; empty for nobody.
        member_id: The platform's id of a member; empty for whoever is none.
        roles: Of a person; none for a client.
        scopes: Of a client; none for a person.
        jurisdictions: Countries and groups whose regulator a person works for.
        is_client: Whether it is a service client.
    """

    subject: str = ""
    member_id: str = field(default="", repr=False)
    roles: frozenset[Role] = frozenset()
    scopes: frozenset[Scope] = frozenset()
    jurisdictions: frozenset[str] = frozenset()
    is_client: bool = False

    @property
    def is_known(self) -> bool:
        """Whether it is anybody."""
        return bool(self.subject)

    def may(self, access: Access) -> bool:
        """Whether they may use a route."""
        return access.anyone or bool(self.roles & access.roles or self.scopes & access.scopes)


NOBODY = Caller()


def allow(*roles: Role, scopes: Collection[Scope] = ()) -> Callable[[F], F]:
    """Let people with one of the roles, and clients with one of the scopes, use a route."""
    return _mark(Access(roles=frozenset(roles), scopes=frozenset(scopes)))


def allow_anyone(function: F) -> F:
    """Let anybody use a route."""
    return _mark(Access(anyone=True))(function)


def _mark(access: Access) -> Callable[[F], F]:
    def mark(function: F) -> F:
        setattr(function, _MARK, access)
        return function

    return mark


def access_of(endpoint: object) -> Access:
    """Return who may use a route's function; nobody where it does not say."""
    found = getattr(endpoint, _MARK, None)
    return found if isinstance(found, Access) else Access()


def says_who(endpoint: object) -> bool:
    """Whether a route's function says who may use it."""
    return isinstance(getattr(endpoint, _MARK, None), Access)


def read_roles(claim: object) -> tuple[frozenset[Role], frozenset[str]]:
    """Return roles and jurisdictions from a claim: words such as `officer`, `regulator:HK`.

    A word that is no role of ours gives nothing. `member` is no role of staff: whoever is a
    member is named by the claim that holds the member's id.
    """
    words = claim.split() if isinstance(claim, str) else claim
    roles: set[Role] = set()
    places: set[str] = set()
    for word in words if isinstance(words, list) else ():
        if not isinstance(word, str):
            continue
        name, _, place = word.partition(":")
        if name == _REGULATOR:
            if place in COUNTRIES or place in {"EU", "EEA"}:
                roles.add(Role.REGULATOR)
                places.add(place)
        elif not place and name in set(Role) - {Role.MEMBER}:
            roles.add(Role(name))
    return frozenset(roles), frozenset(places)
