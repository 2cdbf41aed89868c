from sayso.web.access import Role, Scope
from tests.unit.web.asking import Service

COMMENT = "# a remark\n"


def edited(files: dict[str, str]) -> dict[str, str]:
    name = next(name for name in files if name.startswith("scopes/"))
    return {**files, name: COMMENT + files[name]}


def test_a_rulebook_is_replaced_by_whoever_saw_it(either: Service) -> None:
    job = either.token(Scope.RULEBOOK_READ, Scope.RULEBOOK_WRITE)
    before = either.ask("GET", "/rulebook", job)
    files = edited(before.json()["files"])

    blind = either.ask("PUT", "/rulebook", job, json={"files": files})
    stale = either.ask("PUT", "/rulebook", job, json={"files": files}, more={"if-match": '"other"'})
    done = either.ask(
        "PUT", "/rulebook", job, json={"files": files}, more={"if-match": before.headers["etag"]}
    )
    after = either.ask("GET", "/rulebook", job)

    assert (blind.status_code, stale.status_code, done.status_code) == (428, 412, 200)
    assert after.headers["etag"] == done.headers["etag"] != before.headers["etag"]
    assert after.json()["files"] == files
    assert either.desk.workspace.draft_files() == files


def test_a_rulebook_that_is_known_is_not_sent_again(service: Service) -> None:
    officer = service.person(Role.OFFICER)
    tag = service.ask("GET", "/rulebook", officer).headers["etag"]

    again = service.ask("GET", "/rulebook", officer, more={"if-none-match": tag})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag


def test_the_same_rulebook_twice_changes_nothing(service: Service) -> None:
    job = service.token(Scope.RULEBOOK_READ, Scope.RULEBOOK_WRITE)
    before = service.ask("GET", "/rulebook", job)
    size = service.desk.workspace.ledger.size()

    done = service.ask(
        "PUT", "/rulebook", job, json={"files": before.json()["files"]},
        more={"if-match": before.headers["etag"]},
    ).json()  # fmt: skip

    assert done["unchanged"] is True
    assert service.desk.workspace.ledger.size() == size


def test_every_fault_is_told_at_once(service: Service) -> None:
    job = service.token(Scope.RULEBOOK_READ, Scope.RULEBOOK_WRITE)
    before = service.ask("GET", "/rulebook", job)
    files = {**before.json()["files"], "../evil.yaml": "x: 1", "scopes/HK.yaml": "rules: 7"}

    answer = service.ask(
        "PUT", "/rulebook", job, json={"files": files}, more={"if-match": before.headers["etag"]}
    )

    assert answer.status_code == 400
    assert answer.json()["type"].endswith("/rulebook-faults")
    assert {"../evil.yaml", "scopes/HK.yaml"} <= {one["file"] for one in answer.json()["faults"]}


def test_no_hold_ends_with_a_rulebook(service: Service) -> None:
    """Two people lift a hold; one who may publish is not both of them."""
    service.desk.workspace.draft_files()
    job = service.token(Scope.RULEBOOK_READ, Scope.RULEBOOK_WRITE, Scope.HOLDS_WRITE)
    placed = {"scope": "US", "from": "2026-01-01", "placed_by": "the platform"}
    name = service.ask("POST", "/holds", job, json=placed).json()["hold_id"]
    now = service.ask("GET", "/rulebook", job)
    files, tag = now.json()["files"], {"if-match": now.headers["etag"]}
    text = files["scopes/US.yaml"]
    assert name in text

    lifted = text.replace("from: 2026-01-01", "from: 2026-01-01\n    lifted: 2026-01-02")
    moved = text.replace("from: 2026-01-01", "from: 2027-01-01")
    for changed in (lifted, moved):
        assert changed != text
        answer = service.ask(
            "PUT", "/rulebook", job, json={"files": {**files, "scopes/US.yaml": changed}}, more=tag
        )
        assert answer.status_code in {400, 403}
    assert service.ask("GET", "/rulebook", job).headers["etag"] == now.headers["etag"]


def test_no_hold_ends_with_a_group(service: Service) -> None:
    job = service.token(Scope.RULEBOOK_READ, Scope.RULEBOOK_WRITE, Scope.HOLDS_WRITE)
    placed = {"scope": "EEA", "from": "2026-01-01", "placed_by": "the platform"}
    name = service.ask("POST", "/holds", job, json=placed).json()["hold_id"]
    now = service.ask("GET", "/rulebook", job)
    files, member = now.json()["files"], "{country: DE, from: 1994-01-01"
    text = files["groups/EEA.yaml"].replace(member, f"{member}, until: 2026-01-02")
    assert text != files["groups/EEA.yaml"]

    answer = service.ask(
        "PUT", "/rulebook", job, json={"files": {**files, "groups/EEA.yaml": text}},
        more={"if-match": now.headers["etag"]},
    )  # fmt: skip

    assert answer.status_code == 403
    assert f"hold '{name}' would no longer hold DE" in answer.json()["title"]


def test_what_differs_is_told_by_entries(service: Service) -> None:
    job = service.token(Scope.RULEBOOK_READ, Scope.HOLDS_WRITE)
    placed = {"scope": "US", "from": "2026-01-01", "placed_by": "the platform"}
    service.ask("POST", "/holds", job, json=placed)

    found = service.ask("GET", "/rulebook/diff?first=0", job).json()
    none = service.ask("GET", "/rulebook/diff?first=1", job)
    folder = service.ask("GET", "/rulebook/diff?first=/", job)

    assert found["first"] != found["second"]
    assert any("ON_HOLD" in cell["gained"] for cell in found["cells"])
    assert (none.status_code, folder.status_code) == (400, 422)
