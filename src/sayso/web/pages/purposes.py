"""Settings of a platform: one for each purpose of training, and where each has its pages.

Promises: a purpose that the published rulebook does not declare has no page, and nothing is
recorded for it; a setting is called alike on every page. The setting of the default purpose has
a name of ours, which is translated; what the rulebook calls another goes through no `gettext`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

from starlette.requests import Request

from sayso.model import DEFAULT_PURPOSE, EVERY_PURPOSE, Purpose, Rulebook
from sayso.web.languages import language_of, translations
from sayso.web.problems import NotFoundError
from sayso.web.rendering import Page
from sayso.web.request import desk_of

PATH = "/settings/ai-training"
# Below a word of its own, so that no purpose is called like a page.
FOR = PATH + "/for/{purpose}"
NAME = "Data for Generative AI Improvement"


@dataclass(frozen=True, slots=True)
class NamedSetting:
    """The setting of one purpose.

    Attributes:
        purpose: Whose.
        called: What it is called on every page, as it is shown.
        path: Of its page; its other pages stand below.
    """

    purpose: Purpose
    called: str
    path: str


@dataclass(frozen=True)
class PageOfSetting(Page):
    """A page below the setting of one purpose.

    Attributes:
        setting: Whose page it is.
        elsewhere: The other settings, which have the same page.
    """

    above: ClassVar[Mapping[str, str]] = {"/settings": "Settings"}
    setting: NamedSetting
    elsewhere: tuple[NamedSetting, ...]

    @property
    def named_above(self) -> tuple[tuple[str, str], ...]:
        """Return the setting itself."""
        return ((self.setting.path, self.setting.called),)


def path_of(purpose: str) -> str:
    """Return where the setting of a purpose stands."""
    return PATH if purpose == DEFAULT_PURPOSE else FOR.format(purpose=quote(purpose, safe=""))


def called(book: Rulebook, purpose: str, gettext: Callable[[str], str]) -> str:
    """Return what the setting of a purpose is called, also of one that is declared no more."""
    if purpose == EVERY_PURPOSE:
        return gettext("Every training, present and future")
    if purpose == DEFAULT_PURPOSE:
        return gettext(NAME)
    return book.purposes[purpose].title if purpose in book.purposes else purpose


def settings_in(book: Rulebook, language: str) -> tuple[NamedSetting, ...]:
    """Return the settings of a rulebook, that of the default purpose first."""
    gettext = translations(language).gettext
    names = sorted(book.trainings, key=lambda name: name != DEFAULT_PURPOSE)
    return tuple(
        NamedSetting(book.purposes[name], called(book, name, gettext), path_of(name))
        for name in names
    )


def settings_of(request: Request) -> tuple[NamedSetting, ...]:
    """Return the settings of the rulebook that is published now."""
    return settings_in(desk_of(request).workspace.rules().book, language_of(request))


def setting_asked(request: Request) -> tuple[NamedSetting, tuple[NamedSetting, ...]]:
    """Return the setting that a request's path names, and the others.

    Raises:
        NotFoundError: The published rulebook declares no such purpose of training.
    """
    name = request.path_params.get("purpose", DEFAULT_PURPOSE)
    found = settings_of(request)
    asked = next((one for one in found if one.purpose.name == name), None)
    if asked is None:
        raise NotFoundError("there is no such setting", hint="see /settings")
    return asked, tuple(one for one in found if one is not asked)
