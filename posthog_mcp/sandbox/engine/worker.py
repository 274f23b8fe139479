"""The engine's process: `python -m posthog_mcp.sandbox.engine.worker DATA_DIR`, spoken to on its pipes.

It answers frames (see frames.py) whose header has `id` and `op`: `query`, `execute`, `insert`, `cancel`.
It ends with 0 as soon as its stdin closes, whatever is running: whoever started it is gone.
It ends with ENGINE_MISSING_EXIT when chdb is not installed.
"""

import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, BinaryIO, Final

from posthog_mcp.sandbox.engine import database, errors, frames
from posthog_mcp.sandbox.engine.errors import EngineError, EngineMissing

#: One more than the queries a project may run at once, so that no list waits until they have ended.
READERS: Final = 4
#: A worker whose parent was killed needs a moment to let go of the directory that the next one wants.
LOCK_SECONDS: Final = 3.0
END_SECONDS: Final = 2.0


class Job:
    """One statement, waiting for a thread or running in one."""

    def __init__(self, header: frames.Header, body: bytes) -> None:
        self.header = header
        self.body = body
        self.tag = f"job-{header['id']}"
        self.received = time.monotonic()
        self.done = threading.Event()
        self.future: Future[None] | None = None

    def seconds_left(self) -> float:
        """Return how much of its time limit is left, the wait for a thread counted."""
        return float(self.header["seconds"]) - (time.monotonic() - self.received)


class Worker:
    """Runs statements in a few threads and answers each as it ends."""

    def __init__(self, engine: database.Database, answers: BinaryIO) -> None:
        self._database = engine
        self._answers = answers
        self._answering = threading.Lock()
        self._jobs: dict[int, Job] = {}
        # Writes have a thread of their own, so that no slow query holds back ingestion.
        self._readers = ThreadPoolExecutor(READERS, "read")
        self._writer = ThreadPoolExecutor(1, "write")
        self._canceller = ThreadPoolExecutor(1, "cancel")
        self._runs: dict[str, Callable[[Job], bytes]] = {
            "query": self._query,
            "execute": self._execute,
            "insert": self._insert,
        }

    def take(self, header: frames.Header, body: bytes) -> None:
        """Start what a frame asks for; its answer follows from another thread."""
        if header["op"] == "cancel":
            self._canceller.submit(self._cancel, header["id"], header["target"])
            return
        job = Job(header, body)
        self._jobs[header["id"]] = job
        pool = self._readers if header["op"] == "query" else self._writer
        job.future = pool.submit(self._run, job)

    def end(self) -> None:
        """Stop every statement, then the engine."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._writer.shutdown(wait=False, cancel_futures=True)
        for job in list(self._jobs.values()):
            self._stop(job)
        self._database.close()

    def _run(self, job: Job) -> None:
        started = time.perf_counter()
        try:
            body = self._runs[job.header["op"]](job)
        except EngineError as error:
            self._fail(job.header["id"], error)
        except Exception as error:  # noqa: BLE001  the caller waits for an answer, whatever happened
            self._fail(job.header["id"], errors.stopped(f"The engine failed: {type(error).__name__}."))
        else:
            self._answer({"id": job.header["id"], "seconds": time.perf_counter() - started}, body)
        finally:
            job.done.set()
            self._jobs.pop(job.header["id"], None)

    def _query(self, job: Job) -> bytes:
        left = job.seconds_left()
        if left <= 0:
            raise EngineError(errors.TIMED_OUT, "TIMEOUT_EXCEEDED", "The query waited too long for its turn.")
        header = job.header
        return self._database.read(
            header["sql"], header["params"], seconds=left, tag=job.tag, extra=header["settings"]
        )

    def _execute(self, job: Job) -> bytes:
        self._database.write(job.header["sql"], job.header["params"], tag=job.tag)
        return b""

    def _insert(self, job: Job) -> bytes:
        written = self._database.insert(job.header["table"], job.body)
        return str(written).encode()

    def _cancel(self, identity: int, target: int) -> None:
        job = self._jobs.get(target)
        stopped = job is not None and self._stop(job)
        self._answer({"id": identity, "seconds": 0.0}, b"true" if stopped else b"false")

    def _stop(self, job: Job) -> bool:
        """Stop a job and wait, at most END_SECONDS, until it has ended."""
        if job.future is not None and job.future.cancel():
            self._jobs.pop(job.header["id"], None)
            self._fail(
                job.header["id"], EngineError(errors.CANCELLED, "QUERY_WAS_CANCELLED", "Query was cancelled.")
            )
            job.done.set()
            return True
        deadline = time.monotonic() + END_SECONDS
        # Asked again and again: a job that is about to start is not yet known to the engine.
        while not job.done.is_set() and time.monotonic() < deadline:
            self._database.kill(job.tag)
            job.done.wait(0.02)
        return job.done.is_set()

    def _fail(self, identity: int, error: EngineError) -> None:
        self._answer(
            {"id": identity, "error": {"code": error.code, "name": error.name, "message": error.message}}
        )

    def _answer(self, header: frames.Header, body: bytes = b"") -> None:
        with self._answering:
            try:
                frames.write(self._answers, header, body)
            except BrokenPipeError:
                # Nobody listens any more. The main thread sees the same end on stdin and stops everything.
                return


def main(arguments: list[str]) -> None:
    """Serve one data directory until stdin closes. Never returns."""
    requests, answers = _private_pipes()
    # Ctrl-C reaches the whole process group; the sandbox decides what it means and closes our stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        database.load()
        # Held open: the lock is its.
        lock = _lock(Path(arguments[0]))
        worker = Worker(_in_thread(lambda: database.Database(Path(arguments[0]))), answers)
    except EngineMissing:
        os._exit(errors.ENGINE_MISSING_EXIT)
    except EngineError as error:
        frames.write(answers, {"id": 0, "error": vars(error)})
        os._exit(1)
    frames.write(answers, {"id": 0, "ready": True})
    while (frame := frames.read(requests)) is not None:
        worker.take(*frame)
    # Whatever hangs in the engine must not outlive whoever started us.
    threading.Timer(END_SECONDS, os._exit, (0,)).start()
    worker.end()
    lock.close()
    # The interpreter's own way out runs the engine's destructors under threads that still hold it: a crash.
    os._exit(0)


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take stdin and stdout for ourselves: nothing else in the process can read or write the frames."""
    requests, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    return os.fdopen(requests, "rb"), os.fdopen(answers, "wb")


def _lock(path: Path) -> IO[str]:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = (path / "engine.lock").open("w")
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise errors.stopped(
                    f"The directory {path} is in use by another sandbox. Stop that one, or name another."
                ) from None
            time.sleep(0.05)
        else:
            return lock


def _in_thread(call: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


if __name__ == "__main__":
    main(sys.argv[1:])
