"""Rendering: a typed context becomes a page.

Promises: whatever stands in a context is escaped; a name that a template asks for and the
context lacks is an error; every page says its language, offers the others, and knows who is
signed in. Decides nothing.

Example:
    >>> return render(request, "accessibility.html", Accessibility(...))    # doctest: +SKIP
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from babel.dates import format_date
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from sayso.model import Country, Dated, Exactness
from sayso.rulebook.civil import COUNTRY_NAMES
from sayso.web.access import Role
from sayso.web.languages import COOKIE, ENGLISH, LANGUAGES, language_of, translations
from sayso.web.local import local_path
from sayso.web.request import caller_of, desk_of, session_of

YEAR_SECONDS = 365 * 86_400
# Dates are written day first; places are called what they are called in Hong Kong.
_LOCALES = {"en": "en_GB", "zh_Hant": "zh_Hant_HK"}
# What CLDR has as its short names for these, which Babel leaves out. Source: CLDR 48, zh-Hant.
_SHORT_NAMES = {"zh_Hant": {"HK": "香港", "MO": "澳門", "PS": "巴勒斯坦"}}


@dataclass(frozen=True)
class Page:
    """What every page's context is: a title, and where the page stands.

    Attributes:
        title: Of the page, in English; translated where it is shown.
    """

    title: str
    # Path -> title of the pages above, outermost first.
    above: ClassVar[Mapping[str, str]] = {}

    @property
    def named_above(self) -> tuple[tuple[str, str], ...]:
        """Return path and name of pages below those that the rulebook may have named."""
        return ()


@dataclass(frozen=True, slots=True)
class Frame:
    """What the frame around a page needs.

    Attributes:
        language: Of the page.
        languages: Every language, with its name in itself and the address of this page in it.
        path: Of the page.
        csrf: The token of forms; empty where nobody is signed in.
        form_id: What the forms of this page are called, which is another at every showing.
        is_signed_in: Whether anybody is.
        is_member: Whether they are a member.
        is_staff: Whether they may record an off for a member.
        is_officer: Whether they may read why members object.
        is_demonstration: Whether everybody here is invented.
    """

    language: str
    languages: tuple[tuple[str, str, str], ...]
    path: str
    csrf: str
    form_id: str
    is_signed_in: bool
    is_member: bool
    is_staff: bool
    is_officer: bool
    is_demonstration: bool


def frame_of(request: Request) -> Frame:
    """Return the frame of the page that a request asks for."""
    caller = caller_of(request)
    desk = desk_of(request)
    # Whoever links to `//host` here must not find a link to that host on our page.
    path = local_path(quote(request.url.path, safe="/%"))

    def also_in(tag: str) -> str:
        query = [(k, v) for k, v in request.query_params.multi_items() if k != "lang"]
        return f"{path}?{urlencode([*query, ('lang', tag)])}"

    return Frame(
        language=language_of(request),
        languages=tuple((tag, name, also_in(tag)) for tag, name in LANGUAGES.items()),
        path=path,
        csrf=session_of(request).csrf,
        form_id=secrets.token_hex(8),
        is_signed_in=caller.is_known,
        is_member=Role.MEMBER in caller.roles,
        is_staff=bool(caller.roles & {Role.OFFICER, Role.ADMIN}),
        is_officer=Role.OFFICER in caller.roles,
        is_demonstration=desk.is_demonstration,
    )


def render(request: Request, template: str, page: Page, status: int = 200) -> Response:
    """Return a page as an answer."""
    language = language_of(request)
    found = environment(language).get_template(template)
    values = {one.name: getattr(page, one.name) for one in fields(page)}
    body = found.render(page=page, frame=frame_of(request), **values)
    answer = HTMLResponse(body, status, headers={"content-language": language})
    if request.query_params.get("lang") in LANGUAGES:
        answer.set_cookie(
            COOKIE, language, max_age=YEAR_SECONDS, path="/", secure=True, httponly=True,
            samesite="lax",
        )  # fmt: skip
    return answer


@lru_cache
def environment(language: str) -> Environment:
    """Return the templates, in a language."""
    made = Environment(
        loader=PackageLoader("sayso.web"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.i18n"],
    )  # fmt: skip
    extension: Any = made
    extension.install_gettext_translations(translations(language), newstyle=True)
    locale = language.replace("-", "_")
    made.filters["instant"] = lambda at: written_instant(at, locale)
    made.filters["dated"] = lambda bound: written_bound(bound, locale)
    made.filters["country"] = written_country(locale)
    return made


def written_instant(at: datetime, locale: str) -> str:
    """Return an instant as a person reads it, in UTC."""
    day = format_date(at.date(), "long", locale=_LOCALES.get(locale, locale))
    told = translations(locale.replace("_", "-")).gettext("%(day)s, %(time)s UTC")
    return told % {"day": day, "time": f"{at:%H:%M:%S}"}


def written_bound(bound: Dated | None, locale: str) -> str:
    """Return the bound of a rule or hold as a person reads it; empty for none."""
    if bound is None:
        return ""
    if isinstance(bound.value, datetime):
        told = written_instant(bound.value, locale)
    else:
        told = format_date(bound.value, "long", locale=_LOCALES.get(locale, locale))
    texts = translations(locale.replace("_", "-"))
    if bound.exactness is Exactness.BY:
        return texts.gettext("by %(day)s, perhaps earlier") % {"day": told}
    if bound.exactness is Exactness.UNKNOWN:
        return texts.gettext("about %(day)s, not known exactly") % {"day": told}
    return told


def written_country(locale: str) -> Any:
    """Return what names a country or group in a language."""
    from babel import Locale  # noqa: PLC0415  reads its data, which takes a while

    names = {
        **Locale.parse(_LOCALES.get(locale, locale)).territories,
        **_SHORT_NAMES.get(locale, {}),
    }

    def name(code: str | None) -> str:
        if code is None:
            return translations(locale.replace("_", "-")).gettext("an unknown country")
        own = COUNTRY_NAMES.get(Country(code), code)
        return own if locale == ENGLISH else str(names.get(code) or own)

    return name
