"""A policy played through another one's log, and what the estimators are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from orchestrator.decision import Decision, Situation
from orchestrator.job import Estimate, JobSpec, Measurement, Times
from orchestrator.placement import Backlog, Candidate, Choice, Lane, Policy, Request, Scales
from policies import load
from policies.evaluation import answers_of, as_logged, play, rows_of, said_then
from policies.replay import Call
from tests.policies.conftest import BELL, MakeLog

LANES = (Lane("w1", 1, ("slow",)), Lane("w2", 1, ("fast",)))
SAID = {"slow": Estimate(4.0, 1.0, 0.0, 0.0), "fast": Estimate(1.0, 1.0, 0.0, 0.0)}


class Fixed:
    """Everything to one backend, or by lot."""

    def __init__(self, choice: Choice, chances: Mapping[str, float] | None = None) -> None:
        self._choice = choice
        if chances is not None:
            self.chances = lambda requests, backlog, scales: [chances] * len(requests)

    def place(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Choice]:
        return [self._choice] * len(requests)


def call(number: int, at: float, *choices: Choice, warm_up_s: Mapping[str, float] | None = None) -> Call:
    """Jobs that were decided together, on an idle fleet."""
    told = Situation.of(f"s{number}", "random", len(choices), Backlog(LANES, {}, dict(warm_up_s or {})), Scales())
    decisions = []
    for index, choice in enumerate(choices):
        seq = 10 * number + index
        candidates = tuple(Candidate(name, one, one, 0.0, "v") for name, one in SAID.items())
        request = Request(f"j{seq}", seq, JobSpec(program=BELL), float(seq), 0.0, candidates)
        made = Decision(f"j{seq}", "random", at, 0, "b", {}, request, choice, id=seq, group="g", situation=told)
        decisions.append(made)
    return Call(told, tuple(decisions))


def latencies(calls: list[Call], choice: Choice, measured: Mapping[int, Measurement] | None = None) -> list[float]:
    found = play(calls, answers_of(Fixed(choice)), measured or {}, said_then)
    return [round(float(one), 9) for one in found.latency_s]


def test_what_a_policy_books_is_there_when_it_is_asked_next() -> None:
    calls = [call(1, 100.0, {"slow": 1.0}, {"slow": 1.0}), call(2, 101.0, {"slow": 1.0}), call(3, 900.0, {"slow": 1.0})]
    assert latencies(calls, {"slow": 1.0}) == [4.0, 8.0, 11.0, 4.0], "8 s are booked, one is done after a second"
    assert latencies(calls, {"fast": 1.0}) == [1.0, 2.0, 2.0, 1.0]
    logged = play(calls, as_logged, {}, said_then)
    assert list(logged.latency_s) == [4.0, 8.0, 11.0, 4.0]
    assert list(logged.cost) == [4.0, 8.0, 11.0, 4.0], "a second costs one"
    assert logged.measured == 0.0


def test_parts_run_side_by_side() -> None:
    assert latencies([call(1, 0.0, {"slow": 1.0})], {"slow": 0.2, "fast": 0.8}) == [0.8]


def test_a_backend_stays_cold_until_the_policy_uses_it() -> None:
    calls = [call(1, 0.0, {"slow": 1.0}, warm_up_s={"fast": 3.0}), call(2, 50.0, {"slow": 1.0})]
    assert latencies(calls, {"fast": 1.0}) == [4.0, 1.0]
    later = [*calls, call(3, 100.0, {"slow": 1.0})]
    assert latencies(later[1:], {"fast": 1.0}) == [1.0, 1.0], "nobody knows of it there"


def test_what_was_measured_counts_where_the_choice_is_the_same(measurement: Measurement) -> None:
    calls = [call(1, 0.0, {"slow": 1.0})]
    measured = {10: replace(measurement, service_s=7.0, energy_j=0.0, fidelity=None)}
    assert latencies(calls, {"slow": 1.0}, measured) == [7.0]
    assert latencies(calls, {"fast": 1.0}, measured) == [1.0]
    assert play(calls, as_logged, measured, said_then).measured == 1.0
    emulated = {10: replace(measured[10], times=Times.EMULATED, queue_s=20.0, device_s=0.5)}
    assert latencies(calls, {"slow": 1.0}, emulated) == [20.5]
    busy = [calls[0], call(2, 0.0, {"slow": 1.0})]
    assert latencies(busy, {"slow": 1.0}, emulated)[1] == 11.0, "its simulation kept the worker busy for 7 s"


def test_rows_have_chances_costs_and_what_was_said(measurement: Measurement) -> None:
    spent = replace(measurement, latency_s=5.0, energy_j=0.0, fidelity=0.9, fidelity_floor=0.9)
    calls = [call(1, 0.0, {"slow": 1.0}, {"fast": 1.0}), call(2, 9.0, {"fast": 1.0})]
    live: dict[str, Policy] = {
        "random": load("random"),
        "mostly": Fixed({"fast": 1.0}, {"fast": 0.75, "slow": 0.25}),
        "fast": Fixed({"fast": 1.0}),
        "both": Fixed({"fast": 0.5, "slow": 0.5}),
    }
    measured = {10: spent, 11: spent}
    rows = rows_of(calls, live.__getitem__, "mostly", measured)
    assert list(rows.cost) == [5.0, 5.0], "the third was not measured, and fidelity counts beyond its floor"
    assert list(rows.weight) == [0.5, 1.5]
    assert list(rows.said) == [4.0, 1.0]
    assert list(rows.said_policy) == [0.75 * 1.0 + 0.25 * 4.0, 0.75 * 1.0 + 0.25 * 8.0], "behind the first, on slow"
    assert list(rows.uncovered) == [0.0, 0.0]
    assert list(rows.batch) == [0, 0]
    assert list(rows_of(calls, live.__getitem__, "fast", measured).weight) == [0.0, 2.0]
    shared = rows_of(calls, live.__getitem__, "both", measured)
    assert list(shared.uncovered) == [1.0, 1.0], "random never shares a job"
    assert list(shared.weight) == [0.0, 0.0]


def test_a_deterministic_log_overlaps_with_itself_alone(make_log: MakeLog, measurement: Measurement) -> None:
    log = make_log("eft", (3, 4))
    calls = [Call(one.situation, (one,)) for one in log[:0] if one.situation]
    for first, size in ((0, 3), (3, 4)):
        told = log[first].situation
        assert told is not None
        calls.append(Call(told, tuple(log[first : first + size])))
    measured = {one.id: measurement for one in log}
    itself = rows_of(calls, load, "eft", measured)
    assert np.all(itself.weight == 1.0)
    assert itself.uncovered.sum() == 0.0
    other = rows_of(calls, load, "greedy", measured)
    assert other.uncovered.mean() == pytest.approx(np.mean(other.weight == 0.0))
    by_lot = rows_of(calls, load, "random", measured)
    assert 0.0 < by_lot.uncovered.mean() < 1.0


def test_the_chances_of_random_are_those_of_its_draws(make_log: MakeLog) -> None:
    (decision,) = make_log("random", (1,), seed=5)
    chances = load("random").chances([decision.request], Backlog(LANES), Scales())[0]  # type: ignore[attr-defined]
    drawn = dict.fromkeys(chances, 0)
    for seed in range(2000):
        request = replace(decision.request, spec=replace(decision.request.spec, seed=seed))
        ((backend,),) = load("random").place([request], Backlog(LANES), Scales())
        drawn[backend] += 1
    assert sum(chances.values()) == pytest.approx(1.0)
    for backend, number in drawn.items():
        assert number / 2000 == pytest.approx(chances[backend], abs=0.05)
