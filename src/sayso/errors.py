"""Error families, named for who must act.

Promises: every failure that leaves a room of Sayso is one of these five, carries
its data as attributes and a message that says what to do. Does not choose exit
codes or HTTP statuses: those are tables at the edge (`cli`, `web`).

Example:
    >>> raise InputError("unknown country 'UK'", hint="write 'GB'")
    Traceback (most recent call last):
    sayso.errors.InputError: unknown country 'UK'; write 'GB'
"""


class SaysoError(Exception):
    """Something a caller must hear about.

    Args:
        message: Lower-case start, no full stop, quotes the user's input.
        hint: What to do instead, in the same grammar.
        data: Further attributes, kept as `data`.
    """

    def __init__(self, message: str, *, hint: str = "", **data: object) -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.message = message
        self.hint = hint
        self.data = data


class InputError(SaysoError):
    """The caller must change the input."""


class IntegrityError(SaysoError):
    """Bytes disagree with what was committed: stop and alarm, never retry."""


class ConflictError(SaysoError):
    """Somebody else was first, or the target exists: re-read, then retry."""


class RefusedError(SaysoError):
    """The rules say no."""


class UnavailableError(SaysoError):
    """Storage or an engine is down: retry later."""
