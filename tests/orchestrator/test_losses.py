"""What is learned of fidelity, and that a fold leaves what was known as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.cost_model.losses import LossModel
from orchestrator.cost_model.prior import fidelity_interval
from orchestrator.telemetry import Observation


def told(observation: Observation, program: str, prior: float, measured: float) -> Observation:
    return replace(
        observation,
        backend="b",
        group="program",
        program_hash=program,
        prior=replace(observation.prior, fidelity=prior),
        measurement=replace(observation.measurement, fidelity=measured, fidelity_floor=None),
    )


def test_one_measurement_corrects_its_program(observation: Observation) -> None:
    model = LossModel().fold([told(observation, "p", 0.9, 0.7)])
    assert model.fidelity(0.9, "b", "program", "p") == pytest.approx(0.7, abs=0.04)


def test_what_loses_much_says_more_of_others_than_what_loses_nothing(observation: Observation) -> None:
    much = [told(observation, f"m{n}", 0.7, 0.5) for n in range(10)]
    little = [told(observation, f"l{n}", 0.999, 0.999) for n in range(10)]
    mixed = LossModel().fold([one for pair in zip(much, little, strict=True) for one in pair])
    assert mixed.fidelity(0.7, "b", "program", "new") == pytest.approx(0.5, abs=0.05)


def test_an_observation_touches_few_shards(observation: Observation) -> None:
    before = LossModel().fold([told(observation, f"p{number}", 0.9, 0.8) for number in range(3000)])
    after = before.fold([told(observation, "p7", 0.9, 0.7)])
    changed = sum(one is not other for one, other in zip(after.known.shards, before.known.shards, strict=True))
    assert 1 <= changed <= 3, "what is not written to is shared, however much is known"


def test_certainty_needs_circuits_that_do_not_branch() -> None:
    sure, unsure = fidelity_interval(0.8, 0.0), fidelity_interval(0.8, 5.0)
    assert sure.high - sure.low < 5e-3 < unsure.high - unsure.low
    for fidelity in (0.0, 1.0):
        assert 0.0 <= fidelity_interval(fidelity, 9.0).low <= fidelity <= fidelity_interval(fidelity, 9.0).high <= 1.0
