"""Making and opening a workspace.

Promises: an interrupted `init_workspace` leaves no workspace; opening finishes an erasure that
was interrupted. The keys that sign are made here, once, from the system's randomness.
"""

import json
import os
from pathlib import Path

import sqlalchemy as sa

from sayso.attest.trust import load_trust, make_trust, origin_of
from sayso.decision.states import microseconds
from sayso.erasure import resume
from sayso.errors import ConflictError, InputError
from sayso.ledger.store import open_ledger
from sayso.publishing import TEMPLATES, template_files, write_rulebook
from sayso.rulebook.parse import load_files
from sayso.settings import CONFIG_NAME, load_settings, settings_text
from sayso.snapshot.request import Progress
from sayso.workspace import Clock, Workspace

FOLDERS = ("rulebook", "segments", "tables", "log", "keys")


def init_workspace(
    path: Path, clock: Clock, *, template: str | None = None, url: str = "sqlite:///ledger.db"
) -> Workspace:
    """Make a workspace and publish its rulebook.

    Raises:
        ConflictError: There is one.
        InputError: There is no such template.
    """
    if template is not None and template not in TEMPLATES:
        raise InputError(f"unknown template '{template}'", hint=f"use {', '.join(TEMPLATES)}")
    if (path / CONFIG_NAME).exists():
        raise ConflictError(f"'{path}' is a workspace already", hint="choose another folder")
    files = template_files(template or "empty")
    if (path / "rulebook").is_dir() and not load_files(path / "rulebook").items() <= files.items():
        raise ConflictError(f"'{path}' holds another rulebook", hint="choose another folder")
    for name in FOLDERS:
        (path / name).mkdir(parents=True, exist_ok=True)
    (path / "keys").chmod(0o700)
    write_rulebook(path / "rulebook", files)
    origin = origin_of(path.resolve().name)
    make_trust(path, origin, os.urandom)
    config = path / ".sayso.toml.tmp"
    # A JSON string is a TOML string.
    config.write_text(settings_text(json.dumps(url), json.dumps(origin)), encoding="utf-8")
    ledger = open_ledger(_url(url, path), path)
    workspace = Workspace(path, ledger, clock, load_trust(path, origin))
    if ledger.latest("rulebook", ledger.size()) is None:
        workspace.publish(files)
    config.rename(path / CONFIG_NAME)  # last: an interrupted init is no workspace
    return workspace


def open_workspace(
    path: Path, clock: Clock, progress: Progress = lambda _stage, _rows: None
) -> Workspace:
    """Open a workspace, and finish an erasure that was interrupted.

    Raises:
        InputError: There is none, or `sayso.toml` cannot be read.
        UnavailableError: Its database did not answer.
    """
    settings = load_settings(path)
    ledger = open_ledger(_url(settings.database_url, path), path)
    try:
        trust = load_trust(path, settings.log_origin)
        resume(ledger, microseconds(clock()), progress)
    except BaseException:
        ledger.close()
        raise
    return Workspace(path, ledger, clock, trust, settings.retention, progress)


def _url(url: str, path: Path) -> str:
    """Return the URL with a relative SQLite file made relative to the workspace."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        return url
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        return f"sqlite:///{(path / parsed.database).resolve()}"
    return url
