"""The verifier: what a stranger can check of a snapshot, a pack or a receipt, in plain words.

Promises: the checks are numbered, named, and made in the order in which each relies on those
before it; the first that fails ends them and names itself. Needs Python and `cryptography`,
imports nothing of ours but pure parts of `log` and `attest`, asks no network and no clock, and
writes nothing. Ships as one file as well (`sayso.evidence.bundle`). Never says that a use is
lawful: `report.limits` says what no check here can show.

Example:
    >>> report = verify_path(Path("snapshot"), Given())         # doctest: +SKIP
    >>> report.verdict, report.lines()[0]                       # doctest: +SKIP
    ('sound', '1. The folder holds 1,034 ordinary files and nothing else.')
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from sayso.attest.keys import parse_public_key
from sayso.errors import InputError, IntegrityError, UnavailableError
from sayso.evidence import limits
from sayso.evidence.case import Case, Given
from sayso.evidence.checks import (
    FailedError,
    NotMadeError,
    Outcome,
    Report,
    count,
    instant_of,
    short,
)
from sayso.evidence.checks_handover import check_handovers
from sayso.evidence.checks_history import check_dates, check_history, check_known, check_tiles
from sayso.evidence.checks_kept import check_kept
from sayso.evidence.checks_log import (
    check_consistency,
    check_entries,
    check_entry,
    check_inclusion,
    check_proofs,
    check_published,
    seen_by,
)
from sayso.evidence.checks_manifest import (
    check_digests,
    check_leaves,
    check_manifest,
    check_standing,
)
from sayso.evidence.checks_member import (
    check_choices,
    check_member_standing,
    check_receipt,
    check_receipts,
    check_records,
)
from sayso.evidence.checks_release import check_releases
from sayso.evidence.checks_snapshots import check_snapshots
from sayso.evidence.checks_statement import (
    check_erasures,
    check_provenance,
    check_retention,
    check_statement,
    check_trust,
)
from sayso.evidence.container import Pack, parse_pack, verify_pack
from sayso.evidence.files import Files, FolderFiles, PackFiles
from sayso.evidence.layout import (
    BUILD,
    CHECKPOINT,
    CHOICES,
    ENTRIES,
    ERASURES,
    EVIDENCE,
    HANDOVERS,
    KEPT,
    KEY,
    LEAVES,
    MANIFEST,
    MEMBER_STANDING,
    PROOF,
    PROOFS,
    RECEIPTS,
    RECORDS,
    RELEASES,
    RETENTION,
    RUNS,
    SNAPSHOTS,
    STANDING,
    TILES,
    TOLD,
    check_folder,
    check_pack,
    matching,
)

Step = tuple[str, Callable[[Case], str]]

MAX_RECEIPT_BYTES = 16 << 20

# What a snapshot's own evidence shows, each relying on those before it.
_STATED: tuple[Step, ...] = (
    ("manifest", check_manifest),
    ("statement", check_statement),
    ("provenance", check_provenance),
)
_LOGGED: tuple[Step, ...] = (
    ("entry", check_entry),
    ("inclusion", check_inclusion),
    ("consistency", check_consistency),
)


def load_given(
    keys: Sequence[Path] = (),
    policy: Path | None = None,
    known_checkpoint: Path | None = None,
    consistency: Path | None = None,
) -> Given:
    """Return what the verifier brings, from files.

    Raises:
        InputError: A file is missing, or holds no key.
    """
    return Given(
        tuple(parse_public_key(_bytes(key)) for key in keys),
        _bytes(policy) if policy else None,
        _bytes(known_checkpoint) if known_checkpoint else None,
        _bytes(consistency) if consistency else None,
    )


def verify_path(path: Path, given: Given) -> Report:
    """Verify a snapshot's folder, a pack or a receipt.

    Returns:
        The checks that were made; whether they held is `is_sound`.

    Raises:
        InputError: There is nothing at `path`, or nothing that this can verify.
        UnavailableError: A file cannot be read.
    """
    if path.is_dir():
        if not (path / MANIFEST).exists() and not (path / EVIDENCE).exists():
            raise InputError(f"'{path}' is no snapshot", hint="name its folder, or a pack")
        return verify_folder(lambda: FolderFiles(path), given)
    raw = _bytes(path)
    if raw.startswith(b"PK"):
        return verify_pack_bytes(raw, given)
    if raw.startswith(b"{") and len(raw) <= MAX_RECEIPT_BYTES:
        return verify_receipt_bytes(raw, given)
    raise InputError(
        f"'{path}' is neither a snapshot nor a pack nor a receipt", hint="name one of these"
    )


def verify_folder(listed: Callable[[], Files], given: Given) -> Report:
    """Verify a snapshot's folder.

    Args:
        listed: Lists the files; may find that there are some that cannot be.
        given: By the verifier.
    """
    case = Case(PackFiles({}), given)

    def folder(case: Case) -> str:
        case.files = listed()
        return f"The folder holds {count(len(case.files.names), 'ordinary file')} and nothing else."

    def files(case: Case) -> str:
        gone = [name for name, ends in case.replaced.items() if None in ends]
        check_folder(case.files.names, case.need_manifest, gone)
        if BUILD in case.files.names - case.signed:
            raise IntegrityError(f"'{BUILD}' is there, and the statement does not name it")
        return "Every file that must be there is there, and none is there that nothing lists."

    def steps() -> list[Step]:
        has_erasures = bool(matching(case.files.names, ERASURES))
        return [
            ("trust", check_trust),
            *_handed(case),
            *_STATED,
            *([("erasures", check_erasures)] if has_erasures else []),
            *([("retention", check_retention)] if RETENTION in case.files.names else []),
            ("files", files),
            ("digests", check_digests),
            ("leaves", check_leaves),
            ("standing", check_standing),
            *_LOGGED,
            *_history(case),
        ]

    return _run(case, [("folder", folder)], steps)


def verify_pack_bytes(unverified: bytes, given: Given) -> Report:
    """Verify a pack.

    Raises:
        InputError: It brings no key, and none was given.
    """
    case = Case(PackFiles({}), given, in_pack=True)
    packs: list[Pack] = []

    def container(case: Case) -> str:
        pack = parse_pack(unverified)
        packs.append(pack)
        case.files = PackFiles(pack.files)
        return (
            f"The pack {short(pack.digest)}, of kind '{pack.kind}', made at "
            f"{instant_of(pack.created_us)} by its maker's clock, is in its one form. It holds "
            f"{count(len(pack.files), 'file')}, each listed with its digest, and nothing else."
        )

    def signature(case: Case) -> str:
        verify_pack(packs[0], case.keys)
        whose = "that you gave" if given.keys else "that came with it"
        return f"The list of its files is signed by a key {whose}: nothing was added or taken away."

    def steps() -> list[Step]:
        if not given.keys and KEY not in case.files.names:
            raise InputError("the pack brings no key", hint="give one with --key")
        return [
            ("trust", check_trust),
            *_handed(case),
            ("signature", signature),
            *_pack_steps(case, packs[0]),
        ]

    return _run(case, [("container", container)], steps)


def _pack_steps(case: Case, pack: Pack) -> list[Step]:
    """Return the checks of whatever a pack holds."""
    names = case.files.names

    def contents(case: Case) -> str:
        check_pack(names, case.manifest)
        read = count(len(matching(names, TOLD)), "file is", "files are")
        return (
            f"Every file is of a kind that belongs into a pack. {read} for reading (report, "
            "tables, pictures): signed as they stand, their numbers not computed again here."
        )

    def kept(case: Case) -> str:
        if pack.kind != "member":
            raise IntegrityError("what is kept for a member is in a pack of another kind")
        return check_kept(case)

    def leaves(case: Case) -> str:
        listed = {f"leaves/{bucket}.bin" for bucket in case.need_manifest["buckets"]}
        if pack.kind == "snapshot" and (gone := sorted(listed - names)):
            raise IntegrityError(f"'{gone[0]}' is missing", name=gone[0])
        return check_leaves(case)

    has_manifest = MANIFEST in names

    def some(kind: object, step: Step) -> list[Step]:
        return [step] if kind else []

    return [
        *(_STATED if has_manifest else ()),
        ("contents", contents),
        *some(matching(names, ERASURES), ("erasures", check_erasures)),
        *some(RETENTION in names, ("retention", check_retention)),
        *some(has_manifest, ("digests", check_digests)),
        *some(matching(names, LEAVES), ("leaves", leaves)),
        *some(STANDING in names, ("standing", check_standing)),
        *(_LOGGED if has_manifest else ()),
        *some(CHECKPOINT in names, ("checkpoint", check_published)),
        *some(matching(names, TILES), ("tiles", check_tiles)),
        *some(matching(names, ENTRIES), ("entries", check_entries)),
        *some(matching(names, CHOICES), ("choices", check_choices)),
        *some(matching(names, RECEIPTS), ("receipts", check_receipts)),
        *some(matching(names, KEPT), ("kept", kept)),
        *some(_has_entries(case), ("proofs", check_proofs)),
        *some(matching(names, SNAPSHOTS), ("snapshots", check_snapshots)),
        *some(
            pack.kind == "release" or matching(names, RELEASES) or matching(names, RUNS),
            ("releases", check_releases),
        ),
        *some(MEMBER_STANDING in names, ("member-standing", check_member_standing)),
        *some(matching(names, RECORDS), ("records", check_records)),
        *_history(case),
    ]


def _handed(case: Case) -> list[Step]:
    """Return the check of keys that came after others, where some did."""
    return [("handovers", check_handovers)] if matching(case.files.names, HANDOVERS) else []


def _has_entries(case: Case) -> bool:
    return any(matching(case.files.names, kind) for kind in (ENTRIES, CHOICES, RECEIPTS, PROOFS))


def _history(case: Case) -> list[Step]:
    """Return the checks of all checkpoints together, where there are some."""
    names = case.files.names
    has_heads = PROOF in names or CHECKPOINT in names or _has_entries(case)
    known = case.given.known_checkpoint is not None
    return [
        *([("one-history", check_history), ("dates", check_dates)] if has_heads else []),
        *([("known-checkpoint", check_known)] if known else []),
    ]


def verify_receipt_bytes(unverified: bytes, given: Given) -> Report:
    """Verify a receipt.

    Raises:
        InputError: No key was given.
    """
    if not given.keys:
        raise InputError("a receipt brings no key", hint="give one with --key")
    case = Case(PackFiles({}), given)

    def receipt(case: Case) -> str:
        found, who = check_receipt(case, "the receipt", unverified)
        event = found.value["event"]
        return (
            f"The receipt {found.receipt_id} is signed by key {who}. It calls the choice "
            f"'{event['choice']}' for '{event['purpose']}', recorded at {event['recorded_at']}, "
            f"'{found.called}', as its own rules say."
        )

    def inclusion(case: Case) -> str:
        if not case.heads:
            raise NotMadeError(
                "the receipt holds no proof that its choice is in the log; ask for one."
            )
        ((_, head),) = case.heads.items()
        return (
            f"The choice is in the log '{head.log_name}', under a checkpoint of "
            f"{count(head.checkpoint.size, 'entry', 'entries')}, {seen_by(head)}."
        )

    def steps() -> list[Step]:
        known = given.known_checkpoint is not None
        return [
            ("receipt", receipt),
            ("inclusion", inclusion),
            *([("known-checkpoint", check_known)] if known else []),
        ]

    return _run(case, [("trust", check_trust)], steps)


# ---- running ----------------------------------------------------------------------------


def _run(case: Case, first: list[Step], steps: Callable[[], list[Step]]) -> Report:
    """Make the first checks, and then those that what they found asks for."""
    report = Report()
    try:
        for name, check in first:
            _make(report, case, name, check)
        for name, check in steps():
            _make(report, case, name, check)
    except FailedError:
        pass
    report.limits = _limits(case)
    return report


def _make(report: Report, case: Case, name: str, check: Callable[[Case], str]) -> None:
    report.make(name, lambda: check(case))


def _limits(case: Case) -> list[str]:
    """Return what the checks that were made cannot show."""
    found = [limits.ADMITTED, limits.SUBMITTED, limits.TIMES, limits.FACTS, limits.MODELS]
    if case.replaced:
        found.append(limits.ERASED)
    if case.policy is not None:
        found.append(limits.of_witnesses(case.policy))
    if not case.given.keys or (case.policy is not None and case.given.policy is None):
        found.append(
            "Keys or the policy came with the files. Whoever made all of these files could have "
            "made the keys as well: get them from somebody else, and give --key and --policy."
        )
    if case.given.known_checkpoint is None:
        found.append(
            "Whether an older or another history was shown to others, only a checkpoint that you "
            "or somebody else has kept can tell: give it with --known-checkpoint."
        )
    return found


def told(report: Report) -> str:
    """Return a report as lines for people: checks, verdict, limits."""
    made = report.lines()
    left = sum(one.outcome is Outcome.NOT_MADE for one in report.checks)
    verdict = (
        f"SOUND: every check that was made held{f'; {left} could not be made' if left else ''}."
    )
    if not report.is_sound:
        failed = report.checks[-1]
        verdict = f"NOT SOUND: check {failed.number}, '{failed.name}', failed. Trust none of it."
    bounds = [f"- {one}" for one in report.limits]
    return "\n".join([*made, "", verdict, "", "What this does not show:", *bounds])


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise InputError(f"there is no file at '{path}'", hint="name one that is there") from None
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise UnavailableError(f"'{path}' cannot be read: {reason}") from None
