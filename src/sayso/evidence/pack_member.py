"""The pack of a member: what is theirs, and nobody else's data.

Promises: holds one member's choices, receipts and records, the reasons of their objections and
what the assistant keeps for them, and of everybody else nothing but keyed digests: the leaves
beside theirs in a tree. It has no manifest, whose small counts could
tell of others; roots stand in signed statements and public entries instead. Each proof was
verified when it was made.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from sayso.attest.receipts import sign_receipt
from sayso.canonical import canonical_json
from sayso.decision.content import content_columns
from sayso.decision.explain import Explanation
from sayso.decision.many import Decisions
from sayso.errors import InputError, IntegrityError
from sayso.evidence.entries import RULEBOOK, SNAPSHOT, Folder, Folders, Logged, entries_at
from sayso.evidence.merkle_proofs import Membership, SortedTree, verify_membership
from sayso.evidence.own import own_records
from sayso.evidence.packs import HELD, REPORT, Packed, Source, finish, need_room
from sayso.evidence.report import Check, Picture, render
from sayso.evidence.report_member import (
    KeptShown,
    MemberFacts,
    RecordShown,
    SaidFacts,
    SnapshotShown,
    member_json,
    report_member,
)
from sayso.evidence.report_parts import instant_of, only, picture, plural
from sayso.ledger.kept import EXCHANGE, REASON, kept_of
from sayso.ledger.store import Ledger
from sayso.log import EMPTY_ROOT
from sayso.model import Rulebook, mask_of, reasons_of
from sayso.publishing import published
from sayso.receipting import Said, choices_of, key_of, plain_receipt
from sayso.snapshot.load import circumstances
from sayso.snapshot.manifest import Manifest
from sayso.snapshot.seal import RECORD_COLUMNS, record_digest, record_tag
from sayso.snapshot.standing import standing_digest, standing_tag
from sayso.tables import connect, open_table, quoted, reading, sha256_of

Files = dict[str, bytes]
GONE = "What decided then was deleted by retention, and cannot be told any more."
_CHOICE_FIELDS = (
    "purpose", "choice", "effective_us", "recorded_us", "country", "channel", "setting_version",
    "claimed_us",
)  # fmt: skip


class Answers(Protocol):
    """Who decides: a workspace."""

    def decide(
        self, member: str | int, *, purpose: str, at: datetime | None, known: int | None,
        members: Path | None,
    ) -> Explanation:  # fmt: skip
        """Explain a member's part of the decision."""

    def decide_many(
        self, content: pa.Table, *, purpose: str, at: datetime | None, known: int | None,
        members: Path | None,
    ) -> Decisions:  # fmt: skip
        """Decide for every record of a table."""


def pack_member(
    source: Source, answers: Answers, member: str, out: Path, *, folders: Sequence[Path] = ()
) -> Packed:
    """Write the pack of a member.

    Args:
        source: What it is made from.
        answers: Who decides.
        member: Canonical text of the id.
        out: The file; nothing stands there yet.
        folders: The snapshots to look at; by default all whose folders are at hand.

    Raises:
        InputError: Nothing of the member stands here, or they were erased.
        IntegrityError: Something does not hold.
        ConflictError: Something stands at `out`.
    """
    need_room(out)
    ledger = source.ledger
    key = key_of(ledger, member)
    if key is None:
        raise InputError(
            "nothing of this member stands in the ledger",
            hint="they never said anything and were in no snapshot, or were erased",
        )
    logged = Logged(ledger, source.trust)
    files = logged.trusted()
    said = choices_of(ledger, member, logged.size)
    called = [_choice(source, logged, key, member, one, files) for one in said]
    kept = _kept(ledger, member, files)
    known = Folders(ledger, source.trust, folders)
    wanted = known.among(folders)
    shown = []
    for folder in wanted:
        mine = _Mine(folder, member, key, ledger.keys.bucket_of(member))
        shown.append(mine.shown(answers, files))
        files |= known.files(folder.entry, manifest=False)
    entries = [*entries_at(ledger, SNAPSHOT, [one.entry for one in wanted])]
    entries += entries_at(ledger, RULEBOOK, [one.manifest.rulebook.entry for one in wanted])
    for entry in entries:
        files |= logged.public(entry)
    book = published(ledger, ledger.size()).book
    facts = MemberFacts(
        member=member,
        said=tuple(called),
        kept=kept,
        snapshots=tuple(shown),
        book=book,
        policy=source.trust.policy,
        picture=_picture(book, shown, source.made_at),
        checks=_checks(called, shown),
        made_at=source.made_at,
    )
    files |= {
        REPORT: render(report_member(facts)),
        "report.json": canonical_json(member_json(facts)),
    }
    question = {"member": member, "snapshots": [one.manifest.digest for one in wanted]}
    return finish(source, out, "member", question, files)


