"""DDPG: an actor that climbs a critic of its actions, with the choice of a place relaxed; each agent for itself.

Source: Lillicrap et al., "Continuous control with deep reinforcement learning", arXiv 1509.02971. It has no discrete
actions: a way is a vector of weights that sum to one, the softmax of the actor's scores, and the largest is played
(after Hausknecht and Stone, arXiv 1511.04143, who relax without a softmax). Ours: the critic is linear in the weights,
so that at the corners it is the value of what was played, and between them of a draw; exploration is a random way and
share now and then, as theirs, in the place of the paper's Ornstein-Uhlenbeck noise, which is for inert bodies; networks
are of any size and shared by all agents. See :mod:`policies.learners.kit.off_policy`.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import mse_loss

from policies.envs.contract import Observation
from policies.learners.kit.inverting import share_of
from policies.learners.kit.off_policy import Chooser, OffPolicy
from policies.learners.kit.replay import Met
from policies.learners.kit.sets import PlaceNetwork
from policies.learners.kit.ways import at_place, joined, num_requests

KEPT_SMALL = 0.01
"""Weight of the squared scores: a softmax that is sure has no gradient left (Andrychowicz et al., arXiv 1707.01495)."""


class RelaxedActor(Chooser):
    """Scores of staying and of every place and request, and a share for each place."""

    def __init__(self, num_features: tuple[int, int], width: int, requests: int) -> None:
        super().__init__(requests)
        self.scores = PlaceNetwork(num_features, width, 1, requests + 1)

    def forward(self, seen: Observation) -> tuple[Tensor, Tensor]:
        """Scores of all ways (B, U, 1 + E K), and shares (B, U, E, 1)."""
        home, place = self.scores(seen)
        return joined(home, place[..., :-1]), share_of(place[..., -1:])

    def best(self, seen: Observation) -> tuple[Tensor, Tensor]:
        scores, kept = self(seen)
        way = scores.argmax(-1)
        return way, at_place(kept, way, self.requests).squeeze(-1)


class DDPG(OffPolicy):
    """Trains a :class:`RelaxedActor` and its critic."""

    slower = ("act",)

    def _built(self) -> nn.ModuleDict:
        features, width, requests = self._world.num_features, self.config.width, num_requests(self.setting)
        critic = PlaceNetwork(features, width, 1, requests, num_told=1)
        return nn.ModuleDict({"act": RelaxedActor(features, width, requests), "critic": critic})

    def _value(self, after: Observation) -> Tensor:
        scores, kept = self._targets["act"](after)
        values = joined(*self._targets["critic"](after, kept))
        best: Tensor = values.gather(-1, scores.argmax(-1, keepdim=True)).squeeze(-1)
        return best

    def _loss(self, met: Met, aim: Tensor) -> Tensor:
        """Error of the critic at what was done, and minus its value of what the actor would do."""
        critic = self._networks["critic"]
        scores, kept = self._networks["act"](met.seen)
        done = met.share[..., None, None].expand_as(kept)  # where it did not go, nobody looks
        value = joined(*critic(met.seen, done)).gather(-1, met.way.unsqueeze(-1)).squeeze(-1)
        frozen = {name: each.detach() for name, each in critic.named_parameters()}
        climbed = (scores.softmax(-1) * joined(*functional_call(critic, frozen, (met.seen, kept)))).sum(-1).mean()
        loss: Tensor = mse_loss(value, aim) - climbed + KEPT_SMALL * scores.square().mean()
        return loss
