"""A second purpose of training: by affiliates alone, which are others outside; asked for first."""

from collections.abc import Mapping

from sayso.workspace import Workspace

AFFILIATES = "affiliates-training"
TITLE = "Training by affiliates alone"
LABEL = "Let affiliates train models of their own on my data"
PURPOSE = f"""title: {TITLE}
recipients: [Contoso]
sharing: true
wordings:
  - version: "2025-12"
    from: 2025-12-01
    label: {LABEL}
    text: Only what you publish for everybody, and only while this is on.
how_to_change: Settings, {TITLE}
source:
  recipients: assumption
  sharing: assumption
  wordings: assumption
  how_to_change: assumption
"""
RULE = f"""
  - purpose: {AFFILIATES}
    from: 2025-12-01
    mode: opt-in
    minimum_age: 18
    categories:
      article: [public]
    authorship: [own]
    others: ignore
    withdrawal: forget
    decided_by: platform
    controller: Contoso
    lawful_basis: consent
    source:
      from: assumption
      mode: assumption
      minimum_age: assumption
      categories: assumption
      authorship: assumption
      others: assumption
      withdrawal: assumption
      decided_by: assumption
      controller: assumption
      lawful_basis: assumption
"""
_FILE, _WORLD = f"purposes/{AFFILIATES}.yaml", "scopes/world.yaml"


def with_affiliates(files: Mapping[str, str]) -> dict[str, str]:
    """Return a rulebook with the second purpose and its rule for the world."""
    head, _, rules = files[_WORLD].partition("rules:\n")
    if RULE in files[_WORLD]:
        return dict(files)
    return {**files, _FILE: PURPOSE, _WORLD: f"{head}rules:{RULE}{rules}"}


def without_affiliates(files: Mapping[str, str]) -> dict[str, str]:
    """Return a rulebook without either."""
    kept = {name: text for name, text in files.items() if name != _FILE}
    return {**kept, _WORLD: files[_WORLD].replace(RULE, "\n")}


def without_words(files: Mapping[str, str]) -> dict[str, str]:
    """Return the same, but for the words beside the second setting."""
    begin = PURPOSE.index("wordings:")
    end = PURPOSE.index("how_to_change:")
    bare = (PURPOSE[:begin] + PURPOSE[end:]).replace("  wordings: assumption\n", "")
    return {**with_affiliates(files), _FILE: bare}


def add_affiliates(workspace: Workspace) -> None:
    """Publish the second purpose, and leave it among the drafts."""
    for name, text in with_affiliates(workspace.draft_files()).items():
        (workspace.path / "rulebook" / name).write_text(text, "utf-8")
    workspace.publish()