def _choice(
    source: Source, logged: Logged, key: bytes, member: str, said: Said, files: Files
) -> SaidFacts:
    """Add one choice with its receipt and proof to the files; return how it is called."""
    receipt = plain_receipt(source.ledger, source.trust, member, said)
    value = {name: getattr(said, name) for name in _CHOICE_FIELDS}
    told = {"index": said.index, "key": key.hex(), "choice": value | {"choice": str(said.choice)}}
    files[f"member/choices/{said.index}.json"] = canonical_json(told)
    files[f"receipts/{said.index}.json"] = sign_receipt(receipt, source.trust.key).to_bytes()
    files |= logged.proof(said.index, said.commitment)
    return SaidFacts(
        said.index, said.purpose, str(said.choice), receipt.called,
        instant_of(said.effective_us), instant_of(said.recorded_us),
    )  # fmt: skip


def _kept(ledger: Ledger, member: str, files: Files) -> tuple[KeptShown, ...]:
    """Add what is kept for the member to the files, by time; return what is shown of it."""
    found = [(one, kind) for kind in (EXCHANGE, REASON) for one in kept_of(ledger, member, kind)]
    found.sort(key=lambda pair: (pair[0].kept_us, pair[0].kept_id))
    shown = []
    for number, (one, kind) in enumerate(found, 1):
        value = json.loads(one.raw)
        told = {"kind": kind, "kept_id": one.kept_id, "kept_us": one.kept_us, "value": value}
        files[f"member/kept/{number}.json"] = canonical_json(told)
        shown.append(KeptShown(kind, instant_of(one.kept_us), value))
    return tuple(shown)


def _picture(book: Rulebook, shown: Sequence[SnapshotShown], made_at: datetime) -> Picture | None:
    """Return rules and holds where the member lives, for what the snapshots were made for."""
    home = next((one for one in reversed(shown) if one.country), None)
    if home is None or home.country is None:
        return None
    mine = only(book, [home.country], home.purpose, made_at)
    told = "Rules and holds where the platform says that you live."
    return picture(mine, home.purpose, told, made_at.date(), "today")


