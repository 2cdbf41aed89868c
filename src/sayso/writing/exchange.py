"""What is kept of one use of the assistant, and the records that it would be in training.

Promises: what the member said, what was written, by whom and for whom, as canonical bytes;
a biography keeps which records it was made from and not their words, so that nothing comes
back under another category or visibility than it has. The member's words are records of
category `prompt`, given to the platform, their own; what was written is `generated`. Pure.

Example:
    >>> exchange = Exchange("post", "A quiet week", (), ("Calm.",), "release 1a2b", "")
    >>> parse_exchange(exchange.to_bytes()) == exchange
    True
"""

import json
from dataclasses import asdict, dataclass, field

from sayso.canonical import canonical_json
from sayso.errors import IntegrityError
from sayso.facts import instant_of
from sayso.ledger.kept import RECORD, Kept
from sayso.model import Authorship, Category, Visibility
from sayso.sources.sink import Record

FORMAT = "sayso/exchange/v1"
CONTEXT = "assistant"
# Source: Regulation (EU) 2024/1689 (AI Act), Article 50(1) and (2): people are told, and the
# output is marked in a form that machines read.
LABEL = "written by a machine; nobody has checked it"
ASKED = "asked"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One use of the assistant.

    Attributes:
        kind: `bio` or `post`.
        asked: What the member said; empty where they said nothing but to write.
        made_from: Ids of the member's records whose words were given to the model.
        written: The texts; those of an exchange that ended early are the finished ones.
        model: What wrote them.
        recipient: Who else got the words; empty where nobody did.
    """

    kind: str
    asked: str = field(repr=False)
    made_from: tuple[str, ...]
    written: tuple[str, ...] = field(repr=False)
    model: str
    recipient: str

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return canonical_json({"format": FORMAT, **_plain(self)})


def _plain(exchange: Exchange) -> dict[str, object]:
    made = asdict(exchange)
    return {name: list(one) if isinstance(one, tuple) else one for name, one in made.items()}


def parse_exchange(raw: bytes) -> Exchange:
    """Return an exchange from its canonical bytes.

    Raises:
        IntegrityError: They are none.
    """
    try:
        value = json.loads(raw)
        is_ours = value.pop("format") == FORMAT
        value |= {name: tuple(value[name]) for name in ("made_from", "written")}
        found = Exchange(**value)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        is_ours = False
    if not is_ours:
        raise IntegrityError(
            "what is kept for a member cannot be read", hint="restore the ledger from backup"
        )
    return found


def records_of(who: str, kept: Kept) -> list[Record]:
    """Return what is kept for a member as records of content."""
    exchange = parse_exchange(kept.raw)
    texts = [(ASKED, Authorship.OWN, exchange.asked)] if exchange.asked else []
    texts += [
        (str(number), Authorship.GENERATED, text) for number, text in enumerate(exchange.written, 1)
    ]
    at = instant_of(kept.kept_us)
    return [
        Record(
            RECORD.format(kept_id=kept.kept_id, part=part), who, str(Category.PROMPT),
            str(Visibility.PLATFORM), str(authorship), context=CONTEXT, written_at=at, text=text,
        )
        for part, authorship, text in texts
    ]  # fmt: skip
