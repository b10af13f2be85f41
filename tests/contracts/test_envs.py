"""What every registered world keeps to."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

from policies.envs import ENVS, load
from policies.envs.contract import Action

pytest.importorskip("pettingzoo", reason="pip install 'qorch[learn]'")


@pytest.fixture(params=sorted(ENVS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def small(name: str) -> Any:
    return load(name).setting_type(users=3, servers=2)


def test_it_passes_the_checks_of_pettingzoo(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    from pettingzoo.test import parallel_api_test, parallel_seed_test

    from policies.envs.parallel_env import ParallelWorld

    parallel_api_test(ParallelWorld(name, small(name), max_slots=20), num_cycles=50)
    parallel_seed_test(lambda: ParallelWorld(name, small(name), max_slots=20), num_cycles=10)
    assert "Passed" in capsys.readouterr().out


def test_it_passes_the_checks_of_gymnasium(name: str) -> None:
    from gymnasium.utils.env_checker import check_env

    from policies.envs.parallel_env import CentralWorld

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(CentralWorld(name, small(name)), skip_render_check=True)


def test_worlds_side_by_side_are_worlds(name: str) -> None:
    kind = load(name)
    worlds = [kind(small(name), 4, seed) for seed in (1, 1, 2)]
    action = Action(torch.zeros(4, 3, dtype=torch.long), torch.full((4, 3), 0.5))
    for _ in range(3):
        seen = [world.observe().flat() for world in worlds]
        assert torch.equal(seen[0], seen[1])
        assert not torch.equal(seen[0], seen[2])
        paid = [world.step(action) for world in worlds]
        assert paid[0].reward.shape == (4, 3)
        assert bool(paid[0].reward.isfinite().all())
        assert torch.equal(paid[0].reward, paid[1].reward)


def test_it_says_what_it_is(name: str) -> None:
    assert (load(name).__doc__ or "").strip()
    assert (load(name).setting_type.__doc__ or "").strip()


@pytest.mark.gpu
def test_it_runs_on_a_gpu(name: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    world = load(name)(small(name), 64, 1, device="cuda")
    for _ in range(3):
        assert world.observe().flat().device.type == "cuda"
        users = (64, 3)
        action = Action(torch.zeros(users, dtype=torch.long, device="cuda"), torch.zeros(users, device="cuda"))
        assert bool(world.step(action).reward.isfinite().all())
