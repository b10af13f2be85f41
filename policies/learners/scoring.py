"""One policy for all users, all weights and worlds of any size: it scores servers, and learns by exact counterfactuals.

Source: ours, of the expected policy gradient over all actions (Ciosek and Whiteson, JMLR 21, 2020; Allen et al., "Mean
actor critic", 2017) with the counterfactual of COMA (Foerster et al., AAAI 2018): an action is drawn for everybody, and
every choice of every user is priced with the others left as they are. The gradient of the expected cost of all is

    sum over users u, choices c of  grad pi_u(c | o_u) m_u(c),      m_u(c): cost of all with c, less that without u

which needs no critic and no sampled advantage: the model is known, and in a linear reading all m_u come at once
(:mod:`policies.learners.kit.marginals`). Where shares are continuous, the gradient goes through the cost to the share.

Slots are independent in ``MEQC-v1``, so that nothing is gained by looking ahead: the discount is 0. Costs are measured
by what a task costs at home under the slot's weights, so that all weights count alike. What is learned is
decentralised: each user acts by its own observation, from which it prices its ways by the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from circuits.parameters import integer, real, validate
from policies.envs.meqc.batch import Slots, settle
from policies.envs.meqc.observation import observe
from policies.envs.meqc.world import Setting
from policies.learners.kit.draws import drawn, seeded
from policies.learners.kit.features import scale
from policies.learners.kit.marginals import marginals
from policies.learners.kit.schedule import slow_down
from policies.learners.kit.scorer import Scorer, Turn
from policies.learners.kit.snapshot import resume, snapshot
from policies.learners.learner import Progress


@dataclass(frozen=True)
class ScoringConfig:
    """How to train.

    Attributes:
        width: of the hidden layers.   slots: of a batch.   updates: steps of an epoch, each on fresh slots.
        epochs: over which step size and entropy bonus fall to nothing; more may follow at the smallest step size.
        learning_rate: first of Adam.   entropy: first weight of the bonus.   rounds: of requests before users act.
    """

    width: int = integer(64, low=1, high=4096, doc="width of the hidden layers")
    slots: int = integer(128, low=1, high=1_000_000, doc="slots of a batch")
    updates: int = integer(20, low=1, high=1_000_000, doc="steps of an epoch")
    epochs: int = integer(30, low=1, high=1_000_000, doc="epochs over which the step size falls")
    learning_rate: float = real(3e-3, low=1e-8, high=1.0, doc="first step size of Adam")
    entropy: float = real(2e-3, low=0.0, high=10.0, doc="first weight of the entropy bonus")
    rounds: int = integer(0, low=0, high=8, doc="rounds of requests before users act")

    def __post_init__(self) -> None:
        validate(self)


LARGEST_GRADIENT = 1.0


class Scoring:
    """Trains a :class:`Scorer`."""

    config_type = ScoringConfig

    def __init__(self, config: ScoringConfig, setting: Setting, seed: int) -> None:
        self.config, self.setting = config, setting
        self.chance = torch.Generator().manual_seed(seed)
        self.scorer = seeded(seed, lambda: Scorer(setting.model, config.width, rounds=config.rounds))
        self.optimiser = torch.optim.Adam(self.scorer.parameters(), lr=config.learning_rate)
        self.epochs = 0

    def epoch(self) -> Progress:
        """A number of steps, each on fresh slots."""
        left = slow_down(self.optimiser, self.config.learning_rate, self.epochs, self.config.epochs)
        means = torch.stack([self._update(left) for _ in range(self.config.updates)]).mean(0).tolist()
        self.epochs += 1
        slots = self.epochs * self.config.updates * self.config.slots
        return Progress(self.epochs, slots, means[0], {"loss": means[1], "entropy": means[2]})

    def _update(self, left: float) -> Tensor:
        """One step; mean cost, loss and entropy."""
        slots = drawn(self.setting, self.chance, self.config.slots)
        loss, entropy, cost = torch.zeros(()), torch.zeros(()), torch.zeros(())
        for turn in self.scorer.rehearsed(observe(slots), self.chance):
            expected, entropy = self._expected(slots, turn)
            loss = loss + expected - self.config.entropy * left * entropy
            cost = settle(self.setting.model, slots, turn.action).cost.sum(-1).mean()
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.scorer.parameters(), LARGEST_GRADIENT)
        self.optimiser.step()
        return torch.stack([cost, loss, entropy]).detach()

    def _expected(self, slots: Slots, turn: Turn) -> tuple[Tensor, Tensor]:
        """Mean over users of what their choices add to the cost of all, and their entropy."""
        model = self.setting.model
        now = replace(turn.action, shares=turn.action.shares.detach())
        added = marginals(model, slots, now, None if model.is_linear else turn.play.kept) / scale(slots).unsqueeze(-1)
        log_chance = torch.log_softmax(turn.play.logits, dim=-1)
        chances = log_chance.exp()
        return (chances * added).sum(-1).mean(), -(chances * log_chance).sum(-1).mean()

    def actor(self) -> Scorer:
        """What has been learned so far."""
        return deepcopy(self.scorer)

    def state(self) -> dict[str, Tensor]:
        """Weights, optimiser, chance and epochs."""
        return snapshot(self.scorer, self.optimiser, self.chance, self.epochs)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        self.epochs = resume(state, self.scorer, self.optimiser, self.chance)
