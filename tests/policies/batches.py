"""Batches of jobs to place, drawn by hypothesis: some backends share a worker, some workers a backend."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from circuits.program import Program
from orchestrator.job import Estimate, Interval, Intervals, JobSpec, Objective
from orchestrator.placement import Candidate, Lane, Request

BACKENDS = ("a", "b", "c", "d")
LANES = (Lane("w1", 1, ("a", "b")), Lane("w2", 2, ("b", "c")), Lane("w3", 1, ("d",)))
APART = tuple(Lane(f"w-{name}", 1, (name,)) for name in BACKENDS)
PROGRAM = Program("openqasm2", text="")


def around(estimate: Estimate, factor: float) -> Estimate:
    """The estimate with intervals that are that factor wide to each side."""
    shares = {name: getattr(estimate, name) for name in ("elapsed_s", "energy_j", "cost_usd")}
    ends = {name: Interval(value / factor, value * factor) for name, value in shares.items()}
    error = 1.0 - estimate.fidelity
    fidelity = Interval(max(0.0, 1.0 - error * factor), 1.0 - error / factor)
    return replace(estimate, intervals=Intervals(fidelity=fidelity, **ends))


@st.composite
def estimates(draw: st.DrawFn) -> Estimate:
    plain = Estimate(
        service_s=draw(st.floats(1e-4, 1e3)),
        fidelity=draw(st.floats(0, 1)),
        energy_j=draw(st.floats(0, 1e5)),
        cost_usd=draw(st.floats(0, 100)),
        num_observations=draw(st.sampled_from([0.0, 1.0, 30.0])),
        queue_s=draw(st.sampled_from([None, 0.0, 60.0])),
    )
    factor = draw(st.sampled_from([None, 1.0, 1.5, 10.0]))
    return plain if factor is None else around(plain, factor)


@st.composite
def batches(draw: st.DrawFn, most: int = 12) -> list[Request]:
    requests = []
    for number in range(draw(st.integers(1, most))):
        feasible = draw(st.sets(st.sampled_from(BACKENDS), min_size=1))
        candidates = []
        for name in BACKENDS:
            estimate = draw(estimates())
            first = replace(estimate, service_s=estimate.service_s * draw(st.floats(0.0, 1.0)))
            why = () if name in feasible else ("no",)
            candidates.append(Candidate(name, estimate, estimate, 0.0, "v", why, first))
        objective = Objective(latency=draw(st.sampled_from([0.0, 0.3, 1.0])), caution=draw(st.sampled_from([0.0, 1.0])))
        seed, parts = draw(st.integers(0, 100)), draw(st.integers(1, 3))
        spec = JobSpec(program=PROGRAM, seed=seed, objective=objective, max_parts=parts)
        requests.append(Request(f"j{number}", number + 1, spec, draw(st.floats(-1e3, 1e3)), 0.0, tuple(candidates)))
    return requests


def one(number: int, *, spec: JobSpec | None = None, **of: float | Estimate) -> Request:
    """A job with these candidates: an estimate, or the seconds in which they alone differ."""
    candidates = []
    for name, value in of.items():
        estimate = value if isinstance(value, Estimate) else Estimate(value, 1.0, 0.0, 0.0)
        candidates.append(Candidate(name, estimate, estimate, 0.0, "v"))
    return Request(f"j{number}", number, spec or JobSpec(program=PROGRAM), float(number), 0.0, tuple(candidates))