# ---- one snapshot -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Mine:
    """One member in one snapshot."""

    folder: Folder
    member: str
    key: bytes
    bucket: int

    @property
    def manifest(self) -> Manifest:
        return self.folder.manifest

    def shown(self, answers: Answers, files: Files) -> SnapshotShown:
        """Add proofs and records to the files; return what is shown of them."""
        manifest, inside = self.manifest, f"snapshots/{self.folder.entry}"
        explanation = self._explained(answers)
        country, reasons, standing = self._standing(explanation)
        listed = {
            number: {"rows": one.rows, "root": one.root} for number, one in manifest.buckets.items()
        }
        files[f"{inside}/standing.json"] = canonical_json(standing)
        files[f"{inside}/buckets.json"] = canonical_json(listed)
        tree, own = own_records(self.folder, self.member, self.bucket)
        refused = None
        if explanation is not None:
            refused = self._refused(answers, {str(row["record_id"]) for row in own})
        records = [self._admitted(tree, row, inside, files) for row in own]
        records += [self._absent(tree, one, inside, files) for one in refused or ()]
        return SnapshotShown(
            entry=self.folder.entry,
            purpose=manifest.purpose,
            at=manifest.at_instant,
            known=manifest.known,
            manifest=manifest.digest,
            country=country,
            reasons=reasons,
            explanation=explanation.to_text() if explanation else GONE,
            records=tuple(sorted(records, key=lambda one: (str(one.written_at), one.record_id))),
            is_complete=refused is not None,
        )

    def _explained(self, answers: Answers) -> Explanation | None:
        """Return the decision about the member; None where its facts were deleted since."""
        try:
            return answers.decide(
                self.member, purpose=self.manifest.purpose, at=self.manifest.at_instant,
                known=self.manifest.known, members=circumstances(self.folder.path, "members"),
            )  # fmt: skip
        except InputError:
            return None

    def _standing(
        self, explanation: Explanation | None
    ) -> tuple[str | None, tuple[str, ...], dict[str, object]]:
        """Return what was held about the member, and its proof.

        Raises:
            IntegrityError: The snapshot committed to something else than is decided now.
        """
        manifest = self.manifest
        tag = standing_tag(self.key, manifest.purpose, manifest.at, manifest.known)
        tree = SortedTree((self.folder.path / "evidence" / "standing.bin").read_bytes())
        proof = tree.prove("standing", tag)
        verify_membership(proof, bytes.fromhex(manifest.standing.root), manifest.standing.rows)
        if explanation is None:
            return None, (), {"proof": proof.to_json(), "standing": None}
        country: str | None = None
        reasons: tuple[str, ...] = ()
        if proof.found is not None:
            law = explanation.jurisdiction
            country = str(law.country) if law else "unknown"
            reasons = tuple(str(one) for one in explanation.decision.reasons)
            if (
                standing_digest(self.key, country, mask_of(explanation.decision.reasons))
                != proof.found.digest
            ):
                raise IntegrityError(
                    f"what snapshot entry {self.folder.entry} held about the member is not what "
                    "the ledger gives now",
                    hint="run 'sayso log fsck'",
                )
        opened = {"key": self.key.hex(), "country": country, "reasons": list(reasons)}
        return country, reasons, {"proof": proof.to_json(), "standing": opened}

    def _proof(self, tree: SortedTree, tag: bytes) -> Membership:
        proof = tree.prove(f"bucket/{self.bucket:04d}", tag)
        listed = self.manifest.buckets.get(f"{self.bucket:04d}")
        root, rows = (bytes.fromhex(listed.root), listed.rows) if listed else (EMPTY_ROOT, 0)
        verify_membership(proof, root, rows)
        return proof

    def _put(
        self, tree: SortedTree, record_id: str, columns: dict[str, Any] | None, inside: str,
        files: Files,
    ) -> Membership:  # fmt: skip
        tag = record_tag(self.key, record_id)
        proof = self._proof(tree, tag)
        if f"{self.bucket:04d}" not in self.manifest.buckets:
            return proof  # the list of buckets shows that there is none to stand in
        opened = {"key": self.key.hex(), "record_id": record_id, "columns": columns}
        told = {"tag": tag.hex(), "proofs": [proof.to_json()], "record": opened}
        files[f"{inside}/records/{tag.hex()}.json"] = canonical_json(told)
        return proof

    def _admitted(
        self, tree: SortedTree, row: dict[str, Any], inside: str, files: Files
    ) -> RecordShown:
        columns = {name: row[name] for name in RECORD_COLUMNS.names}
        proof = self._put(tree, str(row["record_id"]), columns, inside, files)
        if proof.found is None or proof.found.digest != record_digest(self.key, columns):
            raise IntegrityError("a record of the member is not the one that was committed to")
        return RecordShown(
            str(row["record_id"]), str(row["category"]), instant_of(row["written_at"]),
            str(row["text"] or ""), (), is_proved=True,
        )  # fmt: skip

    def _absent(self, tree: SortedTree, one: RecordShown, inside: str, files: Files) -> RecordShown:
        if one.is_proved and self._put(tree, one.record_id, None, inside, files).found is not None:
            raise IntegrityError("a record that is refused now is in the snapshot")
        return one

    def _refused(self, answers: Answers, admitted: set[str]) -> list[RecordShown] | None:
        """Return the member's records that were refused; None where that cannot be told."""
        manifest = self.manifest
        content = circumstances(self.folder.path, "content")
        if content is None or not content.exists():
            return None
        with connect() as duck, reading(content):
            table = open_table(duck, content)
            if sha256_of(table.paths) != manifest.inputs["content"].sha256:
                return None
            columns = content_columns(table, integer_ids=False)
            # With whoever else uses the same ids: a repeated one counts for nobody.
            duck.execute(f"CREATE TEMP VIEW content AS SELECT {columns} FROM {table.sql}")
            ids = f"SELECT record_id FROM content WHERE member_id = {quoted(self.member)}"
            rows = duck.sql(
                f"SELECT * FROM content WHERE record_id IN ({ids}) "
                f"OR (record_id IS NULL AND member_id = {quoted(self.member)})"
            ).to_arrow_table()
        decided = answers.decide_many(
            rows, purpose=manifest.purpose, at=manifest.at_instant, known=manifest.known,
            members=circumstances(self.folder.path, "members"),
        )  # fmt: skip
        found: list[RecordShown] = []
        for row, mask in zip(rows.to_pylist(), decided.masks.tolist(), strict=True):
            record_id = "" if row["record_id"] is None else str(row["record_id"])
            if row["member_id"] == self.member and record_id not in admitted:
                found.append(_refused_row(row, record_id, mask))
        return found


def _refused_row(row: dict[str, Any], record_id: str, mask: int) -> RecordShown:
    reasons = tuple(str(reason) for reason in reasons_of(mask))
    if not reasons:
        raise IntegrityError("a record that the rules admit is missing from the snapshot")
    times = [one for one in (row["written_at"], row["first_seen_at"]) if one is not None]
    return RecordShown(
        record_id, str(row["category"] or ""), min(times, default=None), "", reasons,
        is_proved=bool(record_id),
    )  # fmt: skip


def _checks(said: Sequence[SaidFacts], shown: Sequence[SnapshotShown]) -> tuple[Check, ...]:
    found = [
        Check(
            f"{plural(len(said), 'choice', 'choices')} of yours: each is what its entry of the "
            "ledger committed to, and stands in the log.",
            HELD,
        )
    ]
    for one in shown:
        proved = sum(record.is_proved for record in one.records)
        found.append(
            Check(
                f"The training set of entry {one.entry} committed to what was held about you, and "
                f"{plural(proved, 'record', 'records')} of yours "
                f"{'is' if proved == 1 else 'are'} proved to be in it or not to be.",
                HELD,
            )
        )
    return tuple(found)
