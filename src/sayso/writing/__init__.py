"""The writing assistant: a biography or a post for a member who asks for one.

Promises: works alike whatever the member chose about training; tells who gets their words
before they leave; keeps what was asked and written until the member deletes it, as records
that training treats like any other; serves no adapter that may not be served (law 13).
Imports without PyTorch and without an HTTP client; what needs them says what to install.

Example:
    >>> asked = ask_post(workspace, "7", "a quiet week")               # doctest: +SKIP
    >>> pieces = stream(workspace, provider, asked, Sampling(seed=1),
    ...                 alternatives=1, kept_id="c0ffee")              # doctest: +SKIP
"""

from sayso.model import ASSISTANCE
from sayso.writing.assistant import Asked, Piece, ask_bio, ask_post, stream
from sayso.writing.exchange import LABEL, Exchange, parse_exchange, records_of
from sayso.writing.permission import need_assistance, need_recipient
from sayso.writing.provider import Provider, Recipient, Sampling
from sayso.writing.remote import Endpoint, Remote
from sayso.writing.serving import ServedRelease, watching

__all__ = [
    "ASSISTANCE",
    "LABEL",
    "Asked",
    "Endpoint",
    "Exchange",
    "Piece",
    "Provider",
    "Recipient",
    "Remote",
    "Sampling",
    "ServedRelease",
    "ask_bio",
    "ask_post",
    "need_assistance",
    "need_recipient",
    "parse_exchange",
    "records_of",
    "stream",
    "watching",
]
