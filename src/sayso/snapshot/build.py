"""Build and rebuild: from published rules, choices and content to an immutable snapshot.

Promises: a record is admitted only if every looked-up mask is empty; what is not finished
has no manifest and another name; the same inputs, instant, known, rulebook and keys give
the same bytes. Does not train.

Life of a build: fold the members' standing; classify them; one pass over the ids for
repeats; one pass that decides, counts and partitions; threads seal each partition; manifest,
card and evidence are written; everything is flushed; the ledger takes the snapshot's entry;
the folder gets its name.
"""

import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sayso.canonical import encode
from sayso.decision.cells import Cells, tabulate
from sayso.decision.states import MemberStates
from sayso.errors import InputError, UnavailableError
from sayso.ledger.erase import work_left
from sayso.ledger.keys import BUCKETS, Fetched
from sayso.ledger.rows import MEMBERS, NOTICES
from sayso.ledger.store import PublicEntry, temporary_name
from sayso.ledger.versions import stand_at, version_at
from sayso.log import root_of
from sayso.model import SEMANTICS, Reason
from sayso.rulebook.civil import TZDATA_VERSION
from sayso.rulebook.in_force import in_force
from sayso.snapshot import card
from sayso.snapshot.changes import any_time_between, otherwise, said_since, same_record_part
from sayso.snapshot.erase import erase_in
from sayso.snapshot.evidence import FOLDER, STANDING, Run, pin_log, write_proofs, write_statements
from sayso.snapshot.folder import is_listed, link, making
from sayso.snapshot.keyed import erased_meanwhile, prepare_keys
from sayso.snapshot.known import announced, note_finished
from sayso.snapshot.load import verified_buckets
from sayso.snapshot.manifest import (
    FORMAT,
    NAME,
    Bucket,
    Input,
    Manifest,
    RulebookPin,
    StandingPin,
    Versions,
    bucket_name,
    canonical_json,
    iso,
    load_manifest,
)
from sayso.snapshot.notes import read_notes, visiting
from sayso.snapshot.request import Built, Request, Rules, Tools, fold_states
from sayso.snapshot.seal import Kept, Part, Sealed, seal_all
from sayso.snapshot.standing import Standings, commit_standings, tag_bytes
from sayso.snapshot.stream import Partitions, Pass, partitions_for, repeated_in, run_pass
from sayso.snapshot.tally import COUNTS_SCHEMA, NO_BUCKET, Tally, by_country, in_total
from sayso.tables import Table, connect, flush, open_table, reading, sha256_of

# DuckDB may use this much before it spills; the whole build stays below 2 GiB.
DUCKDB_BYTES = 900 << 20
COUNTS_NAME = "counts.parquet"


# ---- build ------------------------------------------------------------------------------


def build(tools: Tools, rules: Rules, request: Request) -> Built:
    """Build a snapshot.

    Raises:
        ConflictError: `out` exists, or another process builds it.
        InputError: An input cannot be read.
        UnavailableError: The ledger did not answer.
    """
    with making(request.out) as folder, announced(tools.ledger, request.out):
        job = _Job(tools, rules, request, folder)
        try:
            return job.run(None, None)
        finally:
            job.close()


def rebuild(tools: Tools, rules: Rules, request: Request, base: Path, old_rules: Rules) -> Built:
    """Build a snapshot, taking from `base` every bucket that cannot have changed.

    Raises:
        ConflictError: `out` exists, or another process builds it.
        InputError: An input cannot be read, or `base` is no finished snapshot.
        IntegrityError: `base` disagrees with its manifest.
    """
    old = load_manifest(base)
    ledger = tools.ledger
    if ledger.latest("snapshot", ledger.size(), manifest=old.digest) is None:
        raise InputError(
            f"'{base}' is no snapshot of this workspace", hint="build it here, then rebuild"
        )
    with making(request.out) as folder, announced(tools.ledger, request.out):
        job = _Job(tools, rules, request, folder)
        try:
            return job.run(job.changed_since(old, base, old_rules), base)
        finally:
            job.close()


