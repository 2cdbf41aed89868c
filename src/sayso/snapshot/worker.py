"""Worker processes that seal partitions.

Promises: a worker ends when its parent does. Started as programs of their own, so that a
script or notebook that builds needs no `if __name__ == "__main__"`.

The parent writes one JSON line per partition and reads one JSON line of results each.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from sayso.errors import UnavailableError
from sayso.snapshot.seal import Sealed, seal_partition
from sayso.tables import connect


def seal_all(
    partitions: list[Path], keys: Path, out: Path, workers: int, lock: int
) -> Iterator[list[Sealed]]:
    """Seal partitions in several processes; yield the results of each, in any order.

    Args:
        partitions: Each as `seal_partition` takes it.
        keys: The same.
        out: The same.
        workers: How many processes.
        lock: Descriptor that holds the lock on `out`. Workers hold it too, so that one that
            outlives a killed build for a moment keeps the next one out.

    Raises:
        UnavailableError: A worker ended before its work did.
    """
    idle: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
    program = "from sayso.snapshot.worker import serve; serve()"
    command = [sys.executable, "-c", program, str(keys), str(out)]
    # In a group of its own, a worker does not hear Ctrl-C: the parent does, and ends it.
    started = [
        subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
            pass_fds=(lock,),
        )
        for _ in range(min(workers, len(partitions)))
    ]
    for worker in started:
        idle.put(worker)

    def seal(partition: Path) -> list[Sealed]:
        worker = idle.get()
        try:
            return _ask(worker, partition)
        finally:
            idle.put(worker)

    try:
        with ThreadPoolExecutor(len(started) or 1) as pool:
            yield from pool.map(seal, partitions)
    finally:
        for worker in started:
            if worker.stdin:
                worker.stdin.close()
            worker.terminate()
            worker.wait()
            if worker.stdout:
                worker.stdout.close()


def _ask(worker: subprocess.Popen[str], partition: Path) -> list[Sealed]:
    try:
        assert worker.stdin is not None  # noqa: S101  both are pipes
        assert worker.stdout is not None  # noqa: S101
        worker.stdin.write(json.dumps(str(partition)) + "\n")
        worker.stdin.flush()
        return [Sealed(*one) for one in json.loads(worker.stdout.readline())]
    except (BrokenPipeError, ValueError):
        raise UnavailableError(
            "a worker ended before its work did", hint="check memory and disk, then build again"
        ) from None


def serve() -> None:
    """Seal what the parent names, until it closes the pipe."""
    keys, out = Path(sys.argv[1]), Path(sys.argv[2])
    with connect(threads=1) as con:
        for line in sys.stdin:
            sealed = seal_partition(con, Path(json.loads(line)), keys, out)
            sys.stdout.write(json.dumps(sealed) + "\n")
            sys.stdout.flush()
