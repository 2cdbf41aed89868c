"""Terms of rules, holds and wordings as a reader understands them, and compared.

Promises: a code of ours becomes words in the page's language, a day is written out; what the
rulebook says in its own words is left as it is, and compared word by word. A value of one word,
a number or a day is compared as a whole.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime

from sayso.model import Category, Dated, Exactness, Mode, Others, Visibility, Withdrawal
from sayso.transparency import Piece, compare_words
from sayso.web.languages import translations
from sayso.web.pages import law as laws
from sayso.web.pages import public_words
from sayso.web.rendering import written_bound

_DATED = re.compile(r"(\d{4}-\d\d-\d\d)(T\S+)?(?: \((by|unknown)\))?")
# These are the rulebook's own words, in which a word may change.
_TEXTS = frozenset(
    {
        "label", "text", "condition", "title", "how_to_change", "retention", "contact",
        "recipients", "members", "assessments", "excluded_contexts", "categories", "authorship",
    }
)  # fmt: skip
_OTHERS: Mapping[Others, str] = {
    Others.IGNORE: "used all the same",
    Others.REFUSE: "not used",
}
_AUTHORSHIPS: Mapping[str, str] = {
    "own": "the member's own",
    "edited": "edited by others",
    "shared": "shared from others",
    "quoted": "quoted from others",
    "generated": "written by a machine",
}


class Terms:
    """What terms say, in a language."""

    def __init__(self, language: str) -> None:
        self._locale = language.replace("-", "_")
        self._gettext = translations(language).gettext
        self._telling: Mapping[str, Callable[[str], str]] = {
            "mode": lambda text: self._gettext(laws.MODES[Mode(text)]),
            "withdrawal": lambda text: self._gettext(public_words.UNDOES[Withdrawal(text)]),
            "others": lambda text: self._gettext(_OTHERS[Others(text)]),
            "decided_by": self._decided,
            "sharing": lambda text: self._gettext("Yes" if text == "true" else "No"),
            "categories": self._categories,
            "authorship": self._authorship,
            "position": self._position,
            "notice": self._notice,
            **dict.fromkeys(("begins", "until", "lifted", "earliest_written"), self._day),
        }

    def compare(self, aspect: str, before: str, after: str) -> tuple[Piece, ...]:
        """Return what an aspect said and says, as one."""
        old, new = self.tell(aspect, before), self.tell(aspect, after)
        if aspect in _TEXTS:
            return compare_words(old, new)
        found = (Piece("del", old), Piece("ins", new)) if old != new else (Piece("same", new),)
        return tuple(piece for piece in found if piece.text)

    def tell(self, aspect: str, text: str) -> str:
        """Return what an aspect says; empty for nothing."""
        telling = self._telling.get(aspect)
        return telling(text) if telling and text else text

    def _decided(self, text: str) -> str:
        words = public_words.DECIDED.get(text)
        return self._gettext(words) if words else text

    def _position(self, text: str) -> str:
        found = {str(one): words for one, words in public_words.POSITIONS.items()}.get(text)
        return self._gettext(found) if found else text

    def _authorship(self, text: str) -> str:
        return ", ".join(self._gettext(_AUTHORSHIPS[one]) for one in text.split(", "))

    def _categories(self, text: str) -> str:
        lines = []
        for part in text.split("; "):
            category, _, seen = part.partition(": ")
            kinds = [self._gettext(laws.VISIBILITIES[Visibility(one)]) for one in seen.split(", ")]
            lines.append(
                f"{self._gettext(laws.CATEGORIES[Category(category)])}: {', '.join(kinds)}"
            )
        return "; ".join(lines)

    def _notice(self, text: str) -> str:
        days, _, since = text.partition(", ")
        told = self._gettext("%(days)s days before") % {"days": days}
        if not since:
            return told
        counted = self._gettext("notices count since %(day)s") % {"day": self._day(since)}
        return f"{told}; {counted}"

    def _day(self, text: str) -> str:
        found = _DATED.fullmatch(text)
        if found is None:
            return text
        day, clock, exactness = found.groups()
        value = datetime.fromisoformat(day + clock) if clock else date.fromisoformat(day)
        return written_bound(Dated(value, Exactness(exactness or "exact")), self._locale)
