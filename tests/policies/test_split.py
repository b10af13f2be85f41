"""Shares of one job: the water level, its price, and what it must not do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.job import Estimate, JobSpec, Limits, Objective
from orchestrator.placement import Backlog, Candidate, Lane, Request, Scales
from policies import load
from policies.split import Line, Terms, level, parted, shared
from tests.policies.batches import APART, PROGRAM, one

TIME_ALONE = Objective(latency=1.0, fidelity=0.0, price=0.0)


def job(spec: JobSpec, *of: tuple[str, float, float, float]) -> Request:
    """Candidates of (name, fixed seconds, seconds for all shots, price)."""
    candidates = []
    for name, fixed_s, variable_s, cost_usd in of:
        shots = spec.shots
        first = Estimate(fixed_s + variable_s / shots, 0.9, 0.0, cost_usd / shots)
        whole = Estimate(fixed_s + variable_s, 0.9, 0.0, cost_usd)
        candidates.append(Candidate(name, whole, whole, 0.0, "v", (), first))
    return Request("j", 1, spec, 0.0, 0.0, tuple(candidates))


def spec(max_parts: int, **fields: object) -> JobSpec:
    plain = JobSpec(program=PROGRAM, shots=1000, max_parts=max_parts, objective=TIME_ALONE)
    return replace(plain, **fields)


def choose(request: Request, busy_s: float = 0.0) -> dict[str, float]:
    (choice,) = load("split").place([request], Backlog(APART, {"w-b": busy_s}), Scales())
    return dict(choice)


def test_parts_end_together() -> None:
    request = job(spec(2), ("a", 1.0, 10.0, 0.0), ("b", 2.0, 5.0, 0.0))
    choice = choose(request, busy_s=1.0)
    assert choice["a"] == pytest.approx(7 / 15)
    assert 1.0 + 10.0 * choice["a"] == pytest.approx(1.0 + 2.0 + 5.0 * choice["b"])
    assert choose(replace(request, spec=spec(1)), busy_s=1.0) == {"b": 1.0}, "8 seconds are less than 11"


def test_a_part_that_would_begin_too_late_takes_no_part() -> None:
    assert choose(job(spec(3), ("a", 0.0, 4.0, 0.0), ("b", 0.0, 4.0, 0.0)), busy_s=5.0) == {"a": 1.0}


def test_money_decides_with_time() -> None:
    of = (("a", 0.0, 10.0, 0.0), ("b", 0.0, 10.0, 8.0))
    even = choose(job(spec(2), *of))
    assert even == {"a": pytest.approx(0.5), "b": pytest.approx(0.5)}
    dear = replace(TIME_ALONE, price=2.0)  # a second saved is worth 1, and costs 1.6 for each tenth of the shots
    assert choose(job(spec(2, objective=dear), *of)) == {"a": 1.0}
    assert choose(job(spec(2, limits=Limits(max_cost_usd=1.0)), *of)) == {"a": 1.0}, "half of it would cost 4"


def test_parts_of_one_worker_would_wait_for_each_other() -> None:
    request = job(spec(2), ("a", 0.0, 10.0, 0.0), ("b", 0.0, 10.0, 0.0))
    (choice,) = load("split").place([request], Backlog((Lane("w1", 1, ("a", "b")),)), Scales())
    assert len(choice) == 1, "both are of worker w1"
    (choice,) = load("split").place([request], Backlog((Lane("w1", 2, ("a", "b")),)), Scales())
    assert len(choice) == 2, "which has two slots"


def test_few_shots_make_few_parts() -> None:
    three = (("a", 0.0, 1.0, 0.0), ("b", 0.0, 1.0, 0.0), ("c", 0.0, 1.0, 0.0))
    assert len(choose(job(spec(9), *three))) == 3
    assert len(choose(job(spec(9, shots=2), *three))) == 2
    assert len(choose(one(1, spec=spec(9, shots=1), a=1.0, b=1.0))) == 1


@st.composite
def lines(draw: st.DrawFn) -> list[Line]:
    times = st.floats(0.01, 10.0)
    return [
        Line(
            name,
            draw(times),
            draw(times),
            fee=0.0,
            rate=draw(st.sampled_from([0.0, 0.5, 2.0])),
            fee_usd=0.0,
            rate_usd=0.0,
        )
        for name in "abcd"[: draw(st.integers(1, 4))]
    ]


@settings(max_examples=80)
@given(lines(), st.sampled_from([0.1, 1.0, 5.0]))
def test_no_other_shares_cost_less(of: list[Line], per_s: float) -> None:
    shares = shared(of, Terms(per_s), len(of))
    assert sum(shares.values()) == pytest.approx(1.0)

    def cost(shares: dict[str, float]) -> float:
        used = [(line, shares[line.backend]) for line in of if shares.get(line.backend)]
        end_s = max(line.begin_s + share * line.variable_s for line, share in used)
        return per_s * end_s + sum(share * line.rate for line, share in used)

    rng = np.random.default_rng(0)
    others = rng.dirichlet(np.full(len(of), 0.7), size=60)
    best = min(cost(dict(zip((line.backend for line in of), row.tolist(), strict=True))) for row in others)
    assert cost(dict(shares)) <= best * (1 + 1e-9) + 1e-9


def test_two_may_save_together_what_neither_does_alone() -> None:
    plain = {"fee": 0.0, "fee_usd": 0.0, "rate_usd": 0.0}
    late = Line("c", 2.0, 0.1, rate=0.0, **plain)
    costly = [Line(name, 0.01, 2.0, rate=0.5, **plain) for name in "ad"]
    assert shared([costly[0], late], Terms(1.0), 3) == {"c": 1.0}
    assert shared([*costly, late], Terms(1.0), 3) == pytest.approx({"a": 0.5, "d": 0.5})
    assert shared([*costly, late], Terms(1.0), 1) == {"c": 1.0}


@given(lines())
def test_the_level_holds_all_shots(of: list[Line]) -> None:
    end_s = level(of)
    assert sum(max(0.0, end_s - line.begin_s) / line.variable_s for line in of) == pytest.approx(1.0)


def test_what_another_policy_chose_is_shared_with_the_best_place_beside_it() -> None:
    request = job(spec(2), ("a", 0.0, 6.0, 0.0), ("b", 0.0, 3.0, 0.0), ("c", 0.0, 50.0, 0.0))
    backlog = Backlog(APART, {})
    (choice,) = parted([request], [{"a": 1.0}], backlog, Scales())
    assert choice == {"a": pytest.approx(1 / 3), "b": pytest.approx(2 / 3)}
    assert backlog.load_s == {"w-a": pytest.approx(2.0), "w-b": pytest.approx(2.0)}
    whole = replace(request, spec=spec(1))
    assert parted([whole], [{"a": 1.0}], Backlog(APART, {}), Scales()) == [{"a": 1.0}], "it does not allow more"
    items = replace(request, items=((2, 5), (7, 8)))
    (few,) = parted([items], [{"a": 1.0}], Backlog(APART, {}), Scales())
    assert set(few) == {"a", "b"}
