"""`sayso demo`: the whole story, from the first rule to a model that forgets."""

import shutil
from datetime import datetime
from pathlib import Path

import click

from sayso.cli.demo_training import tell_training
from sayso.cli.shared import FILE, Shared, emit, shared_options
from sayso.decision.many import Decisions
from sayso.decision.states import microseconds
from sayso.demo import BUILD_AT, MOMENTS, NOTICE_AT, OFF_AT, Generated, generate
from sayso.errors import ConflictError
from sayso.evidence.bundle import build_verifier
from sayso.evidence.case import Given
from sayso.evidence.pack_hold import pack_hold
from sayso.evidence.pack_member import pack_member
from sayso.evidence.packs import Source, pack_snapshot
from sayso.evidence.verify import verify_pack_bytes, verify_path
from sayso.model import DEFAULT_PURPOSE
from sayso.opening import init_workspace
from sayso.rulebook.timeline import timeline_svg
from sayso.snapshot import Built
from sayso.workspace import Workspace

BAR_CHARACTERS = 28
# Stands in a folder that a demo made, and that another demo may replace.
MARK = ".sayso-demo"
# Reasons printed at each step.
SHOWN_REASONS = 5


@click.command("demo")
@click.option("--out", type=FILE, default=Path("demo-out"), show_default=True)
@click.option("--members", "count", type=int, default=20_000, show_default=True)
@shared_options
def demo(shared: Shared, out: Path, count: int) -> None:
    """Tell the story of 2024-2025 on generated members, and leave everything to look at."""
    if out.exists() and any(out.iterdir()):
        if not (out / MARK).is_file():
            raise ConflictError(f"'{out}' holds something else", hint="choose another --out")
        shutil.rmtree(out)  # an earlier demo's, which says so
    out.mkdir(parents=True, exist_ok=True)
    (out / MARK).write_text("made by `sayso demo`, which may delete this folder\n")
    say = _Speaker(shared)
    say(f"1. {count:,} members in 12 countries are generated; none of them exists.")
    made = generate(out / "input", count)
    present = [MOMENTS[0].at]
    workspace = init_workspace(out / "ws", lambda: present[0], template="linkedin-2024")
    workspace.ingest("members", made.members)
    say("2. Day by day: how many records are admitted, and why the others are not.\n")
    steps = _replay(workspace, made, present, say)
    present[0] = BUILD_AT
    built, same = _build_twice(workspace, made, out, say)
    explained = workspace.explain(
        made.followed, made.followed_record, content=made.content, at=BUILD_AT
    )
    say("4. The member in Hong Kong who said off during the pause asks why:\n")
    say(explained.to_text() + "\n")
    book = workspace.rules().book
    picture = timeline_svg(book, DEFAULT_PURPOSE, today=BUILD_AT.date())
    (out / "timeline.svg").write_text(picture, encoding="utf-8")
    verified = _prove(workspace, made, built, out, say)
    trained = tell_training(workspace, made, present, out, say)
    workspace.integrate()
    workspace.close()
    _point(out, say, with_model=trained is not None)
    counts = built.manifest.counts
    value = {
        "out": str(out),
        "steps": steps,
        "admitted": counts.admitted,
        "records_in": counts.records_in,
        "manifest_digest": built.manifest.digest,
        "reproduced": same,
        "explained": explained.to_json(),
        "verified": verified,
        "training": trained,
    }
    if shared.json:
        emit(shared, value, "")


def _build_twice(
    workspace: Workspace, made: Generated, out: Path, say: "_Speaker"
) -> tuple[Built, bool]:
    built = workspace.build(made.content, out / "snapshot", at=BUILD_AT)
    counts = built.manifest.counts
    say(
        f"3. A snapshot as of {_z(BUILD_AT)}: {counts.admitted:,} of {counts.records_in:,} "
        f"records, manifest {built.manifest.digest[:16]}."
    )
    again = workspace.build(made.content, out / "again", at=BUILD_AT, known=built.manifest.known)
    same = again.manifest.digest == built.manifest.digest
    shutil.rmtree(out / "again")
    outcome = "the same bytes." if same else "OTHER BYTES, which is a fault."
    say(f"   Built once more: {outcome}\n")
    return built, same


