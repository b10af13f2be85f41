"""The peer that ``overhead.py`` compares with: Celery over a Redis of its own, and nothing else.

    python examples/benchmarks/overhead_bare.py URL POOL        # what a worker is

Results are kept in Redis, messages are acknowledged late and fetched one at a time. There is no store, no placement, no
child process and no measurement. This file imports nothing of ours, so that its workers carry nothing of ours.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import psutil
from celery import Celery
from celery.result import AsyncResult
from qiskit import qasm2
from qiskit_aer import AerSimulator

POOLS = {"prefork": 2, "solo": 1, "threads": 2}
"""Celery's pools -> tasks at the same time."""

CHUNK = 50
"""Calls that travel in one message where many are sent at once: Celery's own way to batch."""

PATIENCE_S = 300.0
STOP_S = 10.0
WARM_UP = 20
LARGEST_BATCH = 1_000

HEADER = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'


@dataclass(frozen=True)
class Work:
    """A program as a user writes it, and its shots."""

    name: str
    text: str
    shots: int


NOOP = Work("no-op", HEADER + "qreg q[1];\ncreg c[1];\nmeasure q -> c;\n", 1)
"""The least that a quantum job can be. For bare Celery it is a task that does nothing."""

BELL = Work("2 qubits", HEADER + "qreg q[2];\ncreg c[2];\nh q[0];\ncx q[0],q[1];\nmeasure q -> c;\n", 100)

DISTINCT = "2 qubits, distinct"
MIXED = "2 qubits, mixed"
REPEATED = 10
"""Of mixed programs, each comes so many times."""


def distinct(num: int, seed: int, name: str = DISTINCT) -> list[Work]:
    """Programs of two qubits with random angles, no two alike."""
    rng = random.Random(seed)
    body = "qreg q[2];\ncreg c[2];\nry({}) q[0];\nry({}) q[1];\ncx q[0],q[1];\nmeasure q -> c;\n"
    return [Work(name, HEADER + body.format(rng.uniform(0, 3), rng.uniform(0, 3)), 100) for _ in range(num)]


def mixed(num: int, seed: int) -> list[Work]:
    """The like, most of them seen before."""
    programs = distinct(-(-num // REPEATED), seed, MIXED)
    return (programs * REPEATED)[:num]


def noop() -> None:
    """Do nothing."""


def run_circuit(text: str, shots: int) -> dict[str, int]:
    """Parse an OpenQASM 2 program, run it, count."""
    circuit = qasm2.loads(text)
    counts: dict[str, int] = _simulator(threading.get_ident()).run(circuit, shots=shots).result().get_counts()
    return counts


@lru_cache(maxsize=8)
def _simulator(_thread: int) -> AerSimulator:
    """One of its own for each thread."""
    return AerSimulator(method="statevector", max_parallel_threads=1)


def make_app(url: str, pool: str) -> Celery:
    """Celery with its two tasks; every pool has a queue of its own."""
    app = Celery("bare", broker=url, backend=url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        task_default_queue=f"bare.{pool}",
        broker_connection_retry_on_startup=True,
        worker_hijack_root_logger=False,
    )
    app.task(name="bare.noop")(noop)
    app.task(name="bare.run_circuit")(run_circuit)
    return app


class Bare:
    """Bare Celery with one of its pools."""

    def __init__(self, name: str, app: Celery, worker: psutil.Process) -> None:
        self.name = name
        self.workers = [worker]
        self._app = app

    def one_by_one(self, works: Sequence[Work]) -> None:
        """Send them, one message each, then wait for all results."""
        sent = [self._send(work) for work in works]
        for result, work in zip(sent, works, strict=True):
            _check(result, work)

    def batch(self, works: Sequence[Work]) -> None:
        """Send all of them in chunks, then wait for all results."""
        if works[0] is NOOP:
            task, arguments = self._app.tasks["bare.noop"], [()] * len(works)
        else:
            task, arguments = self._app.tasks["bare.run_circuit"], [(work.text, work.shots) for work in works]
        chunks = task.chunks(arguments, CHUNK).apply_async().results  # as a group it would be asked twice a second
        given = [counts for chunk in chunks for counts in chunk.get(timeout=PATIENCE_S)]
        if len(given) != len(works):
            raise RuntimeError(f"{self.name}: {len(works)} tasks were sent in chunks, {len(given)} answers came")

    def single(self, work: Work) -> None:
        """Send one and wait for its result."""
        _check(self._send(work), work)

    def fill(self, num: int, seed: int) -> None:
        """Do so many jobs, for what they leave behind in memory."""
        for begin in range(0, num, LARGEST_BATCH):
            self.one_by_one(mixed(min(LARGEST_BATCH, num - begin), seed + begin))

    def _send(self, work: Work) -> AsyncResult:
        if work is NOOP:
            return self._app.tasks["bare.noop"].delay()
        return self._app.tasks["bare.run_circuit"].delay(work.text, work.shots)


def _check(result: AsyncResult, work: Work) -> None:
    counts = result.get(timeout=PATIENCE_S)
    if work is not NOOP and sum(counts.values()) != work.shots:
        raise RuntimeError(f"{work.shots} shots were wanted, {sum(counts.values())} came back")


@contextmanager
def bare_celery(url: str, pool: str, logs: Path) -> Iterator[Bare]:
    """A worker with that pool and its client, warm, for as long as the block lasts.

    Raises:
        celery.exceptions.TimeoutError: the worker does not come up; its log says why.
    """
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        log = stack.enter_context((logs / f"bare-{pool}.log").open("ab"))
        worker = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), url, pool],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,  # it ends with the benchmark, however that ends
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the benchmark, which ends its workers itself
        )
        stack.callback(_stop, worker)
        app = make_app(url, pool)
        stack.callback(_hang_up, app)
        system = Bare(f"bare {pool}", app, psutil.Process(worker.pid))
        for work in (NOOP, BELL):
            system.one_by_one([work] * WARM_UP)
        yield system


def _hang_up(app: Celery) -> None:
    """Give back the connections, before the server that they lead to ends."""
    app.backend.result_consumer.stop()
    app.backend.client.close()
    app.close()


def _stop(worker: subprocess.Popen[bytes]) -> None:
    with worker:
        worker.terminate()
        try:
            worker.wait(STOP_S)
        except subprocess.TimeoutExpired:
            worker.kill()


def _end_with_parent() -> None:
    os.read(0, 1)  # nobody writes there, so it returns when the other end is closed; sys.stdin has a lock, and forks
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Be a worker until a signal ends it, or the benchmark is gone."""
    url, pool = sys.argv[1:]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING"]
    size = ["--pool", pool, "--concurrency", str(POOLS[pool]), "--hostname", f"bare-{pool}@%h"]
    make_app(url, pool).worker_main(["worker", *size, *quiet])


if __name__ == "__main__":
    main()
