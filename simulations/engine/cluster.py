"""The runner on an existing Dask cluster (extra `cluster`).

Workers need this package installed, in the driver's version, and nothing else: no shared disk. Rows stream back to one
journal beside the driver, with a bounded number of cells under way. A cell counts as finished once it stands there, so the
end of a worker, of the scheduler or of the driver loses none.

On SLURM, dask-jobqueue starts the cluster, and its address is what `--scheduler` takes:

    from dask_jobqueue import SLURMCluster
    cluster = SLURMCluster(cores=32, processes=32, memory="64GB", walltime="08:00:00")
    cluster.scale(jobs=4)
    print(cluster.scheduler_address)

One thread per process is the intended use: BLAS is held to one thread in every worker process that computed a cell, until
that process ends.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import itertools
import logging
import math
import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from certify.records import CertifyError, Refused
from simulations.engine.journal import Writer, new_journal
from simulations.engine.study import Outcome, Study, compute, load, one_thread
from simulations.engine.sweep import Stop, Task

CONNECT_SECONDS = 20
LOOK_SECONDS = 5.0
POLL_SECONDS = 1.0
PER_THREAD = 2
FEWEST = 8


def remote(name: str, version: int, task: Task) -> Outcome:
    """Compute one task on a worker; a worker with another version of the study is refused."""
    study = load(name)
    if study.version != version:
        raise Refused(f"a worker has {name} version {study.version} and the driver version {version}; install one version")
    _one_thread_for_good()
    return compute(study, task.cell, task.attempt)


@functools.cache
def _one_thread_for_good() -> contextlib.ExitStack:
    """Tasks of one process overlap, so that none may give the threads back when it ends."""
    stack = contextlib.ExitStack()
    stack.enter_context(one_thread())
    return stack


def require_dask() -> Any:
    """The module `distributed`, or one sentence."""
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise Refused(f"--scheduler needs Dask ({error}); pip install 'certify[cluster]'") from None


def cluster(study: Study, tasks: Iterator[Task], folder: Path, stop: Stop, *, address: str) -> Iterator[bool]:
    """The runner on the cluster at `address`."""
    distributed = require_dask()
    with _silence():
        try:
            client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise Refused(f"--scheduler {address}: no Dask scheduler answers ({_first_line(error)})") from None
        try:
            with Writer(new_journal(folder)) as journal:
                for outcome in _Stream(distributed, client, study, address).outcomes(tasks, stop):
                    journal.append(outcome)
                    yield bool(outcome.error)
        except (OSError, TimeoutError) as error:
            raise Refused(_lost(address, _first_line(error))) from None
        finally:
            client.close(timeout=CONNECT_SECONDS)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """No log lines of Dask and tornado: what they would say becomes one sentence."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


class _Stream:
    """Tasks to a cluster and outcomes back, in the order in which they finish."""

    def __init__(self, distributed: Any, client: Any, study: Study, address: str) -> None:
        self.distributed, self.client, self.study, self.address = distributed, client, study, address
        self.under_way: dict[str, tuple[Task, Any]] = {}
        self.ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.window, self.looked = FEWEST, -math.inf
        self.withdrawn = False

    def outcomes(self, tasks: Iterator[Task], stop: Stop) -> Iterator[Outcome]:
        """Submit, wait, hand back; PER_THREAD tasks a thread of the cluster under way, at least FEWEST."""
        self.submit(tasks)
        while self.under_way:
            batch = self.batch(stop)
            # A row lost with its worker is waited for again; None stands for a future with an error.
            rows = self.client.gather({future.key: future for future in batch}, errors="skip")
            for future in batch:
                task, _ = self.under_way.pop(future.key)
                outcome = rows[future.key]
                yield self.unfinished(future, task) if outcome is None else outcome
            if not stop.requested:
                self.submit(tasks)

    def submit(self, tasks: Iterator[Task]) -> None:
        """Fill the window; the cluster is asked for its size every LOOK_SECONDS."""
        if time.monotonic() - self.looked > LOOK_SECONDS:
            self.window = max(FEWEST, PER_THREAD * sum(self.client.nthreads().values()))
            self.looked = time.monotonic()
        for task in itertools.islice(tasks, max(0, self.window - len(self.under_way))):
            key = f"{self.study.name}-{task.cell.key.hex()}-{task.attempt}"
            future = self.client.submit(remote, self.study.name, self.study.version, task, key=key, pure=False)
            self.under_way[key] = task, future
            future.add_done_callback(self.ended.put)

    def batch(self, stop: Stop) -> list[Any]:
        """All futures that have ended by now: at least one, unless a stop has left nothing to wait for."""
        while self.under_way:
            found = []
            with contextlib.suppress(queue.Empty):
                found.append(self.ended.get(timeout=POLL_SECONDS))
                while not self.ended.empty():
                    found.append(self.ended.get())
            if stop.requested:
                self.withdraw()
            elif not found and self.client.status == "closed":
                raise Refused(_lost(self.address, "connection closed"))
            if found := [future for future in found if future.key in self.under_way]:
                return found
        return []

    def withdraw(self) -> None:
        """Take back, once, the tasks that no worker has been given."""
        if self.withdrawn:
            return
        self.withdrawn = True
        given = {key for keys in self.client.processing().values() for key in keys}
        waiting = [key for key, (_, future) in self.under_way.items() if future.status == "pending" and key not in given]
        self.client.cancel([self.under_way.pop(key)[1] for key in waiting])

    def unfinished(self, future: Any, task: Task) -> Outcome:
        """Only a cell that ended its workers is a failed cell; other errors are the cluster's, and refused."""
        if future.status != "error":
            raise Refused(_lost(self.address, f"cell {future.status}"))
        problem = future.exception()
        if isinstance(problem, self.distributed.scheduler.KilledWorker):
            return Outcome(task.cell.key, 0.0, {}, "the worker process ended several times in this cell", task.attempt)
        if isinstance(problem, CertifyError):
            raise Refused(str(problem))
        sentence = f"a worker cannot compute cells ({type(problem).__name__}: {_first_line(problem)})"
        raise Refused(f"--scheduler {self.address}: {sentence}; install the driver's version of this package there")


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _lost(address: str, why: str) -> str:
    return f"--scheduler {address}: the cluster went away ({why}); finished cells are kept, the same command goes on"
