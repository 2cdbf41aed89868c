"""axe-core on a page, with the tags of WCAG 2.2 AA named: by default it skips `target-size`."""

from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

SCRIPT = Path(__file__).parent / "axe" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# axe takes the colour of text from `-webkit-text-fill-color`, for which Chromium gives the colour
# that forced colours replaced. No style of ours sets it, so that it is the colour.
_SEE_FORCED = """() => {
    const told = CSSStyleDeclaration.prototype.getPropertyValue;
    CSSStyleDeclaration.prototype.getPropertyValue = function (name) {
        return told.call(this, name === '-webkit-text-fill-color' ? 'color' : name);
    };
}"""
_RUN = """async tags => {
    const found = await axe.run(document, {
        runOnly: {type: 'tag', values: tags}, resultTypes: ['violations'],
    });
    return {
        version: found.testEngine.version,
        violations: found.violations.map(one => [
            one.id, one.nodes.map(node => `${node.target.join(' ')}: ${node.failureSummary}`),
        ]),
    };
}"""


@cache
def _script() -> str:
    return SCRIPT.read_text("utf-8")


def violations(page: Page) -> dict[str, list[str]]:
    """Return what axe finds: rule -> where, and what is wrong there; nothing when all is well."""
    if not page.evaluate("typeof axe === 'object'"):
        # Not a script of the page's: its policy, which allows none, does not ask about these.
        page.evaluate(_script())
        page.evaluate(_SEE_FORCED)
    found: dict[str, Any] = page.evaluate(_RUN, TAGS)
    assert found["version"] == "4.14.1"
    return dict(found["violations"])
