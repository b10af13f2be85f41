"""How many decisions a second: with the estimates given, and with them made.

    python examples/benchmarks/decisions.py [--quick]

Times are processor time of this process, which uses one core: a decision does not get dearer because somebody else uses
the machine. "arrays" has the estimates in a table already, as policies that learn and a comparison of policies do;
"records" makes the table from the requests first, as placement does; "one by one" is the rule as it is written for one
job. "end to end" makes the estimates, too: priors from fits, corrected by a cost model that has seen each backend, and
what speaks against each backend. Fifty backends on ten workers; each job may go to about nine in ten of them. Random
estimates, with intervals; nothing here was tuned, so no seeds are kept apart.

The last rows compare whole batches: their total cost by the jobs' own objectives, waits included, against that of
`joint`, and against the optimum where batches are so small that all placements can be looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Annotated

import numpy as np
import typer
from evidence import results

from backends import load as load_backend
from circuits.facts import Features
from circuits.program import Program
from orchestrator.cost_model.model import CostModel
from orchestrator.deciding import Scene, with_candidates
from orchestrator.fleet import Fleet
from orchestrator.job import Estimate, Interval, Intervals, Job, JobSpec, JobState, Measurement, Objective
from orchestrator.placement import Backlog, Candidate, Choice, Lane, Policy, Request, Scales
from orchestrator.preparation import Fit, ProgramFacts
from orchestrator.store import Announcement, Waiting
from orchestrator.telemetry import Observation
from policies import load
from policies.bandit import LowerConfidence, Thompson
from policies.baselines import EarliestFinish, Greedy, OneByOne
from policies.joint import Plan, Schedule
from policies.table import Table

NUM_BACKENDS, NUM_WORKERS = 50, 10
BACKENDS = tuple(f"backend_{number:02}" for number in range(NUM_BACKENDS))
LANES = tuple(Lane(f"worker_{number}", 1, BACKENDS[number::NUM_WORKERS]) for number in range(NUM_WORKERS))
SCALES = Scales()
PROGRAM = Program("openqasm2", text="")
COLUMNS = "figure policy form jobs backends unit median low high target met"
WANTED = {("eft", "arrays"): 100_000.0, ("bandit", "arrays"): 5_000.0, ("bandit", "records"): 5_000.0}
JOINT_S = 0.5

Row = tuple[str, str, str, int, int, str, list[float], float | None]


def batch(num: int, seed: int, backends: Sequence[str] = BACKENDS) -> list[Request]:
    """Jobs with random estimates and intervals."""
    rng = np.random.default_rng(seed)
    requests = []
    for number in range(num):
        objective = Objective(latency=float(rng.choice([0.25, 1.0, 2.0])))
        spec = JobSpec(PROGRAM, seed=number, objective=objective)
        candidates = tuple(
            _candidate(name, rng, closed=rng.random() < 0.1 and name != backends[0]) for name in backends
        )
        requests.append(Request(f"job-{number}", number, spec, float(rng.random()), 0.0, candidates))
    return requests


def _candidate(name: str, rng: np.random.Generator, *, closed: bool) -> Candidate:
    service_s, fidelity, usd = float(rng.lognormal(-1.0, 1.0)), float(rng.uniform(0.7, 0.99)), float(rng.uniform(0, 1))
    factor = float(rng.uniform(1.1, 3.0))
    time_s = Interval(service_s / factor, service_s * factor)
    energy = Interval(30.0 * service_s / factor, 30.0 * service_s * factor)
    ends = Intervals(
        time_s, Interval(1 - (1 - fidelity) * factor, 1 - (1 - fidelity) / factor), energy, Interval(usd, usd)
    )
    seen = float(rng.integers(0, 30))
    estimate = Estimate(service_s, fidelity, 30.0 * service_s, usd, seen, intervals=ends)
    return Candidate(name, estimate, estimate, 0.0, "v", ("closed",) if closed else ())


def timed(run: Callable[[], object], repeats: int) -> list[float]:
    """Processor seconds of each run."""
    spent = []
    for _ in range(repeats):
        begun = time.process_time()
        run()
        spent.append(time.process_time() - begun)
    return spent


def given(num: int, repeats: int) -> Iterator[Row]:
    """Decisions with the estimates given."""
    requests = batch(num, seed=1)
    table = Table.of(requests, SCALES)
    for name, policy in (
        ("eft", EarliestFinish()),
        ("greedy", Greedy()),
        ("bandit", Thompson()),
        ("lcb", LowerConfidence()),
    ):
        live = load(name)

        def arrays(policy: EarliestFinish | Greedy | Thompson = policy) -> list[Choice]:
            return policy.decide(table, Backlog(LANES))

        def records(live: Policy = live) -> list[Choice]:
            return live.place(requests, Backlog(LANES), SCALES)

        if arrays() != records():
            raise RuntimeError(f"{name} decides otherwise on arrays")
        yield _rate(name, "arrays", num, timed(arrays, repeats))
        yield _rate(name, "records", num, timed(records, repeats))
        if isinstance(policy, OneByOne):

            def alone(policy: EarliestFinish | Greedy = policy) -> list[Choice]:
                return OneByOne.place(policy, requests, Backlog(LANES), SCALES)

            if alone() != arrays():
                raise RuntimeError(f"{name} decides otherwise one by one")
            yield _rate(name, "one by one", num, timed(alone, max(3, repeats // 3)))
    chances = timed(lambda: Thompson().chances(table.take(range(100)), Backlog(LANES)), 3)
    yield _rate("bandit", "chances", 100, chances)


def _rate(policy: str, form: str, num: int, spent: list[float]) -> Row:
    rates = [num / one for one in spent]
    return "decisions", policy, form, num, NUM_BACKENDS, "1/s", rates, WANTED.get((policy, form))


def together(repeats: int) -> Iterator[Row]:
    """A thousand jobs decided jointly."""
    for num in (100, 250, 1000):
        requests = batch(num, seed=2)
        spent = timed(lambda requests=requests: load("joint").place(requests, Backlog(LANES), SCALES), repeats)
        yield "joint batch", "joint", "records", num, NUM_BACKENDS, "s", spent, JOINT_S if num == 1000 else None
    num = 100
    spent = timed(lambda: load("nsga2").place(batch(num, seed=2), Backlog(LANES), SCALES), 3)
    yield "joint batch", "nsga2", "records", num, NUM_BACKENDS, "s", spent, None


def end_to_end(num: int, repeats: int) -> Iterator[Row]:
    """Decisions with the estimates made: what placement does for prepared jobs, apart from the store."""
    scene, facts, fits = _scene()
    spec = JobSpec(PROGRAM, shots=1000)
    waiting = [
        Waiting(Job(f"job-{number}", number, replace(spec, seed=number), JobState.SUBMITTED, 0.0, to_place=1000))
        for number in range(num)
    ]
    requests: list[Request] = []

    def estimate() -> None:
        requests[:] = [with_candidates(one, (facts, fits), scene) for one in waiting]

    spent = timed(estimate, repeats)
    pairs = [num * NUM_BACKENDS / one for one in spent]
    yield "estimates", "", "records", num, NUM_BACKENDS, "1/s", pairs, None
    for name, policy in {name: load(name) for name in ("eft", "bandit", "joint")}.items():

        def both(live: Policy = policy) -> None:
            estimate()
            live.place(requests, scene.backlog.copy(), SCALES)

        rates = [num / one for one in timed(both, repeats)]
        yield "end to end", name, "records", num, NUM_BACKENDS, "1/s", rates, None


def _scene() -> tuple[Scene, ProgramFacts, dict[str, Fit]]:
    """Fifty emulated devices under names of their own, and a cost model that has seen a run on each."""
    device = load_backend("fake_guadalupe").device()
    workers = {name: lane.worker for lane in LANES for name in lane.backends}
    roll = [Announcement(name, workers[name], 1, replace(device, name=name)) for name in BACKENDS]
    fleet = Fleet.of(roll)
    plain = Estimate(0.5, 0.9, 1.0, 0.0)
    measured = Measurement(0.0, 0.1, 0.4, 0.6, 0.7, 0.85, "hellinger", 0.999, None, 1.0, 0.0)
    seen = [
        Observation(
            name, name, name, "v", "program", PROGRAM.content_hash(), 5, 40, 1000, plain, plain, 0.0, measured, 0.0
        )
        for name in BACKENDS
        for _ in range(5)
    ]
    model = CostModel().fold(list(enumerate(seen, start=1)))
    facts = ProgramFacts("program", Features(5, 40, 40, 5, 10, 1, 1, 0, 5, 5, 0, False, True), False, None)
    fits = {name: Fit(5, 60, 0.9, 1e-5) for name in BACKENDS}
    return Scene(fleet, fleet.backlog((), 1.0), model, 1.0), facts, fits


def quality(num_batches: int) -> Iterator[Row]:
    """Total cost of whole batches over that of `joint`; of small ones, that of `joint` over the optimum."""
    of = {name: load(name) for name in ("random", "eft", "greedy", "joint", "nsga2")}
    for num in (50, 100):
        ratios: dict[str, list[float]] = {name: [] for name in of}
        for seed in range(num_batches):
            requests = batch(num, seed=100 + seed)
            plan = Plan(Table.of(requests, SCALES), Backlog(LANES))
            totals = {name: _total(plan, one.place(requests, Backlog(LANES), SCALES)) for name, one in of.items()}
            for name, total in totals.items():
                ratios[name].append(total / totals["joint"])
        for name in ratios:
            yield "cost over joint", name, "records", num, NUM_BACKENDS, "1", ratios[name], None
    gaps = []
    lanes = tuple(Lane(name, 1, (name,)) for name in BACKENDS[:3])
    for seed in range(10 * num_batches):
        plan = Plan(Table.of(batch(6, 1000 + seed, BACKENDS[:3]), SCALES), Backlog(lanes))
        feasible = (np.flatnonzero(np.isfinite(row)) for row in plan.own)
        gaps.append(_cost(plan, plan.best()) / min(_cost(plan, places) for places in product(*feasible)))
    yield "cost over optimum", "joint", "records", 6, 3, "1", gaps, None


def _total(plan: Plan, choices: Sequence[Choice]) -> float:
    where = {column: place for place, column in enumerate(plan.columns.tolist())}
    columns = {name: column for column, name in enumerate(BACKENDS)}
    return _cost(plan, [where[columns[next(iter(choices[row]))]] for row in plan.table.order])


def _cost(plan: Plan, places: Sequence[int] | np.ndarray) -> float:
    return Schedule(plan).put(places).total()


def main(quick: Annotated[bool, typer.Option("--quick", help="Smaller batches, fewer repeats.")] = False) -> None:
    """Measure decisions per second and the quality of whole batches."""
    num, repeats, num_batches = (200, 3, 2) if quick else (1000, 15, 10)
    parts: tuple[Iterator[Row], ...] = (
        given(num, repeats),
        together(max(3, repeats // 3)),
        end_to_end(num // 4, repeats),
        quality(num_batches),
    )
    packages = ("numpy", "scipy", "pymoo")
    with results("decisions", COLUMNS.split(), seeds="1, 2, 100 to 109, 1000 to 1099", packages=packages) as table:
        for figure, policy, form, jobs, backends, unit, values, target in (row for part in parts for row in part):
            low, median, high = np.quantile(values, [0.05, 0.5, 0.95])
            met = "" if target is None else str(median >= target if unit == "1/s" else median <= target).lower()
            numbers = [f"{value:.5g}" for value in (median, low, high)]
            table.writerow([figure, policy, form, jobs, backends, unit, *numbers, target or "", met])
            print(f"{figure:18} {policy:8} {form:11} {jobs:5} jobs  {' .. '.join(numbers):32} {unit} {met}", flush=True)


if __name__ == "__main__":
    typer.run(main)
