"""A small town's evidence, made by hand: a ledger, its log, a snapshot, packs.

Everything is made from the definitions and in the clear, so that a test can break one thing
before it is hashed and signed (a platform that cheats), or after (anybody else).
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from sayso.attest.dsse import STATEMENT_TYPE, sign
from sayso.attest.keys import SigningKey
from sayso.attest.receipts import sign_receipt, with_proof
from sayso.attest.statements import (
    Builder,
    Pins,
    Rewritten,
    StandingRoot,
    erasure_statement,
    provenance,
    retention_statement,
    snapshot_statement,
)
from sayso.canonical import PUBLIC_KEY, canonical_json, commit, encode
from sayso.evidence.case import Given
from sayso.evidence.checks import Report
from sayso.evidence.container import pack_bytes
from sayso.evidence.files import PackFiles
from sayso.evidence.merkle_proofs import SortedTree
from sayso.evidence.verify import verify_folder
from sayso.log.checkpoint import Checkpoint
from sayso.log.keys import SignerKey
from sayso.log.merkle import root_of
from sayso.log.notes import Note, cosign
from sayso.log.notes import sign as sign_note
from sayso.log.proof_file import Proof
from sayso.log.proofs import consistency_proof, inclusion_proof
from sayso.model import Choice, Country
from tests.unit.attest.test_issue import issued
from tests.unit.log.signers import LOG, ORIGIN, W1, W2
from tests.unit.log.trees import Defined, files_of

KEY = SigningKey(bytes(range(32)))
OTHER = SigningKey(bytes(reversed(range(32))))
PURPOSE, AT = "content-generation-training", datetime(2025, 11, 10, tzinfo=UTC)
AT_US = 1_762_732_800_000_000
SEEN = AT_US // 1_000_000 + 60
POLICY = (
    f"log {LOG.verifier().to_text()}\nwitness w1 {W1.verifier().to_text()}\n"
    f"witness w2 {W2.verifier().to_text()}\ngroup both any w1 w2\nquorum both\n"
).encode()
ONE, TWO = "11" * 32, "22" * 32


def key_of(member: str) -> bytes:
    return hashlib.sha256(f"key of {member}".encode()).digest()


def record_of(member: str, number: int) -> dict[str, Any]:
    return {
        "record_id": f"{member}-{number}", "member_id": member, "country": "DE",
        "category": "post", "visibility": "public", "authorship": "own", "context": None,
        "written_at": AT_US - number, "licence": None, "text": f"words {number} of {member}",
    }  # fmt: skip


def tag_of(member: str, record_id: str) -> bytes:
    return hashlib.sha256(key_of(member) + encode("sayso/record-tag/v1", record_id)).digest()


def leaf_of(record: Mapping[str, Any]) -> bytes:
    member = record["member_id"]
    digest = hashlib.sha256(key_of(member) + encode("sayso/record/v1", *record.values())).digest()
    return tag_of(member, record["record_id"]) + digest


def choice_of(member: str, said: str, us: int) -> dict[str, Any]:
    return {
        "purpose": PURPOSE, "choice": said, "effective_us": us, "recorded_us": us, "country": "DE",
        "channel": "web", "setting_version": None, "claimed_us": None,
    }  # fmt: skip


def public_commitment(kind: str, recorded_us: int, payload: Mapping[str, Any]) -> bytes:
    text = json.dumps(payload, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return commit(PUBLIC_KEY, encode(f"sayso/{kind}/v1", text, recorded_us))


@dataclass
class Town:
    """What the platform holds; change it before the first file is asked for."""

    # Bucket -> its members; member -> records, and the reasons that stand against the member.
    buckets: dict[str, list[str]] = field(default_factory=lambda: {"0001": ["ann"], "0700": ["bo"]})
    records: int = 3
    standings: dict[str, list[str]] = field(
        default_factory=lambda: {"ann": [], "bo": [], "cy": ["CHOSEN_OFF"]}
    )
    known: int = 4
    later: int = 2
    seen: int = SEEN
    recorded_us: int = AT_US
    signers: tuple[SignerKey, ...] = (W1, W2)
    key: SigningKey = KEY
    siblings: tuple[str, ...] = ("build.json", "policy", "attest.pem")
    order: Callable[[list[bytes]], list[bytes]] = sorted
    entry: dict[str, Any] = field(default_factory=dict)

    # ---- the snapshot ----

    @cached_property
    def leaves(self) -> dict[str, bytes]:
        return {
            bucket: b"".join(
                self.order(
                    [leaf_of(record_of(who, n)) for who in members for n in range(self.records)]
                )
            )
            for bucket, members in self.buckets.items()
        }

    @cached_property
    def standing(self) -> bytes:
        at = AT.isoformat().replace("+00:00", "Z")
        leaves = []
        for who, reasons in self.standings.items():
            tag = encode("sayso/standing-tag/v1", PURPOSE, at, self.known)
            digest = encode("sayso/standing/v1", "DE", " ".join(reasons))
            key = key_of(who)
            leaves.append(
                hashlib.sha256(key + tag).digest() + hashlib.sha256(key + digest).digest()
            )
        return b"".join(self.order(leaves))

    @cached_property
    def listed(self) -> dict[str, bytes]:
        """The files that the manifest lists, stand-ins for Parquet among them."""
        files = {"README.md": b"a card\n", "counts.parquet": b"PAR1 counts"}
        return files | {
            f"records/bucket-{bucket}.parquet": b"PAR1" + leaves
            for bucket, leaves in self.leaves.items()
        }

    @cached_property
    def manifest(self) -> dict[str, Any]:
        buckets: dict[str, dict[str, Any]] = {
            bucket: {
                "file": f"records/bucket-{bucket}.parquet",
                "rows": len(leaves) // 64,
                "root": root_of(split(leaves)).hex(),
                "sha256": sha(self.listed[f"records/bucket-{bucket}.parquet"]),
            }
            for bucket, leaves in self.leaves.items()
        }
        admitted = sum(one["rows"] for one in buckets.values())
        counts = {
            "records_in": admitted + 2, "admitted": admitted, "refused": {"CHOSEN_OFF": 2},
            "reasons": {"CHOSEN_OFF": 2},
        }  # fmt: skip
        return {
            "format": "sayso/snapshot/v1",
            "purpose": PURPOSE,
            "at": "2025-11-10T00:00:00Z",
            "known": self.known,
            "log": {
                "origin": ORIGIN, "size": self.known,
                "root": root_of(self.commitments[: self.known]).hex(),
            },
            "rulebook": {"digest": ONE, "entry": 0},
            "versions": {"semantics": 1, "tzdata": "2026a"},
            "inputs": {"content": {"name": "content", "sha256": TWO, "rows": admitted + 2}},
            "counts": counts,
            "by_country": {"DE": counts},
            "standing": {
                "rows": len(self.standing) // 64, "root": root_of(split(self.standing)).hex(),
            },
            "buckets": buckets,
            "files": {
                name: sha(data) for name, data in self.listed.items() if "/" not in name
            },
            "root": root_of(
                [encode("sayso/bucket/v1", name, one["rows"], one["root"])
                 for name, one in buckets.items()]
            ).hex(),
        }  # fmt: skip

    @cached_property
    def manifest_bytes(self) -> bytes:
        return canonical_json(self.manifest)

    def pins(self, siblings: Mapping[str, str]) -> Pins:
        log = self.manifest["log"]
        return Pins(
            purpose=PURPOSE, at=AT, known=self.known,
            log=Checkpoint(log["origin"], log["size"], bytes.fromhex(log["root"])),
            rulebook=ONE, rulebook_entry=0, semantics=1, tzdata="2026a",
            inputs={"content": TWO}, siblings=siblings,
        )  # fmt: skip

    @cached_property
    def statements(self) -> tuple[bytes, bytes]:
        """The snapshot's statement and its provenance."""
        subject = sha(self.manifest_bytes)
        builder = Builder("build", {"sayso": "1"}, "run", AT, AT + timedelta(seconds=5))
        built = provenance({"manifest.json": subject}, self.pins({}), builder)
        notes = {"build.json": BUILD, "policy": POLICY, "attest.pem": self.key.public.to_pem()}
        siblings = {name: sha(notes[name]) for name in self.siblings}
        siblings["provenance.json"] = sha(built)
        pinned = self.manifest["standing"]
        root = StandingRoot(bytes.fromhex(pinned["root"]), pinned["rows"])
        return snapshot_statement(subject, self.pins(siblings), root), built

    # ---- the ledger and its log ----

    @cached_property
    def commitments(self) -> list[bytes]:
        """What was there before the snapshot: a rulebook and choices."""
        found = [public_commitment("rulebook", AT_US - 9, RULEBOOK)]
        return [*found, *(self.choice_commitment(number) for number in range(1, self.known))]

    @staticmethod
    def choice(number: int) -> tuple[str, dict[str, Any]]:
        said = ("off", "on", "deferred")[number % 3]
        return ("cy", "ann", "bo")[number % 3], choice_of("cy", said, AT_US - 5 + number)

    def choice_commitment(self, number: int) -> bytes:
        who, choice = self.choice(number)
        return commit(key_of(who), encode("sayso/choice/v1", *choice.values()))

    @cached_property
    def snapshot_entry(self) -> dict[str, Any]:
        payload = {
            "manifest": sha(self.manifest_bytes), "root": self.manifest["root"],
            "purpose": PURPOSE, "at": self.manifest["at"], "known": self.known, "rulebook": ONE,
            "statement": sha(self.statements[0]), "standing": self.manifest["standing"]["root"],
        }  # fmt: skip
        made = {
            "index": self.known, "kind": "snapshot", "recorded_us": self.recorded_us,
            "payload": payload,
        }  # fmt: skip
        return made | self.entry

    @cached_property
    def log(self) -> list[bytes]:
        entry = self.snapshot_entry
        own = public_commitment(entry["kind"], entry["recorded_us"], entry["payload"])
        rest = [hashlib.sha256(b"later %d" % n).digest() for n in range(self.later)]
        return [*self.commitments, own, *rest]

    @cached_property
    def tree(self) -> Defined:
        return Defined(self.log)

    def note(self, size: int, seen: int | None = None, log: list[bytes] | None = None) -> bytes:
        """A signed checkpoint of the first entries."""
        root = root_of((log or self.log)[:size])
        text = Checkpoint(ORIGIN, size, root).to_text()
        seen = self.seen if seen is None else seen
        cosigned = [cosign(text, one, seen) for one in self.signers]
        return Note(text, (sign_note(text, LOG), *cosigned)).to_bytes()

    def proof(self, index: int, size: int | None = None) -> bytes:
        size = size or len(self.log)
        return Proof(
            index, tuple(inclusion_proof(index, size, self.tree.node)), self.note(size)
        ).to_bytes()

    def consistency(self, old: int, new: int) -> bytes:
        hashes = [one.hex() for one in consistency_proof(old, new, self.tree.node)]
        return canonical_json({"old_size": old, "new_size": new, "hashes": hashes})

    # ---- folders and packs ----

    @cached_property
    def folder(self) -> dict[str, bytes]:
        """A snapshot's folder."""
        stated, built = self.statements
        size = len(self.log)
        return {
            **self.listed,
            "manifest.json": self.manifest_bytes,
            "evidence/build.json": BUILD,
            "evidence/standing.bin": self.standing,
            "evidence/provenance.json": sign(STATEMENT_TYPE, built, self.key).to_bytes(),
            "evidence/statement.json": sign(STATEMENT_TYPE, stated, self.key).to_bytes(),
            "evidence/entry.json": canonical_json(self.snapshot_entry),
            "evidence/snapshot.tlog-proof": self.proof(self.snapshot_entry["index"]),
            "evidence/consistency.json": self.consistency(self.known, size),
            "evidence/policy": POLICY,
            "evidence/attest.pem": self.key.public.to_pem(),
        }

    def in_pack(self) -> dict[str, bytes]:
        """What of the folder goes into a pack."""
        names = [name for name in self.folder if name.startswith(("evidence/", "manifest"))]
        return {name: self.folder[name] for name in names if name != "evidence/build.json"}

    def snapshot_pack(self) -> dict[str, bytes]:
        leaves = {f"leaves/{bucket}.bin": data for bucket, data in self.leaves.items()}
        return {**self.in_pack(), **leaves, "report.html": b"<p>", "tables/counts.csv": b"a,b\n"}

    def member_pack(self) -> dict[str, bytes]:
        """What is about ann: a choice, its receipt, her standing, two of her records."""
        who, choice = self.choice(1)
        assert who == "ann"
        tiles = {f"log/{name}": data for name, data in files_of(self.log).items()}
        trees = {bucket: SortedTree(leaves) for bucket, leaves in self.leaves.items()}
        there = record_of("ann", 0)
        files = {
            **self.in_pack(),
            **tiles,
            "log/checkpoint": self.note(len(self.log)),
            "entries/0.json": canonical_json(
                {"index": 0, "kind": "rulebook", "recorded_us": AT_US - 9, "payload": RULEBOOK}
            ),
            "proofs/0.tlog-proof": self.proof(0),
            "proofs/1.tlog-proof": self.proof(1, 5),
            "member/choices/1.json": canonical_json(
                {"index": 1, "key": key_of("ann").hex(), "choice": choice}
            ),
            "member/standing.json": self.member_standing("ann", []),
            "receipts/1.json": self.receipt(self.proof(1)),
        }
        for record_id, columns in ((there["record_id"], there), ("ann-none", None)):
            tag = tag_of("ann", record_id)
            found = tag in trees["0001"].tags
            proofs = [
                tree.prove(f"bucket/{bucket}", tag).to_json()
                for bucket, tree in trees.items()
                if bucket == "0001" or not found
            ]
            opened = {"key": key_of("ann").hex(), "record_id": record_id, "columns": columns}
            files[f"member/records/{tag.hex()}.json"] = canonical_json(
                {"tag": tag.hex(), "proofs": proofs, "record": opened}
            )
        del files["evidence/standing.bin"]
        return files

    def member_standing(self, who: str, reasons: list[str], country: str | None = "DE") -> bytes:
        at = AT.isoformat().replace("+00:00", "Z")
        question = encode("sayso/standing-tag/v1", PURPOSE, at, self.known)
        tag = hashlib.sha256(key_of(who) + question).digest()
        proof = SortedTree(self.standing).prove("standing", tag)
        opened = {"key": key_of(who).hex(), "country": country, "reasons": reasons}
        return canonical_json({"proof": proof.to_json(), "standing": opened})

    def erasure(self, *files: Rewritten, entry: int = 5) -> bytes:
        pins = self.pins({})
        said = erasure_statement(sha(self.manifest_bytes), pins, entry=entry, files=files)
        return sign(STATEMENT_TYPE, said, self.key).to_bytes()

    def expiry(self, key: SigningKey | None = None) -> bytes:
        said = retention_statement(
            sha(self.manifest_bytes), self.pins({}), deleted_us=AT_US, keep="1095 days",
            reason="audits",
        )  # fmt: skip
        return sign(STATEMENT_TYPE, said, key or self.key).to_bytes()

    def receipt(self, proof: bytes | None = None, **facts: Any) -> bytes:
        """The receipt of entry 1: ann said on."""
        _, choice = self.choice(1)
        made = issued(
            **{
                "index": 1,
                "commitment": self.choice_commitment(1),
                "country": Country("DE"),
                "choice": Choice(choice["choice"]),
                "effective_at": instant(choice["effective_us"]),
                "recorded_at": instant(choice["recorded_us"]),
                "channel": choice["channel"],
                "setting_version": None,
                **facts,
            }
        )
        made = with_proof(made, proof) if proof else made
        return sign_receipt(made, self.key).to_bytes()


BUILD = canonical_json({"built_us": AT_US})
RULEBOOK = {"digest": ONE, "title": "é"}
GIVEN = Given((KEY.public,), POLICY)


def instant(us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def split(leaves: bytes) -> list[bytes]:
    return [leaves[at : at + 64] for at in range(0, len(leaves), 64)]


def checked(files: Mapping[str, bytes], given: Given = GIVEN) -> Report:
    """The report on a folder in memory."""
    return verify_folder(lambda: PackFiles(files), given)


def packed(files: Mapping[str, bytes], kind: str = "member", key: SigningKey = KEY) -> bytes:
    return pack_bytes(kind, {"member": "ann"}, files, key, AT_US)


def failed(report: Report) -> tuple[str, str]:
    """The name of the check that failed, and what it said."""
    assert not report.is_sound, report.lines()
    assert report.error is not None
    return report.checks[-1].name, report.checks[-1].words
