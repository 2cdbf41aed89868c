"""Who gives text: one small protocol, behind which the release and any endpoint stand.

Promises: names that everybody in this room shares. Does not write.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from sayso.writing.prompt import Prompt


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who gets what a prompt says.

    Attributes:
        name: As the rulebook's purpose lists it.
        url: Where it goes.
    """

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a text is drawn; the same numbers give the same text from the same weights.

    Attributes:
        tokens: At most so many are written.
        temperature: How even the draw is; 0 takes the likeliest each time.
        top_p: Only the likeliest, up to this share, are drawn from; above 0, up to 1.
    """

    seed: int
    tokens: int = 200
    temperature: float = 0.8
    top_p: float = 0.95


class Provider(Protocol):
    """Gives a text for a prompt, piece by piece.

    Attributes:
        name: Of the model, as it stands beside what it wrote.
        recipient: Who gets the prompt; None where it does not leave the platform.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def recipient(self) -> Recipient | None: ...  # noqa: D102

    def cuts(self, prompt: Prompt, sampling: Sampling) -> bool:
        """Whether less than the prompt will be read."""
        ...

    def stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[str]:
        """Yield the pieces of one text; whoever stops taking them stops the writing.

        Raises:
            InputError: The request is one that this provider can never answer.
            RefusedError: A hold or another rule stands against what would write.
            UnavailableError: It does not answer. No error repeats the prompt.
        """
        ...
