"""Jobs in two parts: what they cost by hand, what an actor sees and works out, and the same in the twin and live."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from circuits.errors import InvalidParameter
from orchestrator.job import Estimate, JobSpec, Objective
from orchestrator.placement import Backlog, Lane, Request, Scales
from policies import load
from policies.envs.contract import Action
from policies.envs.measured import twin as twins
from policies.envs.measured.divided import DividedSetting, DividedWorld
from policies.envs.measured.division import fixed_in
from policies.envs.measured.observation import NUM_PAIR, observed
from policies.envs.measured.twin import Measured, work_of
from policies.envs.measured.world import MeasuredSetting, World
from policies.learned import Placed, sight_of
from policies.learners.kit import checkpoint as checkpoints
from policies.learners.kit.divider import Divider
from policies.learners.placing import PlacingConfig
from policies.table import Table
from policies.train import train
from tests.policies.batches import PROGRAM, one

LANES = (Lane("w1", 1, ("a",)), Lane("w2", 1, ("b",)))
MERGE_S = 0.5
SPEC = JobSpec(program=PROGRAM, shots=101, max_parts=2, objective=Objective(latency=1.0, fidelity=0.0, price=0.0))


def request(spec: JobSpec = SPEC, number: int = 1) -> Request:
    """101 shots: on a 1 s and 0.1 s a shot, on b 2 s and 0.2 s a shot."""
    found = one(number, spec=spec, a=Estimate(11.1, 1.0, 30.0, 0.0), b=Estimate(22.2, 1.0, 60.0, 0.0))
    firsts = {"a": Estimate(1.1, 1.0, 10.0, 0.0), "b": Estimate(2.2, 1.0, 20.0, 0.0)}
    return replace(found, candidates=tuple(replace(each, one_shot=firsts[each.backend]) for each in found.candidates))


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A twin of that job, where everything comes as it was told."""
    asked = request()
    told = {each.backend: each.estimate for each in asked.candidates}
    measured = [
        Measured(work_of(asked), name, estimate, estimate.service_s, 1.0, estimate.energy_j)
        for name, estimate in told.items()
    ]
    twins.save(twins.fit([asked] * 3, LANES, Scales(), measured, MERGE_S), tmp_path / "twin.safetensors")
    return str(tmp_path / "twin.safetensors")


def setting(source: str) -> DividedSetting:
    return DividedSetting(source=source, servers=2, fleets="all", jobs=4, low_load=0.001, high_load=0.001, burst=1.0)


def test_a_job_in_parts_ends_with_the_later_one_and_pays_for_both(source: str) -> None:
    world = DividedWorld(setting(source), 3, 1, dtype=torch.float64)
    shares = torch.tensor([[0.0], [30 / 101], [1.0]], dtype=torch.float64)
    waited_s = world._jobs.waited_s[:, 0]
    ran = world.step(Action(torch.zeros(3, 1, dtype=torch.long), shares)).outcome
    assert (ran.latency_s[:, 0] - waited_s).tolist() == pytest.approx([11.1, 8.1 + MERGE_S, 22.2], rel=1e-5)
    assert ran.energy_j[:, 0].tolist() == pytest.approx([30.0, (9.8 + 71 * 0.2) + (19.6 + 30 * 0.4), 60.0], rel=1e-5)
    assert ran.fidelity[:, 0].tolist() == [1.0, 1.0, 1.0]


def test_parts_wait_in_their_own_queues_and_hold_up_who_comes_later(source: str) -> None:
    crowd = replace(setting(source), burst=1000.0)
    world = DividedWorld(crowd, 1, 1, dtype=torch.float64)
    world.step(Action(torch.zeros(1, 1, dtype=torch.long), torch.full((1, 1), 30 / 101, dtype=torch.float64)))
    assert world.queues.waits_s()[0].tolist() == pytest.approx([8.1, 8.0], rel=1e-5)


def test_nothing_kept_is_the_first_world() -> None:
    plain = World(MeasuredSetting(source=twins.DIVIDED, servers=7, jobs=12), 8, 3)
    parts = DividedWorld(DividedSetting(jobs=12), 8, 3)
    for _ in range(12):
        servers = plain.observe().pair[..., 0].argmax(-1)
        assert torch.equal(plain.observe().pair, parts.observe().pair[..., :NUM_PAIR])
        actions = (Action(servers, torch.zeros(8, 1)) for _ in range(2))
        assert torch.equal(*(world.step(action).reward for world, action in zip((plain, parts), actions, strict=True)))


def test_an_untrained_actor_divides_as_split_does(source: str) -> None:
    world = DividedWorld(setting(source), 1, 1)
    action = Divider().act(world.observe())
    (wanted,) = load("split").place([request()], Backlog(LANES), Scales())
    assert int(action.servers) == 0
    assert float(action.shares) == pytest.approx(wanted["b"], abs=0.01)


def test_the_live_trip_shows_what_the_twin_shows(source: str) -> None:
    world, table = DividedWorld(setting(source), 1, 1), Table.of([request()], Scales())
    seen = world.observe().pair[..., NUM_PAIR:]
    assert torch.allclose(seen, fixed_in(table), atol=1e-5)
    assert seen[0, 0, :, 0].tolist() == pytest.approx([1.0 / 11.1, 2.0 / 22.2], rel=1e-4)
    assert torch.equal(fixed_in(Table.of([request(replace(SPEC, max_parts=1))], Scales())), torch.ones(1, 1, 2, 2))
    assert observed(sight_of(table, Backlog(LANES))).pair.shape[-1] == NUM_PAIR


def test_what_was_trained_to_divide_divides_live(source: str, tmp_path: Path) -> None:
    config = PlacingConfig(worlds=2, pairs=2, updates=1)
    run = checkpoints.Run("placing", "Measured-v2", 1, config, setting(source))
    placed = Placed(checkpoints.load(train(run, 1, tmp_path / "run").folder))
    requests = [request(number=1), request(replace(SPEC, max_parts=1), number=2)]
    backlog = Backlog(LANES)
    shared, whole = placed.decide(Table.of(requests, Scales()), backlog)
    assert set(shared) == {"a", "b"}
    assert sum(shared.values()) == pytest.approx(1.0)
    items = shared["b"] * 101
    assert items == pytest.approx(round(items))
    assert len(whole) == 1
    busy_s = {"w1": 1.0 + 0.1 * (101 - items), "w2": 2.0 + 0.2 * items}
    busy_s["w1" if "a" in whole else "w2"] += 11.1 if "a" in whole else 22.2
    assert backlog.load_s == pytest.approx(busy_s)


def test_a_twin_of_whole_jobs_is_refused_in_words() -> None:
    with pytest.raises(InvalidParameter, match="max_parts above 1"):
        DividedWorld(DividedSetting(source=twins.BUILT_IN, servers=4))
