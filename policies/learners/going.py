"""One policy for all users and weights of a QCN: it learns by exact counterfactuals where to go and what to keep.

Source: ours, as :mod:`policies.learners.scoring` in MEQC: the expected policy gradient over all actions (Ciosek and
Whiteson, JMLR 21, 2020) with the counterfactual of COMA (Foerster et al., AAAI 2018). An action is drawn for everybody,
every choice c of every user u is priced with the others left as they are, and what is lowered is

    sum over u, c of  pi_u(c | o_u) m_u(c, kept),        m_u: what the cost of all rises by if u chooses c

through which gradients go to the share that is kept too. No critic, no sampled advantage: the model is known
(:mod:`policies.learners.kit.crowding`). Slots of ``QCN-v1`` are independent, so that the discount is 0.

What is learned is decentralised: each user acts by its own observation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from circuits.parameters import integer, real, validate
from policies.envs.contract import Action
from policies.envs.qcn.batch import Slots, settle
from policies.learners.kit.counterfactual import Counterfactual
from policies.learners.kit.crowding import answers
from policies.learners.kit.goer import Goer


@dataclass(frozen=True)
class Config:
    """How to train.

    Attributes:
        width: of the hidden layers.   slots: of a batch.   updates: steps of an epoch, each on fresh slots.
        epochs: over which step size and entropy bonus fall to nothing; more may follow at the smallest step size.
        learning_rate: first of Adam.   entropy: first weight of the bonus.   rounds: of talk before users act.
        groups: in each round but the first and the last, users of one group alone may change where they go, in turns.
    """

    width: int = integer(32, low=1, high=4096, doc="width of the hidden layers")
    slots: int = integer(96, low=1, high=1_000_000, doc="slots of a batch")
    updates: int = integer(50, low=1, high=1_000_000, doc="steps of an epoch, each on fresh slots")
    epochs: int = integer(5, low=1, high=1_000_000, doc="epochs over which the step size falls")
    learning_rate: float = real(5e-3, low=1e-8, high=1.0, doc="first step size of Adam")
    entropy: float = real(2e-2, low=0.0, high=10.0, doc="first weight of the entropy bonus")
    rounds: int = integer(0, low=0, high=100, doc="rounds of talk before users act")
    groups: int = integer(1, low=1, high=1000, doc="groups of users that take turns to change their minds")

    def __post_init__(self) -> None:
        validate(self)


class Going(Counterfactual):
    """Trains a :class:`Goer`."""

    config_type = Config
    envs = ("QCN-v1",)

    def _built(self) -> Goer:
        config = self.config
        return Goer(self.setting, config.width, rounds=config.rounds, groups=config.groups)

    def _rounds(self, slots: Slots) -> Iterator[tuple[Tensor, Tensor, Action]]:
        for known, turn in self.network.rehearsed(self.setting.seen(slots), self.chance):
            told = answers(known, turn.choice, None if self.config.rounds else turn.share.detach())
            places = known.cost(turn.share, told.others + 1.0) + told.rise
            yield turn.logits, torch.cat([known.home.unsqueeze(-1), places], dim=-1), turn.action()

    def _cost(self, slots: Slots, action: Action) -> Tensor:
        return settle(self.setting.model, slots, action).cost
