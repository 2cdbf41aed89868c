r"""Text preparation: what a model reads of one record.

Promises: a pure function of one record, with no counter, no table and no other record in
hand, so that taking a member away changes nobody else's text; e-mail addresses and phone
numbers are masked, each by the same words. Masking is a courtesy and not a proof: a name in
a sentence stays.

Example:
    >>> prepare("post", "Write to me: ann@example.org")
    'Write a post.\n\nWrite to me: [e-mail]'
"""

import re
from collections.abc import Mapping

# Rises when the same record may give another text; stands in every run's recipe.
TEXT_VERSION = 1

BIOGRAPHY = "Write a biography.\n\n{}"
# What is asked for, by category; any other category is a post.
TEMPLATES: Mapping[str, str] = {
    "profile": BIOGRAPHY,
    "resume": BIOGRAPHY,
    "post": "Write a post.\n\n{}",
    "article": "Write an article.\n\n{}",
    "comment": "Write a comment.\n\n{}",
}

_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(r"(?<![\w.])(?:\+|\(?0|\(?\d)[\d ()./-]{6,}\d(?!\w)")
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}")
# Source: ITU-T E.164 s6; fewer than seven digits are a year, a price or a door.
PHONE_DIGITS = range(7, 16)


def prepare(category: str | None, text: str | None) -> str:
    """Return what a model reads of one record; empty where it has no words."""
    words = mask_contacts(text or "").strip()
    return TEMPLATES.get(category or "", TEMPLATES["post"]).format(words) if words else ""


def mask_contacts(text: str) -> str:
    """Return text with e-mail addresses and phone numbers masked."""
    return _PHONE.sub(_masked, _EMAIL.sub("[e-mail]", text))


def _masked(found: re.Match[str]) -> str:
    digits = sum(sign.isdigit() for sign in found[0])
    if digits not in PHONE_DIGITS or _DATE.fullmatch(found[0].strip()):
        return found[0]
    return "[phone]"