class _Job:
    """One build in the making; holds the connection and the working files."""

    def __init__(self, tools: Tools, rules: Rules, request: Request, folder: Path) -> None:
        self.tools, self.rules, self.request = tools, rules, request
        self.folder = folder
        self.work = folder / "work"
        self.work.mkdir()
        (folder / "records").mkdir()
        (folder / "evidence").mkdir()
        self.duck = connect(threads=tools.threads, memory_bytes=DUCKDB_BYTES, spill=self.work)
        self.duck.execute("SET preserve_insertion_order = false")
        with reading(request.content):
            self.content = open_table(self.duck, request.content)
            ((rows,),) = self.duck.sql(f"SELECT count(*) FROM {self.content.sql}").fetchall()
            self.rows = int(rows)
        self.members = None
        if request.members is not None:
            with reading(request.members):
                self.members = open_table(self.duck, request.members)
        # A digest takes one thread and no lock, keys wait for the database: nobody need wait
        # for either.
        self._reader = ThreadPoolExecutor(2)
        self._digest = self._reader.submit(sha256_of, self.content.paths)
        self._keys = self._reader.submit(self._fetch_keys)
        self.log = pin_log(tools.ledger, tools.trust, request.known)
        self.cells = tabulate(in_force(rules.book, request.purpose, request.at))
        self._after: MemberStates | None = None
        self._has_single_ids = False
        self._erased = 0  # how many members were, before the fold
        self._base: Future[list[tuple[int, Path, Bucket]]] = Future()

    def close(self) -> None:
        """Let go of the files."""
        self._reader.shutdown(cancel_futures=True)
        self.duck.close()

    @cached_property
    def inputs(self) -> dict[str, Input]:
        """The files that the snapshot is made from; waits for their digests."""
        request = self.request
        self.tools.progress("digesting the inputs", 0)
        found = {
            "content": Input(
                name=request.content.name, sha256=self._digest.result(), rows=self.rows
            )
        }
        if self.members is not None and request.members is not None:
            with reading(request.members):
                ((rows,),) = self.duck.sql(f"SELECT count(*) FROM {self.members.sql}").fetchall()
            found[MEMBERS] = Input(
                name=request.members.name, sha256=sha256_of(self.members.paths), rows=int(rows)
            )
        for kind in (MEMBERS, NOTICES):
            if kind in found:
                continue
            version = version_at(self.tools.ledger, kind, request.known)
            if version is not None:
                found[kind] = Input(
                    name=f"entry {version.entry}", sha256=version.root, rows=version.rows
                )
        return found

    def _fetch_keys(self) -> Fetched:
        with self.tools.ledger.reading() as con:
            return self.tools.ledger.keys.fetch(con)

    def _states(self, cells: Cells, known: int, members: Table | None) -> MemberStates:
        self.tools.progress("folding the members", 0)
        source = self.request.members or self.request.content
        content_ids = (
            f"(SELECT DISTINCT {self.content.id('member_id')} member_id FROM {self.content.sql})"
        )
        with self.tools.ledger.reading() as con:
            self._erased = self.tools.ledger.keys.count_erased(con)
        with reading(source):
            return fold_states(
                self.tools.ledger,
                self.duck,
                cells,
                known,
                members=members,
                integer_ids=self.content.has_integers("member_id"),
                others=(content_ids,),
            )

    # ---- what changed ----

    def changed_since(self, old: Manifest, base: Path, old_rules: Rules) -> pa.Array | None:
        """Return the ids of members whose records may differ from `base`; None: anybody's."""
        self._base = self._reader.submit(lambda: list(verified_buckets(base)))
        same_moment = (
            old.at == iso(self.request.at)
            and old.known <= self.request.known
            and old_rules.book.digest == self.rules.book.digest
        )
        if same_moment:  # needed whatever the answer, and the digests are still being made
            self._after = self._states(self.cells, self.request.known, self.members)
        same = (
            old.purpose == self.request.purpose
            and old.inputs["content"].sha256 == self.inputs["content"].sha256
            and old.versions == Versions(semantics=SEMANTICS, tzdata=TZDATA_VERSION)
            and is_listed(base, old, COUNTS_NAME)
            # Its member table can be read again only from the ledger.
            and MEMBERS in old.inputs
            and old.inputs[MEMBERS].name.startswith("entry ")
            and stand_at(self.tools.ledger, old.known)
        )
        if not same:
            return None
        # The same content: what the base found about its ids holds.
        self._has_single_ids = str(Reason.RECORD_UNKNOWN) not in old.counts.reasons
        ledger = self.tools.ledger
        with reading(self.request.content):
            if same_moment and old.inputs == self.inputs:  # only choices and erasures came
                return ledger.steadily(
                    lambda: said_since(
                        ledger, self.duck, self.content, old.known, self.request.known
                    )
                )
            old_cells = tabulate(in_force(old_rules.book, old.purpose, old.at_instant))
            if not same_record_part(old_cells, self.cells):
                return None
            if any_time_between(self.duck, self.content, old.at_instant, self.request.at):
                return None
        before = self._states(old_cells, old.known, None)
        # INVARIANT: the last fold is the one that is built; it leaves its erased members.
        self._after = self._states(self.cells, self.request.known, self.members)
        return otherwise(self.duck, before, self._after)

    # ---- the work ----

    def run(self, changed: pa.Array | None, base: Path | None) -> Built:
        """Make what changed, take the rest from `base`, and finish.

        Args:
            changed: The ids of members whose records may differ; None: anybody's.
            base: What they may differ from.
        """
        states = self._after or self._states(self.cells, self.request.known, self.members)
        repeated = self._reader.submit(self._repeated)
        self.tools.progress("keys", len(states.packed))
        keys = self.work / "keys.npy"
        keyed = prepare_keys(
            self.tools.ledger, self.duck, states, self._erased, self._keys.result(), keys
        )
        question = tag_bytes(self.request.purpose, iso(self.request.at), self.request.known)
        # Hashing holds no lock of Python: it goes on while the records are decided.
        standing = self._reader.submit(
            commit_standings, keyed.keys, keyed.codes, keyed.standings, question,
            self.folder / FOLDER / STANDING,
        )  # fmt: skip
        plan = Pass(self.duck, self.content, states, repeated.result())
        buckets = self._buckets_of(changed)
        if base is None or changed is None or len(buckets) > BUCKETS // 2:
            counts, sealed = self._everything(plan, keys)
            listed = sealed
        else:
            with visiting(base, alone=False):
                counts, listed, sealed = self._changes(plan, keys, base, changed, buckets)
        return self._finish(counts, dict(sorted(listed.items())), standing.result(), len(sealed))

    def _buckets_of(self, ids: pa.Array | None) -> frozenset[int]:
        if ids is None:
            return frozenset()
        self.duck.register("some_ids", pa.table({"member_id": ids}))
        bucket = self.tools.ledger.keys.sql_bucket("member_id")
        found = self.duck.sql(f"SELECT DISTINCT {bucket} FROM some_ids").fetchall()
        return frozenset(int(number) for (number,) in found)

    def _everything(self, plan: Pass, keys: Path) -> tuple[pa.Table, dict[int, Bucket]]:
        """Decide and count every record, and seal the admitted."""
        tally = Tally(plan.states.countries)
        partitions = Partitions(self.work, partitions_for(self.rows))
        with reading(self.request.content):
            (self.request.engine or run_pass)(plan, tally, partitions, self.tools.progress)
        return tally.table(), self._seal(partitions.close(), keys, None)

    def _changes(
        self, plan: Pass, keys: Path, base: Path, changed: pa.Array, buckets: frozenset[int]
    ) -> tuple[pa.Table, dict[int, Bucket], dict[int, Bucket]]:
        """Count the buckets that changed, seal them, and link the others.

        Returns:
            The counts, every bucket, and those that were sealed.

        Raises:
            IntegrityError: A file of the base is not the one that its manifest lists.
            ConflictError: It was replaced just now.
        """
        tally = Tally(plan.states.countries)
        partitions = Partitions(self.work, partitions_for(self.rows * len(buckets) // BUCKETS))
        with reading(self.request.content):
            run_pass(replace(plan, buckets=buckets), tally, None, self.tools.progress)
            theirs = replace(plan, members=changed)
            # Whoever stood back has nothing to bring in, and no text need be read for that.
            if run_pass(theirs, None, None, self.tools.progress):
                run_pass(theirs, None, partitions, self.tools.progress)
        replaced, files, listed = read_notes(base), {}, {}
        for number, path, bucket in self._base.result():
            if number in buckets:
                files[number] = path
            elif bucket.file in replaced:  # the buckets of the erased are made anew
                raise erased_meanwhile()
            else:
                link(path, self.folder / bucket.file)
                listed[number] = bucket
        kept = Kept(buckets, files, changed)
        sealed = self._seal(partitions.close(every=kept.buckets), keys, kept)
        before = pq.read_table(base / COUNTS_NAME, schema=COUNTS_SCHEMA)
        others = ~np.isin(before["bucket"].to_numpy(), [*buckets, NO_BUCKET])
        counts = pa.concat_tables([tally.table(), before.filter(pa.array(others))]).sort_by(
            [("bucket", "ascending"), ("country", "ascending"), ("mask", "ascending")]
        )
        return counts, listed | sealed, sealed

    def _repeated(self) -> pa.ChunkedArray:
        """Return the record ids that stand more than once."""
        if self._has_single_ids:
            return pa.chunked_array([], pa.string())
        return repeated_in(self.duck.cursor(), self.content, self.rows)

    def _seal(self, parts: list[Part], keys: Path, kept: Kept | None) -> dict[int, Bucket]:
        listed: dict[int, Bucket] = {}
        threads = self.tools.threads + 1  # one waits for the disk
        for results in seal_all(parts, keys, self.folder, threads, kept):
            listed |= {one.bucket: _listed(one) for one in results}
            self.tools.progress("sealing", sum(one.rows for one in listed.values()))
        return listed

    def _finish(
        self, counts: pa.Table, listed: dict[int, Bucket], standing: Standings, written: int
    ) -> Built:
        inputs = self.inputs
        self.duck.close()
        shutil.rmtree(self.work)
        pq.write_table(counts, self.folder / COUNTS_NAME)
        buckets = {f"{number:04d}": bucket for number, bucket in listed.items()}
        manifest = self._described(
            Manifest(
                format=FORMAT,
                purpose=self.request.purpose,
                at=iso(self.request.at),
                known=self.request.known,
                log=self.log,
                rulebook=RulebookPin(digest=self.rules.book.digest, entry=self.rules.entry),
                versions=Versions(semantics=SEMANTICS, tzdata=TZDATA_VERSION),
                inputs=inputs,
                counts=in_total(counts),
                by_country=by_country(counts),
                standing=StandingPin(rows=standing.rows, root=standing.root),
                buckets=buckets,
                files={},
                root=_root(buckets),
            )
        )
        stated = self._write(manifest)
        return Built(self.request.out, manifest, self._enter(manifest, stated), written)

    def _described(self, draft: Manifest) -> Manifest:
        """Write the pages for people; return the manifest that lists them."""
        files = card.describe(draft, self.rules.book)
        for name, text in files.items():
            (self.folder / name).write_bytes(text)
        digests = {name: sha256(text).hexdigest() for name, text in files.items()}
        digests[COUNTS_NAME] = sha256_of((self.folder / COUNTS_NAME,))
        return draft.model_copy(update={"files": dict(sorted(digests.items()))})

    def _write(self, manifest: Manifest) -> str:
        """Write the manifest and what is signed about it; return the statement's digest."""
        folder = self.folder
        (folder / FOLDER / "build.json").write_bytes(canonical_json(self._circumstances()))
        run = Run(self.tools.recorded_us, self.tools.clock())
        stated = write_statements(folder, manifest, self.tools.trust, run)
        made = folder / temporary_name(NAME)
        made.write_bytes(manifest.to_bytes())
        self.tools.progress("flushing", manifest.counts.admitted)
        for path in [*folder.glob("*"), *folder.glob(f"{FOLDER}/*"), folder]:
            flush(path)  # the bucket files were flushed as they were sealed
        # INVARIANT: where a manifest stands, everything that it lists is on disk.
        made.rename(folder / NAME)
        flush(folder)
        return stated

    def _enter(self, manifest: Manifest, stated: str) -> int:
        """Have the ledger take the snapshot, prove it, and give the folder its name."""
        ledger, folder, out = self.tools.ledger, self.folder, self.request.out
        payload = {
            "manifest": manifest.digest, "root": manifest.root, "purpose": manifest.purpose,
            "at": manifest.at, "known": manifest.known, "rulebook": manifest.rulebook.digest,
            "statement": stated, "standing": manifest.standing.root,
        }  # fmt: skip
        with ledger.writing() as con:
            receipt = ledger.append_public("snapshot", payload, self.tools.recorded_us, con)
            note_finished(con, ledger, out, receipt.index, manifest.digest)
        entry = PublicEntry(receipt.index, "snapshot", self.tools.recorded_us, payload)
        try:
            write_proofs(folder, manifest, entry, ledger, self.tools.trust)
        except UnavailableError:  # 'sayso log prove --snapshot' writes them later
            self.tools.progress("no witness answers: the proofs are still to be written", 0)
        if (left := work_left(ledger)).tags:  # who was erased before this entry
            erase_in(ledger, folder, left.buckets)
        if out.is_dir():
            out.rmdir()
        folder.rename(out)
        flush(out.parent)
        return receipt.index

    def _circumstances(self) -> dict[str, object]:
        """What is true of this build and not of its bytes."""
        return {
            "built_us": self.tools.recorded_us,
            "content": str(self.request.content.resolve()),
            "members": str(self.request.members.resolve()) if self.request.members else None,
            "duckdb": duckdb.__version__,
            "pyarrow": pa.__version__,
            "numpy": np.__version__,
        }


def _listed(one: Sealed) -> Bucket:
    return Bucket(file=bucket_name(one.bucket), rows=one.rows, root=one.root, sha256=one.sha256)


def _root(buckets: dict[str, Bucket]) -> str:
    """Return the root over the buckets' roots: what the ledger's entry commits to."""
    return root_of(
        [encode("sayso/bucket/v1", name, one.rows, one.root) for name, one in buckets.items()]
    ).hex()
