"""Training: right gradients, the bound, and that an interruption changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from circuits.autoencoder.ansatz import encode, num_angles
from circuits.autoencoder.records import read_record, write_record
from circuits.autoencoder.states import Ensemble, ensemble
from circuits.autoencoder.training import Checkpoint, Problem, Progress, Stage, configure, default_layers, train
from circuits.errors import InvalidParameter

QUICK = (Stage(0.2, 10, 2), Stage(1.0, 20, 1))


@pytest.fixture(scope="module")
def ising() -> Ensemble:
    return ensemble("tfim", 4)


def test_the_cost_is_one_minus_the_mean_trash_fidelity(ising: Ensemble) -> None:
    config = configure(ising, 3, num_layers=3)
    angles = np.random.default_rng(0).normal(size=num_angles(4, 3, 3))
    encoded = encode(ising.train, 3, 3, angles)
    mean = np.mean(np.sum(encoded[:, :8] ** 2, axis=1))
    assert Problem(ising, config).costs(angles[None], 1.0)[0] == pytest.approx(1.0 - mean, abs=1e-9)


def test_the_gradient_is_that_of_finite_differences(ising: Ensemble) -> None:
    problem = Problem(ising, configure(ising, 2, num_layers=3))
    angles = np.random.default_rng(1).normal(size=num_angles(4, 2, 3))
    _, gradient = problem.cost_and_gradient(angles, 0.5)
    steps = 1e-5 * np.eye(len(angles))
    numeric = (problem.costs(angles + steps, 0.5) - problem.costs(angles - steps, 0.5)) / 2e-5
    np.testing.assert_allclose(gradient, numeric, atol=1e-9)


def test_starts_do_not_see_each_other(ising: Ensemble) -> None:
    problem = Problem(ising, configure(ising, 2, num_layers=3))
    rows = np.random.default_rng(2).normal(size=(3, num_angles(4, 2, 3)))
    together = problem.costs(rows, 0.2)
    np.testing.assert_allclose(together, [problem.costs(row[None], 0.2)[0] for row in rows], atol=1e-14)


def test_it_reaches_the_bound_on_states_that_an_encoder_can_hold() -> None:
    data = ensemble("hubbard", 4)
    encoder, end = train(data, configure(data, 2, num_starts=2, stages=(Stage(0.2, 100, 1), Stage(1.0, 200, 1))))
    assert encoder.figures.bound == pytest.approx(1.0)
    assert encoder.figures.test_mean > 0.9999
    assert encoder.figures.train_mean <= encoder.figures.bound + 1e-12
    assert end.finished
    assert end.train_s > 0


def test_resumed_anywhere_it_ends_with_the_same_angles(ising: Ensemble, tmp_path: Path) -> None:
    config = configure(ising, 2, num_layers=3, num_starts=3, stages=QUICK, seed=5)
    points: list[Checkpoint] = []
    told: list[Progress] = []
    whole, end = train(ising, config, keep=points.append, tell=told.append)
    assert len(points) == 4, "one exploration, two refinements, one more"
    assert points[-1] == end
    assert [now.step for now in told] == sorted(now.step for now in told)
    assert told[-1].step <= told[-1].num_steps == 150 + 2 * 10 + 20
    for point in points:
        write_record(tmp_path / "checkpoint.json", point)
        kept = read_record(tmp_path / "checkpoint.json", Checkpoint)
        again, _ = train(ising, config, resume=kept)
        assert again.angles_rad == whole.angles_rad
        assert again.figures == whole.figures


def test_the_seed_decides(ising: Ensemble) -> None:
    first, second, other = (
        train(ising, configure(ising, 3, num_layers=2, num_starts=2, stages=QUICK, seed=seed))[0].angles_rad
        for seed in (1, 1, 2)
    )
    assert first == second != other


def test_a_checkpoint_of_something_else_is_refused(ising: Ensemble, tmp_path: Path) -> None:
    config = configure(ising, 2, num_layers=3, stages=QUICK)
    with pytest.raises(InvalidParameter, match="wanted a checkpoint of"):
        train(ising, config, resume=Checkpoint(replace(config, seed=9)))
    with pytest.raises(InvalidParameter, match="damaged"):
        train(ising, config, resume=Checkpoint(config, 0, ((0.0, 1.0),)))
    with pytest.raises(InvalidParameter, match="damaged"):
        train(ising, config, resume=Checkpoint(config, 0))
    (tmp_path / "half.json").write_text('{"config": {"states"')
    with pytest.raises(InvalidParameter, match=r"half.json.*Checkpoint"):
        read_record(tmp_path / "half.json", Checkpoint)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("num_latent", {"num_latent": 4}),
        ("num_latent", {"num_latent": 0}),
        ("num_layers", {"num_latent": 2, "num_layers": 0}),
        ("num_starts", {"num_latent": 2, "num_starts": 65}),
        ("seed", {"num_latent": 2, "seed": -1}),
    ],
)
def test_numbers_out_of_range_are_refused_by_name(name: str, options: dict[str, int], ising: Ensemble) -> None:
    with pytest.raises(InvalidParameter, match=rf"{name}: wanted an integer in \[\d+, \d+\], got"):
        configure(ising, **options)


def test_sizes_have_their_depth() -> None:
    assert [default_layers("tfim", n) for n in (2, 6, 9)] == [2, 8, 14]
    assert default_layers("digits", 6) == default_layers("hubbard", 8) == 16
