"""A place that changes is noticed within a few jobs, and noise is not taken for a change."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backends
from orchestrator.cost_model.model import CostModel
from orchestrator.cost_model.pace import MOST_ERROR, Drift, Steps
from orchestrator.job import Estimate
from orchestrator.telemetry import Observation

DEVICE = backends.load("aer_statevector").device()
PRIOR = Estimate(service_s=0.1, fidelity=1.0, energy_j=1.0, cost_usd=0.0)


def run(model: CostModel, seen: Observation, took_s: float, program: str) -> CostModel:
    """One more job: said from the model, measured, folded in."""
    said = model.estimate(PRIOR, DEVICE, seen.group, program)
    met = replace(seen.measurement, service_s=took_s, fidelity=None)
    fields = {"backend": DEVICE.name, "program_hash": program, "prior": PRIOR, "estimate": said, "measurement": met}
    return model.fold([(model.cursor + 1, replace(seen, **fields))])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([3.0, 1 / 3.0, 5.0]))
def test_a_worker_that_changes_its_speed_is_noticed_within_few_jobs(seed: int, factor: float) -> None:
    generator, model = np.random.default_rng(seed), CostModel()
    seen = _seen()
    times_s = np.exp(generator.normal(math.log(0.2), 0.1, 40))
    for number, took_s in enumerate(times_s[:32]):
        model = run(model, seen, float(took_s), str(number % 8))
    for number, took_s in enumerate(times_s[32:38]):
        model = run(model, seen, float(took_s) * factor, str(number))
    for program in ("7", "never seen"):  # also of those that have not run since
        said_s = model.estimate(PRIOR, DEVICE, seen.group, program).service_s
        assert abs(math.log(said_s / (0.2 * factor))) < 0.4 * abs(math.log(factor))


def test_noise_is_no_change() -> None:
    """A backend whose times vary by a third keeps its pace."""
    generator, steps = np.random.default_rng(3), Steps()
    for error in generator.normal(0.0, 0.3, 400):
        steps = steps.add(float(error))
    assert abs(steps.pace) < 0.3


@given(st.lists(st.floats(-50.0, 50.0), max_size=80))
def test_the_machines_pace_moves_no_further_than_errors_say(errors: list[float]) -> None:
    drift = Drift()
    for error in errors:
        before, drift = drift, drift.add(error)
        assert abs(drift.pace - before.pace) <= MOST_ERROR
        assert (drift.pace - before.pace) * error >= 0.0


def test_what_runs_at_a_provider_says_nothing_of_this_machine() -> None:
    seen, model = _seen(), CostModel()
    met = replace(seen.measurement, service_s=30.0, device_s=30.0)
    model = model.fold([(number, replace(seen, measurement=met)) for number in range(1, 20)])
    assert model.times.machine == Drift()
    far = replace(DEVICE, name="far", kind="qpu")
    assert model.estimate(PRIOR, far, "program", "p").service_s == pytest.approx(PRIOR.service_s)


def _seen() -> Observation:
    from orchestrator.job import Measurement

    met = Measurement(0.0, 0.0, 0.2, 0.2, 0.2, None, "estimated", None, None, 1.0, 0.0)
    return Observation("a", "j", "b", "v", "program", "p", 3, 9, 100, PRIOR, PRIOR, 0.0, met, 0.0)
