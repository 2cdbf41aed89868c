"""Making and opening a workspace.

Promises: an interrupted `init_workspace` leaves no workspace; opening finishes an erasure that
was interrupted, and deletes what requests brought whose process is gone. The keys that sign are
made here, once, from the system's randomness. What is opened has a trace too, which stands on
rooms that stand on the workspace.

Example:
    >>> sayso.open("ws").trace(hold="hk-2024-10-11").windows[0].days     # doctest: +SKIP
    23.0
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

import sqlalchemy as sa

from sayso.attest.trust import load_trust, make_trust, origin_of
from sayso.decision.states import microseconds
from sayso.erasure import resume
from sayso.errors import ConflictError, InputError
from sayso.ledger.spool import sweep_spool
from sayso.ledger.store import open_ledger
from sayso.model import DEFAULT_PURPOSE
from sayso.publishing import TEMPLATES, template_files, write_rulebook
from sayso.rulebook.parse import load_files
from sayso.settings import CONFIG_NAME, load_settings, settings_text
from sayso.snapshot.request import Progress
from sayso.workspace import Clock, Workspace, member_id

if TYPE_CHECKING:
    from sayso.evidence.trace import HoldTrace
    from sayso.evidence.trace_member import MemberTrace
    from sayso.evidence.trace_rule import RuleTrace

FOLDERS = ("rulebook", "segments", "tables", "log", "keys")


class OpenedWorkspace(Workspace):
    """A workspace as `sayso.open` gives it: with the trace."""

    @overload
    def trace(self, *, hold: str, snapshots: Sequence[Path] = ()) -> "HoldTrace": ...

    @overload
    def trace(
        self, *, rule: str, begins: str | None = None, purpose: str = DEFAULT_PURPOSE,
        snapshots: Sequence[Path] = (),
    ) -> "RuleTrace": ...  # fmt: skip

    @overload
    def trace(self, *, member: str | int, snapshots: Sequence[Path] = ()) -> "MemberTrace": ...

    def trace(
        self,
        *,
        hold: str | None = None,
        rule: str | None = None,
        member: str | int | None = None,
        begins: str | None = None,
        purpose: str = DEFAULT_PURPOSE,
        snapshots: Sequence[Path] = (),
    ) -> "HoldTrace | RuleTrace | MemberTrace":
        """Return every snapshot, shard, adapter and release that one of the three touches.

        Args:
            hold: The id of a hold.
            rule: The scope of a rule, for `purpose`; with several of them, the one that
                `begins` on a date as the rulebook writes it, or `always`.
            member: The id of a member.
            begins: See `rule`.
            purpose: See `rule`.
            snapshots: Folders that the workspace does not know, such as copies.

        Raises:
            InputError: Not one of the three was named, or it is not there.
            IntegrityError: A snapshot is not the one that was signed.
        """
        # Not before a trace is asked for: the rooms of evidence take their time to load.
        from sayso.evidence.tracing import Tracer  # noqa: PLC0415

        tracer = Tracer(self.ledger, self.trust, snapshots)
        match hold, rule, member:
            case str(), None, None:
                return tracer.hold(hold)
            case None, str(), None:
                return tracer.rule(rule, begins=begins, purpose=purpose)
            case None, None, who if who is not None:
                return tracer.member(member_id(who))
        raise InputError("a trace follows one thing", hint="name a hold, a rule or a member")


def init_workspace(
    path: Path, clock: Clock, *, template: str | None = None, url: str = "sqlite:///ledger.db"
) -> OpenedWorkspace:
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
    workspace = OpenedWorkspace(path, ledger, clock, load_trust(path, origin))
    if ledger.latest("rulebook", ledger.size()) is None:
        workspace.publish(files)
    config.rename(path / CONFIG_NAME)  # last: an interrupted init is no workspace
    return workspace


def open_workspace(
    path: Path, clock: Clock, progress: Progress = lambda _stage, _rows: None
) -> OpenedWorkspace:
    """Open a workspace, finish an erasure that was interrupted, and delete what the dead left.

    Raises:
        InputError: There is none, or `sayso.toml` cannot be read.
        UnavailableError: Its database did not answer.
    """
    settings = load_settings(path)
    ledger = open_ledger(_url(settings.database_url, path), path)
    try:
        trust = load_trust(path, settings.log_origin)
        sweep_spool(path)
        resume(ledger, microseconds(clock()), progress)
    except BaseException:
        ledger.close()
        raise
    return OpenedWorkspace(path, ledger, clock, trust, settings.retention, progress)


def _url(url: str, path: Path) -> str:
    """Return the URL with a relative SQLite file made relative to the workspace."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        return url
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        return f"sqlite:///{(path / parsed.database).resolve()}"
    return url
