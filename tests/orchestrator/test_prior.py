"""What is expected before anything was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

import backends
from backends.backend import CostCurve
from backends.pairs import PairLink, PairNeed, QPUNetwork
from circuits.facts import Features
from orchestrator.cost_model.prior import COUNT_S, OUTCOME_S, PREPARE_GATE_S, behind_pairs, prior
from orchestrator.entanglement import PairDemand, PairQuote, Promise
from orchestrator.job import Interval, Times
from orchestrator.preparation import Fit, ProgramFacts

CURVE = CostCurve(overhead_s=1.0, shot_s=1e-3, gate_s=0.0, qubit_exponent=0.0)
DEVICE = replace(backends.load("aer_statevector").device(), cost_curve=CURVE)
FEATURES = Features(1, 1, 2, 0, 1, 1, 0, 0, 1, 1, 0, False, True)
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


def test_an_adaptive_family_runs_its_circuit_as_often_as_it_expects_to() -> None:
    one, nine = prior(DEVICE, FIT, 100), prior(DEVICE, FIT, 100, num_runs=9.0)
    assert nine.service_s - one.service_s == pytest.approx(8 * 1.1)
    assert nine.prepare_s == one.prepare_s, "it is transpiled once"
    assert nine.energy_j / one.energy_j == pytest.approx(nine.service_s / one.service_s)


def test_a_classical_algorithm_is_not_transpiled() -> None:
    assert prior(replace(DEVICE, kind="cpu"), replace(FIT, num_gates=10**6), 100).prepare_s == 0.0


def test_how_often_depends_on_the_shots() -> None:
    known = ProgramFacts("raytracing", FEATURES, True, None, 3, (72.0, 18.0, 9.0, 9.0, 0.0, 0.0))
    assert [known.num_runs(shots) for shots in (1, 3, 4, 16, 63, 256, 10**6)] == [72.0, 72.0, 18.0, 9.0, 9.0, 0.0, 0.0]
    assert ProgramFacts("program", FEATURES, False, None).num_runs(100) == 1.0


LINK = PairLink(0, 1, 100.0, 0.9, 10.0)
JOINED = replace(DEVICE, kind="emulated_qpu", network=QPUNetwork((4, 4), (LINK,), "static", ("a", "b"), "{}"))
SPREAD = replace(FIT, fidelity=0.9, pairs_s=0.02, pairs_sd_s=0.015, pairs=(PairNeed(0, 1, 2, 0.89),))


def promised(fidelity: float, p50_s: float = 30.0, p90_s: float = 34.0) -> tuple[Promise, ...]:
    quote = PairQuote("q", 100.0, p50_s, p90_s, fidelity, fidelity, 1.0)
    return (Promise(PairDemand("j", "a", "b", 200), quote),)


def test_what_is_quoted_of_pairs_takes_the_place_of_what_links_publish() -> None:
    published = prior(JOINED, SPREAD, 100, Times.EMULATED)
    same = prior(JOINED, SPREAD, 100, Times.EMULATED, pairs=promised(LINK.fidelity))
    assert published.queue_s is not None
    assert published.queue_s > 2.0, "9 of 10 cases, of 2 s in the mean"
    assert same.queue_s == 30.0
    assert same.fidelity == pytest.approx(published.fidelity), "as good as published"
    better, worse = (prior(JOINED, SPREAD, 100, Times.EMULATED, pairs=promised(f)).fidelity for f in (0.95, 0.8))
    assert worse < published.fidelity < better
    errors = [1.0 - (0.25 + (f - 0.25) * (0.89 - 0.25) / (0.9 - 0.25)) ** 2 for f in (0.9, 0.8)]
    assert (1.0 - worse) / (1.0 - same.fidelity) == pytest.approx(errors[1] / errors[0])
    assert prior(JOINED, SPREAD, 100, pairs=promised(0.9)).queue_s is None, "an emulated wait that does not count"


def test_an_interval_holds_the_quoted_decile() -> None:
    pairs = promised(0.9)
    found = behind_pairs(Interval(0.5, 2.0), 30.0, pairs)
    assert found.low == pytest.approx(30.5 - 4.0 * 1.645 / 1.282)
    assert found.high == pytest.approx(32.0 + 4.0 * 1.645 / 1.282)
    assert behind_pairs(Interval(0.5, 2.0), 0.1, pairs).low == 0.5
