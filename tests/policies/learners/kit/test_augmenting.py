"""Experience that was never made: of the shape of what was, as much of a batch as is asked for, saved with the rest."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from policies.envs.contract import Observation
from policies.envs.meqc.sequential import SequentialSetting
from policies.learners.dqn import DQN, Config
from policies.learners.kit.augmenting import Augmenting, beside, transitions
from policies.learners.kit.replay import Met

SETTING = SequentialSetting(users=3, servers=2, episode_slots=6)
SMALL: dict[str, Any] = {"width": 8, "worlds": 4, "steps": 6, "batch": 8, "synthetic": 16, "synthesis_steps": 4}


def met(num: int, agents: int = 3) -> Met:
    chance = torch.Generator().manual_seed(num)

    def seen() -> Observation:
        user = torch.rand(num, agents, 2, generator=chance)
        return Observation(user, torch.rand(num, agents, 4, 3, generator=chance))

    way = torch.randint(5, (num, agents), generator=chance)
    share, reward = (torch.rand(num, agents, generator=chance) for _ in range(2))
    return Met(seen(), way, share, reward, seen(), (torch.arange(num) % 2).float())


def test_agents_are_taken_apart_and_come_back_as_they_were() -> None:
    real, augmenting = met(5), Augmenting(4, (2, 3), 5, 10, alone=False)
    rows = transitions(real)
    assert rows.seen.shape == (15, 2 + 3 * 4)
    assert torch.equal(rows.last, 1.0 - real.goes_on.repeat_interleave(3))
    back = augmenting._met(rows)
    for mine, its in ((back.seen, real.seen), (back.after, real.after)):
        assert torch.equal(mine.user.squeeze(1), its.user.flatten(0, 1))
        assert torch.equal(mine.pair.squeeze(1), its.pair.flatten(0, 1))
    both = beside(real, back)
    assert torch.equal(both.way, torch.cat([real.way.flatten(), real.way.flatten()]).unsqueeze(-1))
    assert torch.equal(both.reward[:15], both.reward[15:])
    assert torch.equal(both.goes_on[:15], both.goes_on[15:])


@pytest.mark.parametrize(("augment", "num"), [(0.0, 0), (0.25, 2), (1.0, 8)])
def test_a_batch_is_as_synthetic_as_is_asked_for(augment: float, num: int) -> None:
    learner = DQN(Config(**SMALL, augment=augment), SETTING, 1)
    first, second = learner.epoch(), learner.epoch()
    assert "synthesis_error" not in first.figures
    assert ("synthesis_error" in second.figures) == (augment > 0.0)
    if augment:
        learner._augmenting.made.reward.fill_(1e6)
    assert int((learner._drawn().reward == 1e6).sum()) == 3 * num


def test_it_goes_on_as_if_nothing_had_been() -> None:
    config = Config(**SMALL, augment=0.5)
    learner = DQN(config, SETTING, 1)
    for _ in range(2):
        learner.epoch()
    again = DQN(config, SETTING, 2)
    again.restore(learner.state())
    assert again.epoch() == learner.epoch()
