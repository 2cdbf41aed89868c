"""Checks: numbered, named, in words that a regulator reads; the first that fails ends them.

Promises: what is reported is what was done, in order; a check that could not be made says so
and never passes for one that held. Does not know what is checked.

Example:
    >>> report = Report()
    >>> report.make("root", lambda: "The leaves lead to the root.")
    >>> report.lines()
    ['1. The leaves lead to the root.']
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sayso.errors import InputError, IntegrityError, SaysoError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Outcome(StrEnum):
    """What became of a check."""

    HELD = "held"
    NOT_MADE = "not made"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        number: From 1 on.
        name: Its name, one word or two with a dash.
        words: What was found, in sentences.
    """

    number: int
    name: str
    words: str
    outcome: Outcome

    def line(self) -> str:
        """Return the check on one line."""
        told = {Outcome.HELD: "", Outcome.NOT_MADE: "Not checked: ", Outcome.FAILED: "FAILED: "}
        return f"{self.number}. {told[self.outcome]}{self.words}"


class NotMadeError(Exception):
    """A check that this machine or this evidence does not allow; the words say why."""


class FailedError(Exception):
    """A check failed, and the ones after it are not made."""


@dataclass
class Report:
    """The checks that were made so far.

    Attributes:
        error: What the failed check met; None where none failed.
        limits: What the checks cannot show, in sentences.
    """

    checks: list[Check] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    error: SaysoError | None = None

    @property
    def is_sound(self) -> bool:
        """Whether no check failed, and at least one was made."""
        return self.error is None and any(one.outcome is Outcome.HELD for one in self.checks)

    @property
    def verdict(self) -> str:
        """The verdict in two words at most."""
        return "sound" if self.is_sound else "not sound"

    def make(self, name: str, check: Callable[[], str]) -> None:
        """Make one check and keep what it says.

        Raises:
            FailedError: It failed.
            UnavailableError: A file cannot be read, and nothing is known about it.
        """
        number = len(self.checks) + 1
        try:
            self.checks.append(Check(number, name, check(), Outcome.HELD))
        except NotMadeError as why:
            self.checks.append(Check(number, name, str(why), Outcome.NOT_MADE))
        except (InputError, IntegrityError) as error:
            words = f"{name}: {error}."
            self.checks.append(Check(number, name, words, Outcome.FAILED))
            self.error = error
            raise FailedError(name) from error

    def lines(self) -> list[str]:
        """Return the checks as numbered lines."""
        return [one.line() for one in self.checks]

    def to_json(self) -> dict[str, object]:
        """Return everything as plain values."""
        return {
            "verdict": self.verdict,
            "checks": [
                {
                    "number": one.number, "name": one.name, "words": one.words,
                    "outcome": str(one.outcome),
                }
                for one in self.checks
            ],
            "limits": self.limits,
        }  # fmt: skip


# ---- words ------------------------------------------------------------------------------


def count(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: `1 file`, `1,200 files`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def instant_of(us: int) -> str:
    """Return microseconds since 1970 as an instant for people; a number where it is none."""
    try:
        return f"{_EPOCH + timedelta(microseconds=us):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:
        return f"{us} microseconds after 1970"


def short(digest: str) -> str:
    """Return a digest or a key id, cut for people."""
    return digest[:16]
