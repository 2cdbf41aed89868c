"""Languages: which one a page is in, and its texts.

Promises: English is the language of the sources and always whole; another language is a
catalogue in `locales/`, read once; a text that a catalogue lacks is shown in English, and a
test finds it. The wording of a setting is no text of ours: it stands in the rulebook.
"""

import io
import re
from functools import lru_cache
from gettext import NullTranslations
from importlib.resources import files

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations
from starlette.requests import Request

COOKIE = "sayso-language"
ENGLISH = "en"
# Tag of BCP 47 -> its name in itself.
LANGUAGES = {ENGLISH: "English", "zh-Hant": "繁體中文"}
_WEIGHT = re.compile(r"(?:q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?")


@lru_cache
def translations(language: str) -> NullTranslations:
    """Return the texts of a language."""
    if language == ENGLISH:
        return NullTranslations()
    name = f"{language.replace('-', '_')}.po"
    with (files("sayso.web") / "locales" / name).open("rb") as file:
        catalogue = read_po(file, locale=language.replace("-", "_"))
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)


def language_of(request: Request) -> str:
    """Return the language of a page: as asked, as kept, as the browser prefers, English."""
    asked = request.query_params.get("lang", "")
    if asked in LANGUAGES:
        return asked
    kept = request.cookies.get(COOKIE, "")
    if kept in LANGUAGES:
        return kept
    return _preferred(request.headers.get("accept-language", ""))


def _preferred(header: str) -> str:
    """Return the first language of a browser's list that we have. Source: RFC 9110, 12.5.4."""
    wishes: list[tuple[float, int, str]] = []
    for place, part in enumerate(header[:500].split(",")):
        tag, _, more = part.partition(";")
        found = _WEIGHT.fullmatch(more.strip().lower())
        # Nought is no wish: it says what the reader does not want.
        if found and (weight := float(found[1] or 1)):
            wishes.append((-weight, place, tag.strip().lower()))
    for _, _, tag in sorted(wishes):
        if tag in {"zh-hant", "zh-hk", "zh-tw", "zh-mo"} or tag.startswith("zh-hant-"):
            return "zh-Hant"
        if tag == "*" or tag.partition("-")[0] == ENGLISH:
            return ENGLISH
    return ENGLISH
