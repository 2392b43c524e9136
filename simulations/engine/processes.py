"""The runner on local processes. Each worker computes, writes a journal of its own and only then reports.

A worker that dies is replaced; what its journal holds counts as finished, the rest of its cells are computed again. A cell
that kills its worker DEADLY times in a row is recorded as failed.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from certify.records import CertifyError, Refused
from simulations.engine.journal import Writer, new_journal, records
from simulations.engine.study import Outcome, Study, compute, load, one_thread
from simulations.engine.sweep import Stop, Task

QUICK_SECONDS = 0.5
DEADLY = 3
FAILED_STARTS = 5
POLL_SECONDS = 0.1
READY = "ready"


def work(name: str, journal: Path, pipe: Connection) -> None:
    """Life of a worker: compute the tasks that come through the pipe until it closes or SIGTERM comes.

    Sends READY, then per finished cell whether it failed and its seconds; a sentence when it cannot go on.
    """
    stop = Stop()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: setattr(stop, "requested", True))
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            study = load(name)
            with one_thread(), Writer(journal) as writer:
                pipe.send(READY)
                while not stop.requested:
                    if not pipe.poll(POLL_SECONDS):
                        continue
                    task = pipe.recv()
                    outcome = compute(study, task.cell, task.attempt)
                    writer.append(outcome)
                    pipe.send((bool(outcome.error), outcome.seconds))
        except CertifyError as error:
            pipe.send(str(error))


@dataclass
class Worker:
    """A process, its journal, this end of its pipe, and the tasks it was given and has not reported."""

    process: Any
    journal: Path
    pipe: Connection
    given: deque[Task] = field(default_factory=deque)
    ready: bool = False
    dismissed: bool = False

    @classmethod
    def start(cls, name: str, folder: Path) -> Worker:
        """Spawn a worker."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        journal = new_journal(folder)
        process = context.Process(target=work, args=(name, journal, theirs), daemon=True)
        process.start()
        theirs.close()
        return cls(process, journal, ours)

    def give(self, task: Task) -> None:
        """Send a task; a worker that has just died keeps it among those to be given to another."""
        self.given.append(task)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send(task)

    def dismiss(self) -> None:
        """Ask for an end after the running cell, once."""
        if not self.dismissed:
            self.dismissed = True
            self.process.terminate()

    def reports(self) -> Iterator[Any]:
        """What has come through the pipe; ends with EOFError when the worker is gone."""
        while self.pipe.poll():
            yield self.pipe.recv()


class Pool:
    """The workers of one sweep. Quick cells are sent one ahead, so that no worker waits for the next."""

    def __init__(self, name: str, tasks: Iterator[Task], folder: Path, stop: Stop, size: int) -> None:
        self.name, self.folder, self.stop, self.size = name, folder, stop, size
        self.tasks = tasks
        self.again: deque[Task] = deque()
        self.deaths: Counter[bytes] = Counter()
        self.failed_starts = 0
        self.workers: list[Worker] = []
        self.exhausted = False
        self.ahead = 1

    def run(self) -> Iterator[bool]:
        """Yield whether a cell failed, for each that finishes."""
        try:
            self.feed()
            while self.workers:
                wait([worker.pipe for worker in self.workers], timeout=POLL_SECONDS)
                for worker in tuple(self.workers):
                    yield from self.hear(worker)
                self.feed()
        finally:
            self.end()

    def next_task(self) -> Task | None:
        """A task to give, those of dead workers first."""
        if self.again:
            return self.again.popleft()
        task = None if self.exhausted else next(self.tasks, None)
        self.exhausted = task is None
        return task

    def feed(self) -> None:
        """Keep `ahead` tasks with every worker; start workers while there are tasks; let those without any go."""
        if not self.stop.requested:
            for depth in range(self.ahead):
                for number in range(self.size):
                    if number < len(self.workers) and len(self.workers[number].given) > depth:
                        continue
                    task = self.next_task()
                    if task is None:
                        break
                    if number == len(self.workers):
                        self.workers.append(Worker.start(self.name, self.folder))
                    self.workers[number].give(task)
        for worker in self.workers:
            if self.stop.requested or not worker.given:
                worker.dismiss()

    def hear(self, worker: Worker) -> Iterator[bool]:
        """Take a worker's reports, or what it left behind."""
        try:
            for report in worker.reports():
                if report == READY:
                    worker.ready, self.failed_starts = True, 0
                elif isinstance(report, str):
                    raise Refused(report)
                else:
                    failed, seconds = report
                    worker.given.popleft()
                    self.ahead = 2 if seconds < QUICK_SECONDS else 1
                    yield failed
        except (EOFError, OSError):
            yield from self.bury(worker)

    def bury(self, worker: Worker) -> Iterator[bool]:
        """A worker is gone: count what its journal holds, and give the rest of its tasks to others."""
        worker.process.join()
        worker.pipe.close()
        self.workers.remove(worker)
        code = worker.process.exitcode
        left = {task.cell.key for task in worker.given}
        held = {}
        if left and worker.journal.exists():
            held = {
                record.outcome.key: bool(record.outcome.error) for record in records(worker.journal) if record.outcome.key in left
            }
        yield from held.values()
        rest = [task for task in worker.given if task.cell.key not in held]
        if code and not worker.ready:
            self.failed_starts += 1
            if self.failed_starts >= FAILED_STARTS:
                raise Refused(f"worker processes cannot start: {FAILED_STARTS} in a row ended with {_ending(code)}")
        elif code and rest:
            self.deaths[rest[0].cell.key] += 1
            if self.deaths[rest[0].cell.key] >= DEADLY:
                task = rest.pop(0)
                error = f"the worker process ended {DEADLY} times in this cell, last with {_ending(code)}"
                with Writer(new_journal(self.folder)) as writer:
                    writer.append(Outcome(task.cell.key, 0.0, {}, error, task.attempt))
                yield True
        self.again.extend(rest)

    def end(self) -> None:
        """Let every worker finish its cell and go."""
        for worker in self.workers:
            worker.dismiss()
        for worker in self.workers:
            worker.process.join()
            worker.pipe.close()
        self.workers.clear()


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def processes(study: Study, tasks: Iterator[Task], folder: Path, stop: Stop, *, workers: int) -> Iterator[bool]:
    """The runner on `workers` local processes."""
    with one_thread():
        yield from Pool(study.name, tasks, folder, stop, workers).run()
