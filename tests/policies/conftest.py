"""What the tests of policies share: logs of decisions, as the trip writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from circuits.program import Program
from orchestrator.decision import Decision, Situation
from orchestrator.job import Estimate, Interval, Intervals, JobSpec
from orchestrator.placement import Backlog, Candidate, Lane, Request, Scales, sooner_s
from policies import load

LANES = (Lane("w1", 1, ("a", "b")), Lane("w2", 2, ("b", "c")), Lane("w3", 1, ("d",)))
BELL = Program("openqasm2", text="OPENQASM 2.0;")

MakeLog = Callable[..., list[Decision]]


def asked(number: int, generator: np.random.Generator) -> Request:
    """A job with figures that no rounding gives back; some backends are excluded, some estimates have intervals."""
    candidates = []
    feasible = set(generator.choice(list("abcd"), size=int(generator.integers(1, 5)), replace=False))
    for name in "abcd":
        service_s, fidelity, energy_j, cost_usd = (float(one) for one in generator.uniform(1e-4, 1.0, size=4))
        prior = Estimate(service_s, fidelity, energy_j, cost_usd)
        ends = Intervals(*(Interval(float(one) / 3, float(one) * 3) for one in generator.uniform(size=4)))
        told = replace(prior, service_s=service_s / 7, num_observations=1 / 3, intervals=ends if number % 2 else None)
        why = () if name in feasible else ("no",)
        candidates.append(Candidate(name, prior, told, float(generator.uniform()), "v", why))
    spec = JobSpec(program=BELL, shots=100, seed=int(generator.integers(100)))
    return Request(f"j{number}", number, spec, float(generator.normal()), float(generator.uniform()), tuple(candidates))


def decide(policy: str, requests: Sequence[Request], *, at: float, cursor: int = 0) -> list[Decision]:
    """One call, as the pipeline makes and logs it."""
    backlog = Backlog(LANES, {"w2": 1 / 3 * len(requests), "w1": 0.1}, {"d": 0.7})
    told = Situation.of(uuid4().hex, policy, len(requests), backlog, Scales())
    choices = load(policy).place(list(requests), told.backlog(), told.scales)
    return [
        Decision(
            job_id=request.job_id,
            policy=policy,
            at=at,
            cursor=cursor,
            batch="batch",
            load_s=told.load_s,
            request=replace(request, spec=replace(request.spec, policy=policy)),
            choice=dict(choice),
            id=request.seq,
            group="program",
            situation=told,
            sooner_s=sooner_s(choice),
        )
        for request, choice in zip(requests, choices, strict=True)
    ]


@pytest.fixture
def make_log() -> MakeLog:
    """Makes the log of a policy: calls of these sizes, a second apart."""

    def make(policy: str, sizes: Sequence[int] = (1, 5, 3), seed: int = 1) -> list[Decision]:
        generator, decisions = np.random.default_rng(seed), []
        for number, size in enumerate(sizes):
            first = len(decisions) + 1
            requests = [asked(first + index, generator) for index in range(size)]
            decisions += decide(policy, requests, at=1000.0 + number)
        return decisions

    return make


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> str:
    """A learner that trains in no time, by the name under which it is registered."""
    from policies.learners import LEARNERS

    monkeypatch.setitem(LEARNERS, "toy", "tests.policies.learners.toy:Toy")
    return "toy"


@pytest.fixture
def optima(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of known optima that is no user's."""
    monkeypatch.setattr("policies.envs.known_optima.user_cache_path", lambda _: tmp_path / "cache")
    return tmp_path / "cache" / "meqc-optima"
