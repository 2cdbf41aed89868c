"""A served release: what writes, for as long as its release may be served, and not longer.

Promises: law 13 while it runs. The ledger is asked before every text and before every piece
of one; where it grew, holds and rules are looked at, then every record that an adapter
learned from. What may not be served is let go of at once, also amid a text, whoever placed
the hold; a ledger that does not answer is a no. `watching` looks while nobody writes, and
puts a release in its place that was merged again without what is refused, or nothing; when
the whole release may be served again, it is. Never serves an adapter that the release which
was asked for does not hold.

Example:
    >>> with watching(ServedRelease(workspace, Path("releases/1a2b"))) as served:
    ...     "".join(served.stream(prompt, Sampling(seed=1)))       # doctest: +SKIP
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sayso.errors import InputError, IntegrityError, RefusedError, SaysoError, UnavailableError
from sayso.ledger.kept import size_and_deletions
from sayso.training.permit import LOOK_AGAIN
from sayso.training.places import RUNS, places
from sayso.training.release import Release, check_served, release, verify_release
from sayso.training.runs import load_run
from sayso.training.servable import standing_of
from sayso.workspace import Workspace
from sayso.writing.local import LocalModel, load_release
from sayso.writing.prompt import Prompt
from sayso.writing.provider import Sampling

# No reading of the ledger gives these.
NOTHING = (-1, -1)
# Between two looks while nobody writes; a look costs one indexed read.
LOOK_SECONDS = 0.1


class ServedRelease:
    """A provider of this platform's own.

    Args:
        workspace: Whose ledger is asked.
        folder: The release.
        base: Where the base stands, for merging again; None where it is the project's own.

    Raises:
        InputError: There is no release, or its run is not where it was noted.
        IntegrityError: Something of it differs from what was signed.
        RefusedError: It may not be served now.
        UnavailableError: The ledger did not answer, or the extra `train` is not installed.
    """

    def __init__(self, workspace: Workspace, folder: Path, *, base: Path | None = None) -> None:
        self._workspace = workspace
        self._folder = folder
        self._base = base
        self._whole = verify_release(folder)
        self._run = _run_folder(workspace, self._whole)
        # One looks, one mends, and whoever writes waits for neither to mend.
        self._looking, self._mending = threading.RLock(), threading.Lock()
        self._serving: LocalModel | None = None
        self._why = ""
        self._marks = NOTHING
        self._looked_at: datetime | None = None
        self._looks, self._mended_looks = 0, 0
        check_served(workspace, self._whole)
        self._serving = load_release(workspace, folder)
        self._look()
        self._need()

    # ---- as a provider ----

    @property
    def name(self) -> str:
        """The release, by the first digits of its digest."""
        return f"release {self._need().release.digest[:16]}"

    @property
    def recipient(self) -> None:
        """Nobody: the prompt stays here."""
        return

    def cuts(self, prompt: Prompt, sampling: Sampling) -> bool:
        """Whether the model reads less than the prompt."""
        return self._need().cuts(prompt, sampling)

    def stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[str]:
        """Yield the pieces of one text. Raises as `Provider.stream`."""
        self._look()
        serving = self._need()

        def may_go_on() -> None:
            if self._serving is serving:
                self._look()
            if self._serving is not serving:
                raise RefusedError(
                    f"stopped: {self._why or 'another release took its place'}",
                    hint="ask again; what was written so far is not to be used",
                )

        yield from serving.stream(prompt, sampling, may_go_on)

    # ---- what is served ----

    @property
    def serving(self) -> Release | None:
        """What is served; None for nothing."""
        found = self._serving
        return found.release if found else None

    @property
    def why(self) -> str:
        """Why the release that was asked for is not served; empty where it is."""
        return self._why

    def look(self) -> None:
        """Look at the ledger, and put in the place of what may not be served what may.

        Raises:
            SaysoError: Nothing may be served, or could be made that may.
        """
        self._look()
        with self._mending:
            looks = self._looks
            if self._mended_looks == looks:
                return
            try:
                self._mend()
            except SaysoError as error:
                # Why nothing is served any more says more than why nothing could be made.
                self._serve(None, self._why or error.message)
                raise
            finally:
                self._mended_looks = looks

    def _need(self) -> LocalModel:
        found = self._serving
        if found is None:
            raise RefusedError(
                f"the release may not be served: {self._why}",
                hint="release again with --leave-out, or wait until the hold is lifted",
            )
        return found

    def _serve(self, model: LocalModel | None, why: str) -> None:
        """Serve this, or nothing; what is new is looked at before its first text."""
        with self._looking:
            self._serving, self._why = model, why
            self._marks, self._looked_at = NOTHING, None

    def _look(self) -> None:
        """Let go of what may not be served any more.

        Raises:
            UnavailableError: The ledger did not answer; nothing is served then.
        """
        with self._looking:
            try:
                marks, at = self._read_marks(), self._workspace.clock()
                fresh = self._looked_at is not None and at - self._looked_at < LOOK_AGAIN
                if marks == self._marks and fresh:
                    return
                self._judge()
            except (SaysoError, OSError) as error:
                why = error.message if isinstance(error, SaysoError) else "the system refused"
                self._serve(None, why)
                raise
            self._marks, self._looked_at = marks, at
            self._looks += 1

    def _judge(self) -> None:
        """Compare what is served with holds and rules first, which is quick; then by record."""
        if self._serving is None:
            return
        try:
            check_served(self._workspace, self._serving.release)
        except RefusedError as refused:
            self._serving, self._why = None, refused.message
            return
        refused_now = self._refused()
        if refused_now.keys() & self._serving.release.adapters.keys():
            self._serving, self._why = None, _told(refused_now)

    def _mend(self) -> None:
        """Serve all that was asked for, without what is refused now."""
        whole, now = self._whole.adapters.keys(), self._serving
        if now is not None:
            refused_now = self._refused()
            wanted = whole - refused_now.keys()
            if wanted == now.release.adapters.keys():
                return
            if wanted == whole and self._folder.is_dir():
                self._serve(load_release(self._workspace, self._folder), "")
                return
        made = release(
            self._workspace, self._run, self._folder.parent, base=self._base, leave_out=True,
            merge=self._whole.merge,
        )  # fmt: skip
        if not made.release.adapters.keys() <= whole:
            raise RefusedError(
                "what could be merged holds adapters that were not asked for",
                hint="release again, and serve that",
            )
        left_out = {name: made.left_out[name] for name in whole & made.left_out.keys()}
        self._serve(load_release(self._workspace, made.path), _told(left_out))

    def _refused(self) -> Mapping[str, tuple[str, ...]]:
        """Return shard -> why its adapter may not be served now, after reading every record.

        Raises:
            IntegrityError: Another run stands where the release's run stood.
        """
        standing = standing_of(self._workspace, self._run)
        if standing.run.digest != self._whole.run:
            raise IntegrityError(
                f"'{self._run}' is not the run of this release", hint="bring back the run"
            )
        return standing.refused

    def _read_marks(self) -> tuple[int, int]:
        """Return the ledger's size, and how often something that was kept was deleted.

        Raises:
            UnavailableError: The database did not answer, or its file is gone.
        """
        ledger = self._workspace.ledger
        name = ledger.engine.url.database
        # SQLite would go on reading a file that was taken away.
        if ledger.engine.dialect.name == "sqlite" and name and not Path(name).exists():
            raise UnavailableError(
                "the ledger did not answer, and so nothing is served", hint="try again later"
            )
        return size_and_deletions(ledger)


def _told(refused: Mapping[str, tuple[str, ...]]) -> str:
    return next((f"'{name}': {', '.join(why)}" for name, why in sorted(refused.items())), "")


def _run_folder(workspace: Workspace, found: Release) -> Path:
    """Return where the run of a release stands; without it nobody knows what was learned."""
    folder = places(workspace.path, RUNS).get(found.run)
    if folder is None or not folder.is_dir():
        raise InputError(
            "the run of this release is not where it was noted, so nobody can look at its records",
            hint="bring it back, or train and release again",
        )
    if load_run(folder).digest != found.run:
        raise IntegrityError(
            f"'{folder}' is not the run of this release", hint="bring back the run as it was"
        )
    return folder


@contextmanager
def watching(served: ServedRelease, every_seconds: float = LOOK_SECONDS) -> Iterator[ServedRelease]:
    """Look again and again in a thread, until the block ends."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(every_seconds):
            try:
                served.look()
            except (SaysoError, OSError):
                continue  # nothing is served; the next look may find otherwise

    watcher = threading.Thread(target=look, name="sayso-watching", daemon=True)
    watcher.start()
    try:
        yield served
    finally:
        ended.set()
        watcher.join()
