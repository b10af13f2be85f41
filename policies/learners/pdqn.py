"""P-DQN: the value of every way with the share that an actor would keep there; each agent by its own observation.

Source: Xiong et al., "Parametrized deep Q-networks learning", arXiv 1810.06394: Q(s, k, x) over discrete k with
continuous x_k, whose actor x(s) climbs the sum of Q over k. Bester, James and Konidaris, "Multi-pass Q-networks", arXiv
1905.04388: no Q_k may depend on the x of another k, for which they pass the network once a k. Here a place's share
enters behind the pooling of places, so that one pass has the same property (ours), as are the networks, of any size and
shared by all agents. See :mod:`policies.learners.kit.off_policy`.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import smooth_l1_loss

from policies.envs.contract import Observation
from policies.learners.kit.inverting import share_of
from policies.learners.kit.off_policy import Chooser, OffPolicy
from policies.learners.kit.replay import Met
from policies.learners.kit.sets import PlaceNetwork
from policies.learners.kit.ways import at_place, joined, num_requests


class ShareActor(Chooser):
    """Shares at all places, and the value of staying and of every place and request with a share."""

    def __init__(self, num_features: tuple[int, int], width: int, requests: int) -> None:
        super().__init__(requests)
        self.shares = PlaceNetwork(num_features, width, 1, 1)
        self.values = PlaceNetwork(num_features, width, 1, requests, num_told=1)

    def kept(self, seen: Observation) -> Tensor:
        """x(s), (B, U, E, 1)."""
        return share_of(self.shares(seen)[1])

    def forward(self, seen: Observation, kept: Tensor) -> Tensor:
        """Q(s, k, x_k) of all ways, (B, U, 1 + E K)."""
        return joined(*self.values(seen, kept))

    def best(self, seen: Observation) -> tuple[Tensor, Tensor]:
        kept = self.kept(seen)
        way = self(seen, kept).argmax(-1)
        return way, at_place(kept, way, self.requests).squeeze(-1)


class PDQN(OffPolicy):
    """Trains a :class:`ShareActor`."""

    slower = ("act.shares",)

    def _built(self) -> nn.ModuleDict:
        actor = ShareActor(self._world.num_features, self.config.width, num_requests(self.setting))
        return nn.ModuleDict({"act": actor})

    def _value(self, after: Observation) -> Tensor:
        target = self._targets["act"]
        value: Tensor = target(after, target.kept(after)).max(-1).values
        return value

    def _loss(self, met: Met, aim: Tensor) -> Tensor:
        """Squared error of Q at what was done, and minus the sum of Q over all ways with the actor's shares."""
        actor = self._networks["act"]
        done = met.share[..., None, None].expand(*met.seen.pair.shape[:-1], 1)  # where it did not go, nobody looks
        value = actor(met.seen, done).gather(-1, met.way.unsqueeze(-1)).squeeze(-1)
        frozen = {name: each.detach() for name, each in actor.values.named_parameters()}
        _, places = functional_call(actor.values, frozen, (met.seen, actor.kept(met.seen)))
        loss: Tensor = smooth_l1_loss(value, aim) - places.sum((-2, -1)).mean()
        return loss
