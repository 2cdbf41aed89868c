"""What an entry about a choice holds, and the bytes that it commits to.

Promises: the same choice gives the same canonical bytes in Python and in bulk SQL; nobody
becomes willing in the past. Reads no database.

Example:
    >>> said = NewChoice.of("7", "p", Choice.ON, effective_us=5, recorded_us=9)
    >>> said.effective_us, said.claimed_us
    (9, 5)
"""

from dataclasses import dataclass

from sayso.canonical import encode
from sayso.errors import InputError
from sayso.model import Choice

CHOICE_LABEL = "sayso/choice/v1"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an append gives back: where the entry stands and what it commits to."""

    index: int
    commitment: bytes


def canonical_choice(
    purpose: str,
    choice: str,
    effective_us: int,
    recorded_us: int,
    country: str | None,
    channel: str | None,
    setting_version: str | None,
    claimed_us: int | None,
) -> bytes:
    """Return the canonical bytes of a choice; `sayso.ledger.ingest` writes them in SQL."""
    return encode(
        CHOICE_LABEL,
        purpose,
        choice,
        effective_us,
        recorded_us,
        country,
        channel,
        setting_version,
        claimed_us,
    )


@dataclass(frozen=True, slots=True)
class NewChoice:
    """A choice that is to become an entry. Use `of`.

    Attributes:
        effective_us: From when it counts, microseconds since 1970, UTC.
        claimed_us: What was claimed, where another instant counts.
        canonical: What the entry commits to, under the member's key.
    """

    member_id: str
    purpose: str
    choice: str
    effective_us: int
    recorded_us: int
    country: str | None
    channel: str | None
    setting_version: str | None
    claimed_us: int | None
    canonical: bytes

    @classmethod
    def of(
        cls,
        member_id: str,
        purpose: str,
        choice: Choice,
        *,
        effective_us: int,
        recorded_us: int,
        country: str | None = None,
        channel: str | None = None,
        setting_version: str | None = None,
    ) -> "NewChoice":
        """Return what a member said, as it counts.

        A back-dated `on` counts from its recording; what was claimed is kept beside it.

        Raises:
            InputError: A text has no UTF-8 bytes.
        """
        counts_us, claimed_us = effective_us, None
        if choice is Choice.ON and effective_us < recorded_us:
            counts_us, claimed_us = recorded_us, effective_us
        try:
            member_id.encode()
            canonical = canonical_choice(
                purpose, choice, counts_us, recorded_us, country, channel, setting_version,
                claimed_us,
            )  # fmt: skip
        except UnicodeEncodeError:
            raise InputError("an id or text of the choice is no text", hint="give UTF-8") from None
        return cls(
            member_id, purpose, str(choice), counts_us, recorded_us, country, channel,
            setting_version, claimed_us, canonical,
        )  # fmt: skip
