"""What tops up a replay buffer: transitions that were never made, drawn by a model of those that were.

Source: Lu et al., "Synthetic experience replay", NeurIPS 2023
(:mod:`policies.learners.kit.synthesiser`). Ours: a transition is of one agent, as if it were alone in its slot, since
that is what agents who act by their own observations learn from.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from policies.envs.contract import Observation
from policies.learners.kit.replay import Met, Replay
from policies.learners.kit.synthesiser import Synthesiser, Transitions


class Augmenting(nn.Module):  # type: ignore[misc]  # torch is Any to mypy here
    """A model of transitions and what was last drawn by it; a module, so that it is saved with the weights.

    Args:
        places: E.   num_features: F and G.   num_ways: that an agent has.   num: transitions that are drawn.
        alone: whether slots are independent, as of :class:`Replay`.
    """

    def __init__(self, places: int, num_features: tuple[int, int], num_ways: int, num: int, *, alone: bool) -> None:
        super().__init__()
        self.num_user, self.places = num_features[0], places
        self.synthesiser = Synthesiser(num_features[0] + num_features[1] * places, num_ways)
        self.made = Replay(num, (1, places), num_features, 1, alone=alone)

    def refresh(self, replay: Replay, num_steps: int, chance: torch.Generator) -> float:
        """Learn on from what was met, and draw anew; the model's error."""
        error = self.synthesiser.learn(transitions(replay.kept()), num_steps, chance)
        self.made.add(self._met(self.synthesiser.draw(self.made.capacity, chance)))
        return error

    def _met(self, drawn: Transitions) -> Met:
        seen, after = (self._observation(each) for each in (drawn.seen, drawn.next))
        way, reward = drawn.action.unsqueeze(-1), drawn.reward.unsqueeze(-1)
        return Met(seen, way, torch.zeros_like(reward), reward, after, 1.0 - drawn.last)

    def _observation(self, flat: Tensor) -> Observation:
        """The inverse of :meth:`Observation.flat`, of one agent a slot."""
        pair = flat[:, self.num_user :].unflatten(-1, (-1, self.places)).transpose(-1, -2)
        return Observation(flat[:, None, : self.num_user], pair.unsqueeze(1))


def transitions(met: Met) -> Transitions:
    """Every agent's own, without its share."""
    goes_on = met.goes_on.unsqueeze(-1).expand_as(met.reward)
    columns = (met.seen.flat(), met.way, met.reward, met.after.flat(), 1.0 - goes_on)
    return Transitions(*(each.flatten(0, 1) for each in columns))


def beside(met: Met, made: Met) -> Met:
    """What was met and what was made in one batch, each agent in a slot of its own."""
    return Met(*(_joined(one, other) for one, other in zip(_apart(met), made, strict=True)))


def _joined(one: Any, other: Any) -> Any:
    if isinstance(one, Observation):
        return Observation(torch.cat([one.user, other.user]), torch.cat([one.pair, other.pair]))
    return torch.cat([one, other])


def _apart(met: Met) -> Met:
    """Each agent in a slot of its own."""
    seen, after = (
        Observation(each.user.flatten(0, 1).unsqueeze(1), each.pair.flatten(0, 1).unsqueeze(1))
        for each in (met.seen, met.after)
    )
    way, share, reward = (each.flatten().unsqueeze(-1) for each in (met.way, met.share, met.reward))
    return Met(seen, way, share, reward, after, met.goes_on.repeat_interleave(met.way.shape[1]))
