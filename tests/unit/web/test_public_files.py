"""Public files: they agree with the pages, are asked again by tag, and give nobody away."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sayso.attest.keys import parse_public_key
from sayso.evidence.suppress import FEW
from sayso.log import parse_checkpoint_text, parse_note, parse_policy
from sayso.log.keys import parse_verifier_key
from sayso.model import REASONS
from sayso.web.access import Caller, Role
from sayso.web.pages.public_reading import Shelf
from sayso.web.sessions import COOKIE
from tests.unit.evidence.packing import make_packed_town
from tests.unit.web.public_site import PAGES, TABLES, site, text_of


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("public")
    make_packed_town(folder)
    return folder / "ws"


@pytest.fixture(scope="module")
def client(place: Path) -> Iterator[TestClient]:
    with site(place) as found:
        yield found


def rows_of(client: TestClient, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = client.get(f"/transparency/{name}.json").json()
    return rows


@pytest.mark.parametrize("name", TABLES)
def test_csv_json_and_package_agree(client: TestClient, name: str) -> None:
    answer = client.get(f"/transparency/{name}.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    plain = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    told = rows_of(client, name)
    package = client.get("/transparency/datapackage.json").json()
    (resource,) = [one for one in package["resources"] if one["name"] == name]
    fields = {one["name"]: one["type"] for one in resource["schema"]["fields"]}

    assert resource["bytes"] == len(answer.content)
    assert len(plain) == len(told) > 0
    for row, one in zip(plain, told, strict=True):
        assert list(row) == list(one) == list(fields)
        for column, kind in fields.items():
            if kind == "integer" and row[column]:
                assert int(row[column]) == one[column]


def test_the_table_says_what_the_page_says(client: TestClient) -> None:
    """Ask the page about every country of the table that has a story, on the first day of it."""
    for row in rows_of(client, "jurisdictions"):
        if row["country"] not in {"HK", "GB", "CA", "DE", "CH", "US"} or row["begins"] is None:
            continue
        text = text_of(
            client.get(f"/transparency?country={row['country']}&at={row['begins']}").text
        )
        word = {"held": "Held", "on": "On unless switched off", "off": "Off"}[row["state"]]
        told = text[text.index("Show") : text.index("What comes next:")]
        assert f" {word} " in told
        if row["say_so"] and row["state"] == "held":
            assert row["asked_by"] in told


def test_no_count_can_be_computed(client: TestClient) -> None:
    rows = rows_of(client, "snapshots")
    reasons = {str(one) for one in REASONS}
    by_set: dict[int, dict[tuple[str, str], int | None]] = defaultdict(dict)
    for row in rows:
        by_set[row["snapshot"]][row["country"], row["outcome"]] = row["records"]
        if row["records"] is not None:
            assert row["records"] == 0 or row["records"] >= FEW
            assert row["suppressed"] is None
        else:
            assert row["suppressed"] in {"fewer than 10", "not shown"}
    assert len(by_set) == 2
    for cells in by_set.values():
        places = {place for place, _ in cells}
        used = {outcome for _, outcome in cells if outcome in reasons}
        sums = [((name, "in"), [(name, "admitted"), (name, "refused")]) for name in places]
        sums += [((name, "refused"), [(name, one) for one in used]) for name in places]
        sums += [
            (("all", one), [(name, one) for name in places - {"all"}])
            for one in ("in", "admitted", "refused", *used)
        ]
        for total, parts in sums:
            hidden = [part for part in parts if cells.get(part, 0) is None]
            if len(hidden) == 1 and cells.get(total, 0) is not None:
                rest = (cells.get(total, 0) or 0) - sum(cells.get(one, 0) or 0 for one in parts)
                assert not 0 < rest < FEW


def test_holds_give_no_more_away_than_snapshots(client: TestClient) -> None:
    for row in rows_of(client, "holds"):
        if row["records"] is not None:
            assert row["records"] == 0 or row["records"] >= FEW
    before = [row for row in rows_of(client, "holds") if row["relation"] == "before"]
    assert {row["hold"] for row in before} >= {"hk-2024-10-11"}


# ---- keys -------------------------------------------------------------------------------


def test_keys_policy_and_checkpoint(client: TestClient) -> None:
    trust = client.app.state.desk.workspace.trust  # type: ignore[attr-defined]
    pem = client.get("/transparency/keys/attest.pem").content
    assert parse_public_key(pem) == trust.key.public
    assert b"PRIVATE" not in pem

    key = parse_verifier_key(client.get("/transparency/keys/log.vkey").text.strip())
    assert key == trust.log.verifier()
    policy = parse_policy(client.get("/transparency/keys/policy").content)
    note = client.get("/transparency/checkpoint").content
    policy.check(note)
    assert parse_checkpoint_text(parse_note(note).text).origin == trust.log.name


@pytest.mark.parametrize(
    ("path", "name"),
    [("attest.pem", "attest.pem"), ("log.vkey", "log.vkey"), ("policy", "policy.txt")],
)
def test_keys_and_policy_are_saved_under_names(client: TestClient, path: str, name: str) -> None:
    answer = client.get(f"/transparency/keys/{path}")

    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'


def test_gpc(client: TestClient) -> None:
    answer = client.get("/.well-known/gpc.json")

    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["gpc"] is True
    date.fromisoformat(answer.json()["lastUpdate"])


@pytest.mark.parametrize("name", ["members.csv", "x.json", "..%2Fkeys.csv", "attest.pem"])
def test_there_is_no_other_file(client: TestClient, name: str) -> None:
    assert client.get(f"/transparency/{name}").status_code == 404


# ---- kept by others ---------------------------------------------------------------------

FILES = (
    *(f"/transparency/{name}.{kind}" for name in TABLES for kind in ("csv", "json")),
    "/transparency/datapackage.json", "/transparency/timeline.svg", "/transparency/checkpoint",
    "/transparency/keys/attest.pem", "/transparency/keys/policy", "/.well-known/gpc.json",
)  # fmt: skip


@pytest.mark.parametrize("path", [*PAGES[1:], *FILES])
def test_what_has_not_changed_is_not_sent_again(client: TestClient, path: str) -> None:
    first = client.get(path)
    assert first.headers["cache-control"] == "public, max-age=60"
    tag = first.headers["etag"]

    for asked in (tag, f"W/{tag}", f'"other", {tag}'):
        again = client.get(path, headers={"if-none-match": asked})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    assert client.get(path, headers={"if-none-match": '"other"'}).status_code == 200


def test_a_page_in_another_language_is_another(client: TestClient) -> None:
    answer = client.get("/transparency/switch-off", headers={"accept-language": "zh-HK"})

    assert "accept-language" in answer.headers["vary"]
    assert answer.headers["content-language"] == "zh-Hant"


def test_a_page_that_sets_a_cookie_is_kept_by_nobody(client: TestClient) -> None:
    answer = client.get("/methodology?lang=zh-Hant")

    assert "set-cookie" in answer.headers
    assert answer.headers["cache-control"] == "no-store"


def test_a_page_of_somebody_who_is_signed_in_is_kept_by_nobody(place: Path) -> None:
    with site(place) as found:
        desk = found.app.state.desk  # type: ignore[attr-defined]
        caller = Caller("Wing", "wing", frozenset({Role.MEMBER}))
        session = desk.sessions.begin(caller, desk.now_us())
        cookie = {"cookie": f"{COOKIE}={session.secret}"}
        answer = found.get("/transparency", headers=cookie)

        assert "Sign out" in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert "etag" not in answer.headers
        # What a member chose is nowhere on it, nor does it move anything.
        assert found.get("/transparency").status_code == 200


def test_a_choice_moves_nothing_and_a_hold_does(place: Path) -> None:
    with site(place) as found:
        workspace = found.app.state.desk.workspace  # type: ignore[attr-defined]
        shelf = Shelf()
        first = shelf.read(workspace)
        workspace.choose("m0002", "off")
        assert shelf.read(workspace) is first
        workspace.publish({**workspace.draft_files(), "scopes/HK.yaml": "# Said again.\n"
                           + workspace.draft_files()["scopes/HK.yaml"]})  # fmt: skip
        later = shelf.read(workspace)
        assert later is not first
        assert len(later.publications) == len(first.publications) + 1
