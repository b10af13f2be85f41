"""Judging a policy from another one's log, against really running it.

    python examples/benchmarks/off_policy.py [--quick]

The same jobs run one after the other under `random`, `eft` and `greedy`, each in a store of its own, in turn job by
job, so that whatever else the machine does meets all three alike. Before, every program has run once on every backend
that can take it, pinned: the three cost models know the same. Then `eft` and `greedy` are judged from the log of
`random` alone, and compared with what they really cost. A row is one estimate of one seed; "inside" says whether its
95 % interval holds the mean that was really measured, which has an interval itself. Nothing is tuned on these jobs.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from evidence import results

from orchestrator import Client, JobSpec, Limits, Objective
from orchestrator.client import job_spec
from orchestrator.job import Times
from orchestrator.settings import Settings
from orchestrator.sql.archive import Wanted
from orchestrator.sql.store import SqlStore
from policies import load
from policies.evaluation import answers_of, play, rows_of
from policies.off_policy import Value, difference, estimate
from policies.replay import Call, Tally, calls
from workers.compare.workload import FILES
from workers.decision_log import DecisionLog, of_store

PROGRAMS = [one for one in FILES if one.stem != "teleport"]
"""Those without mid-circuit measurements."""

FLEET = ("virtual_manila", "virtual_nairobi", "fake_guadalupe", "fake_hanoi")
"""Emulated devices, two of them with a truth that the cost model has to learn; their own times count, not this
machine's, so that costs are theirs."""

LOGGING, JUDGED = "random", ("eft", "greedy")
OBJECTIVES = (Objective(1.0, 0.0, 1.0, 1.0), Objective(2.0, 0.0, 0.5, 0.5), Objective(0.25, 0.0, 2.0, 0.25))
TIMEOUT_S = 300.0
COLUMNS = "seed policy estimator jobs estimate low high really really_low really_high inside effective_jobs"


def workload(num_jobs: int, seed: int) -> list[JobSpec]:
    """Small programs with what matters to their users, all from the seed."""
    generator = np.random.default_rng(seed)
    specs = []
    for number in range(num_jobs):
        program = PROGRAMS[int(generator.integers(len(PROGRAMS)))]
        objective = OBJECTIVES[int(generator.integers(len(OBJECTIVES)))]
        shots = int(generator.choice([500, 2000]))
        limits = Limits(timeout_s=60.0)
        specs.append(job_spec(program, shots=shots, objective=objective, limits=limits, seed=1000 * seed + number))
    return specs


def run(num_jobs: int, seed: int, folder: Path) -> None:
    """The jobs under each policy, into a store each."""
    specs = workload(num_jobs, seed)
    with ExitStack() as stack:
        settings = {
            name: Settings(data_dir=folder / name, backends=FLEET, times=Times.EMULATED) for name in (LOGGING, *JUDGED)
        }
        clients = {name: stack.enter_context(Client(settings=one)) for name, one in settings.items()}
        for client in clients.values():
            for path in PROGRAMS:
                for offer in client.quote(path, shots=500).offers:
                    if not offer.rejections:
                        client.submit(path, shots=500, pin=offer.backend).result(TIMEOUT_S)
        for number, spec in enumerate(specs, start=1):
            for name, client in clients.items():
                (handle,) = client.submit_many([replace(spec, policy=name)])
                handle.result(TIMEOUT_S)
            print(f"\rseed {seed}: {number} of {num_jobs} jobs", end="", flush=True)
    print()


def really(folder: Path) -> Value:
    """Mean cost of the jobs of a store, measured."""
    store, log = _log(folder)
    rows = rows_of(_calls(log), cache(load), LOGGING, log.measured())
    store.close()
    return difference(rows.cost, np.zeros(len(rows)), rows.batch)


def judged(folder: Path, name: str) -> tuple[dict[str, Value], float, int]:
    """Every estimate of a policy's mean cost from the log of `random`; effective jobs, and jobs."""
    store, log = _log(folder)
    measured = log.measured()
    found = estimate(rows_of(_calls(log), cache(load), name, measured))
    played = play(_calls(log), answers_of(load(name)), measured, log.now)
    batch = np.arange(len(played.cost))
    store.close()
    values = dict(found.values) | {"played": difference(played.cost, np.zeros(len(batch)), batch)}
    return values, found.effective_jobs, found.num_jobs


def _settings(folder: Path) -> Settings:
    return Settings(data_dir=folder, backends=FLEET, times=Times.EMULATED)


def _log(folder: Path) -> tuple[SqlStore, DecisionLog]:
    settings = _settings(folder)
    store = SqlStore(settings.resolved_store_url)
    return store, of_store(store, Wanted(), (), settings)


def _calls(log: DecisionLog) -> list[Call]:
    return list(calls(log.decisions(), Tally()))


def main() -> None:
    """Run, judge, write, print."""
    quick = "--quick" in sys.argv[1:]
    num_jobs, seeds = (30, [1]) if quick else (100, [1, 2, 3])
    name = "off_policy_quick" if quick else "off_policy"
    with results(name, COLUMNS.split(), seeds=f"{seeds} of the jobs, 7 of the bootstrap") as table:
        for seed in seeds:
            with tempfile.TemporaryDirectory() as made:
                folder = Path(made)
                run(num_jobs, seed, folder)
                table.writerow(_row(seed, LOGGING, "measured", num_jobs, really(folder / LOGGING)))
                for policy in JUDGED:
                    truth = really(folder / policy)
                    values, effective, measured = judged(folder / LOGGING, policy)
                    for estimator, value in values.items():
                        inside = int(value.low <= truth.value <= value.high)
                        row = _row(seed, policy, estimator, measured, value)
                        figures = [f"{one:.4f}" for one in (truth.value, truth.low, truth.high)]
                        table.writerow([*row, *figures, inside, f"{effective:.0f}"])
                        print(
                            f"  {policy:7} {estimator:30} {value.value:.3f} ({value.low:.3f} to {value.high:.3f}), "
                            f"really {truth.value:.3f}",
                            flush=True,
                        )


def _row(seed: int, policy: str, estimator: str, num_jobs: int, value: Value) -> list[Any]:
    return [seed, policy, estimator, num_jobs, *(f"{one:.4f}" for one in (value.value, value.low, value.high))]


if __name__ == "__main__":
    main()
