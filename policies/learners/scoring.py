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

from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import Tensor

from circuits.parameters import integer, real, validate
from policies.envs.contract import Action
from policies.envs.meqc.batch import Slots, settle
from policies.learners.kit.counterfactual import Counterfactual
from policies.learners.kit.features import scale
from policies.learners.kit.marginals import marginals
from policies.learners.kit.scorer import Scorer


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


class Scoring(Counterfactual):
    """Trains a :class:`Scorer`."""

    config_type = ScoringConfig

    def _built(self) -> Scorer:
        return Scorer(self.setting, self.config.width, rounds=self.config.rounds)

    def _rounds(self, slots: Slots) -> Iterator[tuple[Tensor, Tensor, Action]]:
        model, unit = self.setting.model, scale(slots).unsqueeze(-1)
        for turn in self.network.rehearsed(self.setting.seen(slots), self.chance):
            now = replace(turn.action, shares=turn.action.shares.detach())
            kept = None if model.is_linear else turn.play.kept
            yield turn.play.logits, marginals(model, slots, now, kept) / unit, turn.action

    def _cost(self, slots: Slots, action: Action) -> Tensor:
        return settle(self.setting.model, slots, action).cost
