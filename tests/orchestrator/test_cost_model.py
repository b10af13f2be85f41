"""The cost model is a fold: order of the log alone decides, and it moves towards what was measured."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import backends
from orchestrator.cost_model.model import CostModel
from orchestrator.job import Estimate
from orchestrator.telemetry import Observation

DEVICE = backends.load("aer_statevector").device()
PRIOR = Estimate(service_s=1.0, fidelity=0.9, energy_j=10.0, cost_usd=0.0)


def after(seen: Observation, *service_s: float, fidelity: float | None = 0.95, **fields: str) -> CostModel:
    log = [
        (
            number,
            replace(
                seen,
                measurement=replace(seen.measurement, service_s=time_s, fidelity=fidelity, fidelity_floor=None),
                **fields,
            ),
        )
        for number, time_s in enumerate(service_s, start=1)
    ]
    return CostModel().fold(log)


def ask(model: CostModel, group: str = "program", program_hash: str = "hash") -> Estimate:
    return model.estimate(PRIOR, DEVICE, group, program_hash)


def test_without_observations_the_estimate_is_the_prior() -> None:
    estimate = ask(CostModel())
    assert (estimate.service_s, estimate.num_observations) == (1.0, 0.0)
    assert estimate.fidelity == pytest.approx(0.9)


def test_identical_jobs_converge_on_what_was_measured(observation: Observation) -> None:
    errors = [abs(math.log(ask(after(observation, *[5.0] * n)).service_s / 5.0)) for n in (0, 1, 5, 40)]
    assert errors[1] < errors[0] / 3, "one observation already moves it far"
    assert max(errors[1:]) == errors[1] or max(errors[2:]) < 0.05
    assert errors[-1] < 0.01
    assert ask(after(observation, *[5.0] * 40)).fidelity == pytest.approx(0.95, abs=0.003)


def test_energy_is_learned_as_it_is_measured_and_the_price_follows_the_time(observation: Observation) -> None:
    met = replace(observation.measurement, service_s=5.0, energy_j=20.0)
    seen = replace(observation, prior=PRIOR, measurement=met)
    model = CostModel().fold([(number, seen) for number in range(1, 31)])
    said = model.estimate(replace(PRIOR, cost_usd=0.1), DEVICE, seen.group, seen.program_hash)
    assert said.energy_j == pytest.approx(20.0, rel=0.05), "a busy machine takes longer and no more energy"
    assert said.cost_usd == pytest.approx(0.1 * said.service_s)
    device = backends.load("fake_hanoi").device()
    assert model.estimate(PRIOR, device, seen.group, seen.program_hash).energy_j == PRIOR.energy_j


def test_kin_learn_from_each_other_strangers_less(observation: Observation) -> None:
    model = after(observation, *[5.0] * 10)
    same = ask(model).service_s
    kin = ask(model, program_hash="another").service_s
    stranger = ask(model, group="steane", program_hash="another").service_s
    assert same == pytest.approx(5.0, rel=0.05)
    assert kin == pytest.approx(5.0, rel=0.05)
    assert 1.0 < stranger < 5.5
    assert ask(model, group="steane", program_hash="another").num_observations == 0


def test_a_kind_that_is_unlike_all_others_does_not_speak_for_them(observation: Observation) -> None:
    model = after(observation, *[1e-6] * 10)
    assert ask(model).service_s < 1e-5
    assert ask(model, group="steane", program_hash="another").service_s > 0.0999


def test_drift_is_followed(observation: Observation) -> None:
    model = after(observation, *[1.0] * 500, *[4.0] * 100)
    assert ask(model).service_s > 3.0


def test_an_unmeasurable_fidelity_teaches_nothing(observation: Observation) -> None:
    model = after(observation, 2.0, fidelity=None)
    assert ask(model).fidelity == pytest.approx(0.9)
    assert model.learned()[0].loss_ratio is None


@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=30), st.data())
def test_it_does_not_matter_how_the_log_is_cut(times_s: list[float], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(times_s)))
    log = list(enumerate((_seen(time_s) for time_s in times_s), start=1))
    whole = CostModel().fold(log)
    assert CostModel().fold(log[:cut]).fold(log[cut:]) == whole
    stored = CostModel.from_json(CostModel().fold(log[:cut]).to_json())
    assert stored.fold(log[cut:]).to_json() == whole.to_json(), "a process that starts from a snapshot is no other"


def test_what_is_forgotten_does_not_depend_on_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs are forgotten in the order in which they were seen, and a snapshot keeps that order."""
    monkeypatch.setattr("orchestrator.cost_model.memory.MOST_IN_SHARD", 2)
    names = [str(number * 7919 % 1000) for number in range(1500)]
    log = [(number, replace(_seen(1.0), program_hash=name)) for number, name in enumerate(names, start=1)]
    stored = CostModel.from_json(CostModel().fold(log[:900]).to_json())
    assert stored.fold(log[900:]).to_json() == CostModel().fold(log).to_json()


def _seen(service_s: float) -> Observation:
    from orchestrator.job import Measurement

    measured = Measurement(0.0, 0.0, service_s, service_s, service_s, 0.9, "hellinger", None, None, 0.0, 0.0)
    return Observation("a", "j", "b", "v", "g", "h", 1, 1, 1, PRIOR, PRIOR, 0.0, measured, 0.0)


def test_a_snapshot_is_the_model(observation: Observation) -> None:
    model = after(observation, 2.0, 3.0)
    assert CostModel.from_json(model.to_json()) == model


def test_few_shots_are_not_mistaken_for_noise(observation: Observation) -> None:
    few = replace(observation.measurement, fidelity=0.88, fidelity_floor=0.88 / 0.9)
    model = CostModel().fold([(1, replace(observation, measurement=few))])
    assert ask(model).fidelity == pytest.approx(0.9)


def test_a_wrong_error_rate_carries_over_to_longer_circuits(observation: Observation) -> None:
    model = after(observation, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, fidelity=0.95)  # half the loss that the prior expects
    long = model.estimate(replace(PRIOR, fidelity=0.5), DEVICE, "program", "another").fidelity
    ideal = model.estimate(replace(PRIOR, fidelity=1.0), DEVICE, "program", "another").fidelity
    assert 0.6 < long < 0.75
    assert ideal == 1.0


def test_nothing_is_learned_about_fidelity_from_an_approximate_run(observation: Observation) -> None:
    rough = replace(observation.measurement, service_s=5.0, fidelity=0.2, approximate=True)
    model = CostModel().fold([(number, replace(observation, measurement=rough)) for number in range(1, 20)])
    assert ask(model).fidelity == pytest.approx(PRIOR.fidelity), "its fidelity is the stand-in's"
    assert ask(model).service_s == pytest.approx(5.0, rel=0.1), "its time was really spent"
