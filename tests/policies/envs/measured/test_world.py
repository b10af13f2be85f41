"""The world made of measurements: what it shows, what it draws, and what its twin may be read from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors

from circuits.errors import InvalidParameter
from policies.envs.contract import Action
from policies.envs.measured import twin as twins
from policies.envs.measured.observation import observed, quantities
from policies.envs.measured.world import MeasuredSetting, World
from policies.learners.kit.placer import Placer


def greedy(world: World) -> Action:
    seen = world.observe()
    known = quantities(seen)
    cost = known.rest + known.per_s * (known.elapsed_s + known.wait_s)
    servers = torch.where(known.feasible, cost, torch.inf).argmin(-1)
    return Action(servers, torch.zeros(servers.shape))


def test_what_is_coded_can_be_read_back() -> None:
    world = World(MeasuredSetting(), 8, 1)
    for _ in range(5):
        world.step(greedy(world))
    sight, known = world.sight(), quantities(world.observe())
    for name in ("rest", "elapsed_s", "service_s", "wait_s"):
        told, read = (torch.where(sight.feasible, one, 0.0) for one in (getattr(sight, name), getattr(known, name)))
        assert torch.allclose(told, read, rtol=1e-3, atol=1e-5), name
    assert torch.equal(sight.feasible, known.feasible)
    assert bool(observed(sight).pair.isfinite().all())


def test_copies_meet_the_same_jobs_and_pay_for_what_they_do() -> None:
    world = World(MeasuredSetting(jobs=20), 6, 1, copies=2)
    totals = torch.zeros(12)
    for turn in range(20):
        seen = world.observe()
        assert torch.equal(seen.user[:6], seen.user[6:])
        servers = greedy(world).servers
        servers[6:] = seen.pair[6:, ..., 0].argmax(-1)  # the first place where it may go, whatever it costs
        step = world.step(Action(servers, torch.zeros(servers.shape)))
        totals += step.outcome.cost.sum(-1)
        assert step.terminated == (turn == 19)
        assert bool((step.outcome.own <= step.outcome.cost + 1e-6).all())
        assert bool((step.outcome.fidelity <= 1.0).all())
    assert float(totals[:6].sum()) < 0.7 * float(totals[6:].sum())


def test_busier_worlds_wait_longer() -> None:
    waits = []
    for load in (0.2, 1.5):
        world = World(MeasuredSetting(low_load=load, high_load=load, fleets="all"), 32, 1)
        for _ in range(60):
            world.step(greedy(world))
        waits.append(float(world.queues.waits_s().mean()))
    assert waits[0] < 0.5 * waits[1]


def test_an_untrained_actor_is_nearly_greedy() -> None:
    world, placer = World(MeasuredSetting(), 64, 3), Placer()
    same = []
    for _ in range(10):
        chosen = placer.act(world.observe()).servers
        rule = greedy(world)
        same.append((chosen == rule.servers).float().mean())
        world.step(rule)
    assert float(torch.stack(same).mean()) > 0.85


def test_a_twin_is_read_as_it_was_written(tmp_path: Path) -> None:
    twin = twins.load(twins.BUILT_IN)
    twins.save(twin, tmp_path / "twin.safetensors")
    again = twins.load(str(tmp_path / "twin.safetensors"))
    assert (again.backends, again.lanes, again.scales) == (twin.backends, twin.lanes, twin.scales)
    assert all(
        torch.equal(getattr(twin, name).nan_to_num(9.0), getattr(again, name).nan_to_num(9.0)) for name in twins.HELD
    )
    few = twin.taking(3)
    assert few.feasible.shape[1] == 3
    assert bool(few.feasible.any(1).all())


def test_jobs_of_another_service_join_on_the_places_that_both_have(tmp_path: Path) -> None:
    whole = twins.load(twins.BUILT_IN)
    few = whole.taking(4)
    places = [whole.backends.index(name) for name in few.backends]
    both, num = twins.joined(whole, few), len(whole.feasible)
    assert len(both.feasible) == num + len(few.feasible)
    assert torch.equal(both.service_s[:num], whole.service_s)
    assert torch.equal(both.service_s[num:][:, places], few.service_s)
    assert int(both.feasible[num:].sum()) == int(few.feasible.sum()), "nowhere else"
    assert torch.equal(both.priority[num:], few.priority)
    others = [place for place in range(len(whole.backends)) if place not in places]
    assert torch.equal(both.errors[others], whole.errors[others])
    assert both.errors.shape == whole.errors.shape
    twins.save(both, tmp_path / "both.safetensors")
    assert len(twins.load(str(tmp_path / "both.safetensors")).feasible) == len(both.feasible)
    with pytest.raises(InvalidParameter, match="wanted two whose jobs are whole"):
        twins.joined(whole, twins.load(twins.DIVIDED))


def test_the_equally_urgent_are_served_by_what_they_cost_where_that_is_the_order() -> None:
    costs = []
    for order in ("rank", "smith", "planned"):
        world = World(MeasuredSetting(servers=5, jobs=60, low_load=1.5, high_load=1.5, order=order), 32, 3)
        total = torch.zeros(32)
        for _ in range(60):
            total += -world.step(greedy(world)).reward.sum(-1)
        costs.append(float(total.mean()))
    assert costs[1] < 0.97 * costs[0], "the same jobs on the same places"
    assert costs[2] < 0.97 * costs[1], "who sees whom it would hold up holds up less"


def test_what_is_planned_is_what_a_place_costs_if_estimates_are_right() -> None:
    world = World(MeasuredSetting(servers=5, jobs=60, low_load=1.5, high_load=1.5, order="planned"), 16, 3)
    for _ in range(59):
        world._jobs = replace(world._jobs, off=torch.zeros_like(world._jobs.off))
        known, action = quantities(world.observe()), greedy(world)
        waited_s, trip_s = (world._all(one).flatten() for one in (world._jobs.waited_s, world._jobs.trip_s))
        told = known.rest + known.per_s * (known.elapsed_s + known.wait_s)
        told = told.gather(-1, action.servers.unsqueeze(-1)).flatten() + known.per_s.flatten() * (waited_s + trip_s)
        assert torch.allclose(-world.step(action).reward.flatten(), told, rtol=1e-2, atol=1e-3)


def test_a_twin_of_format_1_slows_nobody(tmp_path: Path) -> None:
    path = tmp_path / "old.safetensors"
    twins.save(twins.load(twins.BUILT_IN), path)
    held = read_tensors(path.read_bytes())
    about = json.loads(bytes(held.pop("about").tolist())) | {"format": 1}
    old = {name: value for name, value in held.items() if name not in twins.OF_MACHINE}
    for version in (1, 3):
        stamp = json.dumps(about | {"format": version}).encode()
        path.write_bytes(write_tensors({**old, "about": torch.tensor(list(stamp), dtype=torch.uint8)}))
        if version == 1:
            found = twins.load(str(path))
            assert not found.slowed.any()
            assert not found.trips_s.any()
        else:
            with pytest.raises(InvalidParameter, match="wanted 1 or 2, got 3"):
                twins.load(str(path))


@pytest.mark.parametrize("content", [b"", b"\x80\x04.", b"{}", b"\x10" + b"\x00" * 7 + b'{"__metadata__":'])
def test_what_is_no_twin_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "twin.safetensors"
    path.write_bytes(content)
    with pytest.raises(InvalidParameter, match="twin"):
        twins.load(str(path))
    with pytest.raises(InvalidParameter, match="source"):
        twins.load(str(tmp_path / "none"))


def test_settings_and_actions_are_checked() -> None:
    with pytest.raises(InvalidParameter, match="low_load"):
        MeasuredSetting(low_load=2.0, high_load=1.0)
    with pytest.raises(InvalidParameter, match="servers"):
        World(MeasuredSetting(servers=500))
    world = World(MeasuredSetting(servers=4), 2)
    with pytest.raises(InvalidParameter, match="asks"):
        world.step(replace(greedy(world), asks=torch.ones(2, 1, dtype=torch.bool)))
