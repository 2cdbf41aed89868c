"""Every link of every page leads to a page: from the first one on, as a member and as anybody."""

import re
from html import unescape
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest
from starlette.testclient import TestClient

from tests.unit.web.house import ADDRESS, House

# Leaves for the provider of identities, which is not there.
ELSEWHERE = "/sign-in"


def crawl(browser: TestClient, *starts: str) -> dict[str, int]:
    """Return the status of every address of ours that is found from some pages on."""
    found: dict[str, int] = {}
    waiting = list(starts)
    while waiting:
        path = waiting.pop()
        if path in found or path.startswith(ELSEWHERE):
            continue
        answer = browser.get(path)
        found[path] = answer.status_code
        if "text/html" not in answer.headers.get("content-type", ""):
            continue
        for link in re.findall(r'(?:href|src)="([^"]*)"', answer.text):
            address = urlsplit(urldefrag(urljoin(ADDRESS + path, unescape(link))).url)
            if f"{address.scheme}://{address.netloc}" == ADDRESS and "lang=" not in address.query:
                waiting.append(address.path + (f"?{address.query}" if address.query else ""))
    return found


@pytest.mark.parametrize("who", ["nobody", "wing"])
def test_every_link_leads_somewhere(house: House, who: str) -> None:
    house.workspace.integrate()
    browser = house.visitor() if who == "nobody" else house.member(who).client
    starts = ["/"]
    if who != "nobody":
        starts.append(house.member(who).post("/settings/ai-training", choice="off"))

    found = crawl(browser, *starts)

    # Whoever is not signed in is sent to where they can, and nowhere else.
    fine = {200, 303} if who == "nobody" else {200}
    assert {path: status for path, status in found.items() if status not in fine} == {}
    assert len(found) > 25