def _prove(
    workspace: Workspace, made: Generated, built: Built, out: Path, say: "_Speaker"
) -> dict[str, object]:
    """Write packs, verify them like a stranger, and show what one flipped bit does."""
    workspace.integrate()
    source = Source(workspace.ledger, workspace.trust, microseconds(BUILD_AT))
    packs = out / "packs"
    packs.mkdir()
    hold = next(one.hold_id for one in workspace.rules().book.holds if one.scope == "HK")
    written = {
        "snapshot": pack_snapshot(source, built.path, packs / "snapshot.zip"),
        "member": pack_member(source, workspace, made.followed, packs / "member.zip"),
        "hold": pack_hold(source, hold, packs / "hold.zip"),
    }
    build_verifier(out / "sayso-verify.pyz")
    say("5. Evidence that a stranger can check without us, each in one file:\n")
    told: dict[str, object] = {}
    for name, pack in written.items():
        report = verify_path(pack.path, Given())
        outcome = "sound" if report.is_sound else "NOT SOUND, which is a fault"
        say(
            f"   {name + '.zip':<14} {pack.files:>5,} files, {len(report.checks)} checks: {outcome}"
        )
        told[name] = report.is_sound
    raw = bytearray((packs / "member.zip").read_bytes())
    raw[len(raw) // 2] ^= 1
    broken = verify_pack_bytes(bytes(raw), Given())
    say(f"\n   One bit of the member's pack flipped: {broken.checks[-1].words}\n")
    return told | {"flipped": broken.is_sound}


def _point(out: Path, say: "_Speaker", *, with_model: bool) -> None:
    say("10. To look at:" if with_model else "7. To look at:")
    model = (
        ("run/run.json", "what the adapters learned from, on what, and how"),
        ("second.partial/SEALED", "the signed statement of the run that was stopped"),
        ("releases", "what may be served; each says which adapters it holds"),
    )
    places = (
        ("timeline.svg", "who was when under which rule or hold"),
        ("snapshot/README.md", "the dataset card, with refusals.svg beside it"),
        ("snapshot/manifest.json", "what the bytes depend on"),
        ("packs/snapshot.zip", "its report.html is for an authority's staff; the others' likewise"),
        ("sayso-verify.pyz", "the verifier as one file: python sayso-verify.pyz PACK"),
        ("ws/rulebook", "the rules as text; change one, then `sayso rulebook check`"),
        *(model if with_model else ()),
    )
    width = max(len(str(out / name)) for name, _ in places)
    for name, what in places:
        say(f"   {out / name!s:<{width}}  {what}")


class _Speaker:
    """Tells the story on stdout, or on stderr where stdout is for JSON."""

    def __init__(self, shared: Shared) -> None:
        self._err = shared.json

    def __call__(self, text: str) -> None:
        click.echo(text, err=self._err)


def _replay(
    workspace: Workspace, made: Generated, present: list[datetime], say: _Speaker
) -> list[dict[str, object]]:
    steps: list[dict[str, object]] = []
    before = 0
    for moment in MOMENTS:
        _happen(workspace, made, present, moment.at)
        decisions = workspace.decide_many(made.content, at=moment.at)
        admitted = int(decisions.allow.sum())
        _tell(say, moment.at, moment.title, decisions, admitted - before)
        before = admitted
        steps.append(
            {
                "at": _z(moment.at),
                "title": moment.title,
                "admitted": admitted,
                "refused": decisions.refused(),
            }
        )
    return steps


def _happen(
    workspace: Workspace, made: Generated, present: list[datetime], until: datetime
) -> None:
    """Let happen what happened between the last step and this one."""
    since = present[0]
    if since < MOMENTS[2].at <= until:
        present[0] = MOMENTS[2].at
        workspace.ingest("choices", made.choices)
    if since < OFF_AT <= until:
        present[0] = OFF_AT
        workspace.choose(made.followed, "off", channel="settings")
    if since < NOTICE_AT <= until:
        present[0] = until
        workspace.ingest("notices", made.notices)
    present[0] = until


def _tell(say: _Speaker, at: datetime, title: str, decisions: Decisions, change: int) -> None:
    admitted = int(decisions.allow.sum())
    share = admitted / len(decisions)
    bar = "#" * round(share * BAR_CHARACTERS)
    say(f"{_z(at)}  {title}")
    say(f"  [{bar:.<{BAR_CHARACTERS}}] {admitted:>7,} of {len(decisions):,} admitted ({change:+,})")
    refused = sorted(decisions.refused().items(), key=lambda item: -item[1])
    parts = [f"{reason} {rows:,}" for reason, rows in refused[:SHOWN_REASONS]]
    rest = sum(rows for _, rows in refused[SHOWN_REASONS:])
    say("  refused: " + ", ".join(parts) + (f", others {rest:,}" if rest else "") + "\n")


def _z(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


COMMANDS = (demo,)
