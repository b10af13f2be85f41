"""``python -m tests.faults.purchases``: purchases through the real client of Amazon Braket while everything goes wrong.

The provider is ``tests.servers.braket``. It accepts and then errs, accepts and hangs up, throttles, lets credentials
end, goes offline; and buyers are killed at a moment that nobody chose. Whoever comes after them knows the purchase id
alone, looks before anything is sent again, and goes on until the counts are there. What was sold the provider counts.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from backends.errors import CredentialsRefused, OutcomeUnknown, TransientFailure
from backends.remote import RemoteState, Ticket
from circuits.family import Run

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from backends.braket import Braket

T = TypeVar("T")

_NO_ANSWER = ("500", "close", "throttle")
BREAKS = {
    "CreateQuantumTask": (*_NO_ANSWER, "accept_then_500", "accept_then_close", "503", "expired", "offline", "quota"),
    "GetQuantumTask": (*_NO_ANSWER, "expired"),
    "SearchQuantumTasks": _NO_ANSWER,
}
"""Operation -> kinds of ``tests.servers.braket.Fault``."""

KILLS = 0.2
"""Share of the purchases whose first buyer is killed."""
LONGEST_S = 0.06
"""It lives at most so long, seconds: about what three tasks take."""
PATIENCE = 50


@dataclass
class Report:
    """What came of it.

    Attributes:
        faults: that were met, by operation and kind; killed buyers among them.
        num_tasks: that the provider sold.
        doubles: runs that were sold more than once.
        lost: purchases that never came to counts.
    """

    num_purchases: int = 0
    num_runs: int = 0
    num_tasks: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    doubles: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def campaign(*, seed: int, num_purchases: int, progress: Any = None) -> Report:
    """Buy so many times.

    Args:
        seed: of the faults; the moment of a kill is left to the machine.
        num_purchases: each of one to three runs.
        progress: a stream that is told how far it is.
    """
    from tests.servers.braket import serving

    rng, report, lost = random.Random(seed), Report(), []
    with serving() as service, tempfile.TemporaryDirectory() as cache:
        kept = dict(os.environ)
        os.environ |= service.environment(Path(cache))
        try:
            qpu, prepared = _shop()
            for number in range(num_purchases):
                runs = [Run(shots=rng.randint(1, 20)) for _ in range(rng.randint(1, 3))]
                breaks = [(name, rng.choice(kinds)) for name, kinds in BREAKS.items() for _ in range(rng.randint(0, 2))]
                service.admin("faults", [{"operation": name, "kind": kind} for name, kind in breaks])
                killed = rng.random() < KILLS and _killed_buyer(prepared, runs, f"p{number}", rng.random() * LONGEST_S)
                report.faults["buyer killed"] += killed
                if not _bought(qpu, prepared, runs, f"p{number}", doubtful=killed):
                    lost.append(f"p{number}")
                report.num_runs += len(runs)
                if progress is not None:
                    print(f"\r{number + 1} of {num_purchases} purchases", end="", file=progress, flush=True)
            told = service.admin("state")
        finally:
            os.environ.clear()
            os.environ.update(kept)
    report.faults += Counter(told["broken"])
    report.num_purchases, report.num_tasks = num_purchases, len(told["tasks"])
    report.doubles, report.lost = tuple(told["doubles"]), tuple(lost)
    return report


def _shop() -> tuple[Braket, list[QuantumCircuit]]:
    """A device that was asked, and a circuit for it."""
    from qiskit import QuantumCircuit

    from backends.backend import TranspileOptions
    from backends.braket import garnet

    qpu = garnet()
    qpu.refresh()
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    return qpu, qpu.prepare([circuit], TranspileOptions())


def _killed_buyer(prepared: Sequence[QuantumCircuit], runs: Sequence[Run], purchase_id: str, lives_s: float) -> bool:
    """Somebody buys in a process of his own and dies ``lives_s`` after he began."""
    from backends.braket import garnet

    listen, tell = os.pipe()
    buyer = os.fork()
    if buyer == 0:
        try:
            qpu = garnet()
            qpu.warm_up()
            os.write(tell, b"!")
            qpu.submit(prepared, runs, purchase_id=purchase_id)
        finally:
            os.write(tell, b"!")  # also if something went wrong
            signal.pause()  # the ticket dies with him
    os.read(listen, 1)  # he is about to buy
    time.sleep(lives_s)
    os.kill(buyer, signal.SIGKILL)
    os.waitpid(buyer, 0)
    os.close(listen)
    os.close(tell)
    return True


def _bought(
    qpu: Braket, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], purchase_id: str, *, doubtful: bool
) -> bool:
    """Whether the purchase came to counts. Looks before it sends again whenever it cannot know."""
    ticket: Ticket | None = None
    for _ in range(PATIENCE):
        if doubtful:
            ticket = _stubbornly(lambda: qpu.find(purchase_id, num_runs=len(runs)))
        if ticket is None or len(ticket.remote_ids) < len(runs):
            try:
                ticket = qpu.submit(prepared, runs, purchase_id=purchase_id)
            except OutcomeUnknown:
                doubtful = True
                continue
            except (TransientFailure, CredentialsRefused):
                continue
        break
    if ticket is None:
        return False
    for _ in range(PATIENCE):
        if _stubbornly(lambda: qpu.poll(ticket)).state is RemoteState.DONE:
            done = _stubbornly(lambda: qpu.fetch(ticket, runs))
            return [sum(counts.values()) for counts in done.execution.counts] == [run.shots for run in runs]
    return False


def _stubbornly(ask: Callable[[], T]) -> T:
    """A question is asked until there is an answer."""
    for _ in range(PATIENCE):
        try:
            return ask()
        except (TransientFailure, CredentialsRefused):
            continue
    return ask()


def main() -> int:
    """The exit code: 0 if nothing was bought twice or lost."""
    from tests.faults.evidence import RESULTS, results

    parser = argparse.ArgumentParser(description="Purchases at a local Amazon Braket that breaks its word.")
    parser.add_argument("--purchases", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of faults_braket.csv")
    chosen = parser.parse_args()
    sys.argv[0] = "-m tests.faults.purchases"
    report = campaign(seed=chosen.seed, num_purchases=chosen.purchases, progress=sys.stdout)
    columns = ("fault", "num_faults", "num_purchases", "num_runs", "num_tasks", "num_doubles", "num_lost")
    sold = (report.num_purchases, report.num_runs, report.num_tasks, len(report.doubles), len(report.lost))
    packages = ("amazon-braket-sdk", "boto3", "moto")
    with results("faults_braket", columns, seeds=str(chosen.seed), folder=chosen.out, packages=packages) as table:
        table.writerows((fault, number, "", "", "", "", "") for fault, number in sorted(report.faults.items()))
        table.writerow(("all", report.faults.total(), *sold))
    print(
        f"\n{report.faults.total()} faults over {report.num_purchases} purchases of {report.num_runs} runs: "
        f"{report.num_tasks} tasks sold, {len(report.doubles)} twice, {len(report.lost)} purchases lost"
    )
    return 1 if report.doubles or report.lost else 0


if __name__ == "__main__":
    sys.exit(main())
