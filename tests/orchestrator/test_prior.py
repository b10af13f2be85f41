"""What is expected before anything was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

import backends
from backends.backend import CostCurve
from orchestrator.cost_model.prior import COUNT_S, OUTCOME_S, PREPARE_GATE_S, prior
from orchestrator.preparation import Fit

CURVE = CostCurve(overhead_s=1.0, shot_s=1e-3, gate_s=0.0, qubit_exponent=0.0)
DEVICE = replace(backends.load("aer_statevector").device(), cost_curve=CURVE)
FIT = Fit(num_qubits=3, num_gates=10, fidelity=1.0)


def test_a_run_is_what_the_curve_says_and_what_stands_around_it() -> None:
    little, much = prior(DEVICE, FIT, 100), prior(DEVICE, FIT, 200)
    assert much.service_s - little.service_s == pytest.approx(0.1)
    longer = prior(DEVICE, replace(FIT, num_gates=1010), 100)
    assert longer.service_s - little.service_s == pytest.approx(1000 * PREPARE_GATE_S)
    assert longer.prepare_s - little.prepare_s == pytest.approx(1000 * PREPARE_GATE_S)


def test_judging_takes_time_for_every_outcome_and_for_every_one_that_can_be_counted() -> None:
    unjudged = prior(DEVICE, FIT, 100)
    judged = prior(DEVICE, FIT, 100, num_outcomes=2048)
    assert judged.service_s - unjudged.service_s == pytest.approx(2048 * OUTCOME_S + 100 * COUNT_S)
