"""What a choice cost in hindsight, by figures that can be worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

import backends
from backends.backend import Device
from orchestrator.cost_model.model import CostModel
from orchestrator.decision import Decision, Situation
from orchestrator.hindsight import anew, explanation, fidelity_of
from orchestrator.job import Estimate, JobSpec, Measurement, Objective, Placement, Result
from orchestrator.placement import Backlog, Candidate, Request, Scales
from orchestrator.telemetry import Observation

SCALES = Scales(latency_s=2.0)
SERVICE_S = {"a": 1.0, "b": 3.0, "c": 0.1}


@pytest.fixture
def devices() -> Mapping[str, Device]:
    device = backends.load("aer_statevector").device()
    return {name: replace(device, name=name) for name in "abc"}


@pytest.fixture
def decision(spec: JobSpec) -> Decision:
    """Latency alone counts; "c" is excluded, though it would be the quickest."""
    told = replace(spec, objective=Objective(latency=1.0, fidelity=0.0, price=0.0))
    candidates = tuple(
        Candidate(name, estimate, estimate, 2.0, "v", ("no",) if name == "c" else ())
        for name, service_s in SERVICE_S.items()
        for estimate in [Estimate(service_s, 1.0, 0.0, 0.0)]
    )
    request = Request("j", 1, told, 0.0, 1.0, candidates)
    situation = Situation.of("s", "eft", 1, Backlog(()), SCALES)
    return Decision("j", "eft", 0.0, 0, "b", {}, request, {"a": 1.0}, id=4, group="program", situation=situation)


def result_of(decision: Decision, measured: Measurement, number: int = 4) -> Result:
    estimate = decision.request.candidates[0].estimate
    return Result("j", Placement("eft", number, ()), estimate, measured, {})


def test_before_it_ran_the_model_speaks_for_the_choice(decision: Decision, devices: Mapping[str, Device]) -> None:
    found = explanation(decision, None, CostModel(), devices, Scales())
    assert {one.backend: (one.cost, one.cost_now) for one in found.options} == {
        "a": (2.0, 2.0),
        "b": (3.0, 3.0),
        "c": (1.55, None),
    }
    assert (found.cost, found.regret, found.basis) == (2.0, 0.0, "expected")


def test_afterwards_the_choice_counts_as_measured(
    decision: Decision, devices: Mapping[str, Device], measurement: Measurement
) -> None:
    slow = replace(measurement, latency_s=9.0)
    found = explanation(decision, result_of(decision, slow), CostModel(), devices, Scales())
    assert (found.cost, found.regret, found.basis) == (4.5, 1.5, "measured"), "b would have taken 6 s"
    assert found.measurement == slow
    quick = explanation(decision, result_of(decision, replace(slow, latency_s=1.0)), CostModel(), devices, Scales())
    assert (quick.cost, quick.regret) == (0.5, 0.0)
    earlier = explanation(decision, result_of(decision, slow, number=5), CostModel(), devices, Scales())
    assert (earlier.measurement, earlier.basis) == (None, "expected"), "another decision led to that result"


def test_what_was_learned_since_changes_what_the_others_would_have_cost(
    decision: Decision, devices: Mapping[str, Device], observation: Observation, measurement: Measurement
) -> None:
    seen = replace(
        observation,
        backend="b",
        program_hash=decision.request.spec.program.content_hash(),
        prior=decision.request.candidates[1].prior,
        measurement=replace(measurement, service_s=0.3),
    )
    model = CostModel().fold([(number, seen) for number in range(1, 40)])
    found = explanation(decision, None, model, devices, Scales())
    b = found.options[1]
    assert b.cost == 3.0
    assert b.cost_now == pytest.approx((1.0 + 2.0 + 0.3) / 2.0, abs=0.05)
    a = found.options[0]
    assert a.cost_now is not None
    assert a.cost_now < a.cost, "other backends of this machine were quicker than expected"
    assert found.regret == pytest.approx(a.cost_now - (b.cost_now or 0.0))
    assert found.cursor == 39


def test_without_a_device_or_of_an_earlier_version_hindsight_is_unknown(
    decision: Decision, devices: Mapping[str, Device]
) -> None:
    old = replace(decision, group="", situation=None)
    found = explanation(old, None, CostModel(), devices, SCALES)
    assert (found.cost, found.regret, found.basis) == (None, None, "unknown")
    assert found.options[0].cost == 2.0, "by the scales of the settings"
    alone = {"a": devices["a"]}
    assert set(anew(decision, CostModel(), alone)) == {"a"}
    assert explanation(decision, None, CostModel(), alone, SCALES).regret is None, "nobody to compare with"
    shared = explanation(replace(decision, choice={"a": 0.5, "b": 0.5}), None, CostModel(), devices, SCALES)
    assert (shared.cost, shared.basis) == (None, "unknown")


def test_fidelity_counts_beyond_the_floor_of_its_shots(measurement: Measurement) -> None:
    assert fidelity_of(replace(measurement, fidelity=0.45, fidelity_floor=0.9), 1.0) == 0.5
    assert fidelity_of(replace(measurement, fidelity=0.95, fidelity_floor=0.9), 0.2) == 1.0
    assert fidelity_of(replace(measurement, fidelity=0.95, fidelity_floor=None), 0.2) == 0.95
    assert fidelity_of(replace(measurement, fidelity=None), 0.2) == 0.2
