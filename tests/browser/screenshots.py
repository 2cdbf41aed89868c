"""Takes the pictures of `docs/pages.md`: `python -m tests.browser.screenshots [FOLDER]`.

Everybody in them is invented. Whoever takes them looks at each before it is committed.
"""

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import LANGUAGES
from tests.browser.pages import ALL, Place, go
from tests.browser.serving import ROOT, Service, open_browser, running

FOLDER = ROOT / "docs" / "screenshots"
DESK = {"width": 900, "height": 540}
HAND = {"width": 390, "height": 780}


@dataclass(frozen=True)
class Picture:
    """A picture of a place.

    Attributes:
        name: Of the file.
        place: Of the list of pages.
        size: Of the window; the picture is as long as the page, up to twice as long.
        options: Of the browser.
    """

    name: str
    place: str
    size: Mapping[str, int] = field(default_factory=lambda: DESK)
    language: str = "en"
    options: Mapping[str, Any] = field(default_factory=dict)


PICTURES = (
    Picture("setting", "setting by default"),
    Picture("hold", "setting held"),
    Picture("receipt", "receipt"),
    Picture("records", "records"),
    Picture("assistant", "assistant"),
    Picture("transparency", "/transparency"),
    Picture("timeline", "/transparency/timeline", {"width": 900, "height": 450}),
    Picture("setting-dark", "setting answered", options={"color_scheme": "dark"}),
    Picture("setting-zh-Hant", "setting by default", HAND, "zh-Hant"),
)


def take(browser: Browser, service: Service, picture: Picture, place: Place, folder: Path) -> Path:
    """Take one picture; return where it stands."""
    context = browser.new_context(
        base_url=service.address, locale=LANGUAGES[picture.language],
        viewport=picture.size,  # type: ignore[arg-type]
        **picture.options,
    )  # fmt: skip
    try:
        if place.who:
            service.sign_in(context, place.who)
        page = go(context.new_page(), place)
        height = int(page.evaluate("document.scrollingElement.scrollHeight"))
        clip = {"x": 0, "y": 0, "width": picture.size["width"], "height": 0}
        clip["height"] = min(height, 2 * picture.size["height"])
        path = folder / f"{picture.name}.png"
        page.screenshot(path=path, full_page=True, clip=clip)  # type: ignore[arg-type]
        return path
    finally:
        context.close()


def main(folder: Path) -> None:
    """Take every picture whose page is there."""
    folder.mkdir(parents=True, exist_ok=True)
    places = {place.name: place for place in ALL}
    with (
        tempfile.TemporaryDirectory() as work,
        running(Path(work)) as service,
        sync_playwright() as playwright,
    ):
        browser = open_browser(playwright)
        for picture in PICTURES:
            if picture.place in places:
                path = take(browser, service, picture, places[picture.place], folder)
                sys.stdout.write(f"{path.name}: {path.stat().st_size} bytes\n")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
