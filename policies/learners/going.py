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

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from circuits.parameters import integer, real, validate
from policies.envs.qcn.batch import Slots, settle
from policies.envs.qcn.draw import draw_slots
from policies.envs.qcn.observation import observe
from policies.envs.qcn.world import Setting
from policies.learners.kit.crowding import Prices, answers
from policies.learners.kit.draws import EDGE, seeded
from policies.learners.kit.goer import Goer, Turn
from policies.learners.kit.schedule import slow_down
from policies.learners.kit.snapshot import resume, snapshot
from policies.learners.learner import Progress


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


LARGEST_GRADIENT = 1.0


class Going:
    """Trains a :class:`Goer`."""

    config_type = Config
    envs = ("QCN-v1",)

    def __init__(self, config: Config, setting: Setting, seed: int) -> None:
        self.config, self.setting = config, setting
        self.chance = torch.Generator().manual_seed(seed)
        self.goer = seeded(seed, lambda: Goer(setting, config.width, rounds=config.rounds, groups=config.groups))
        self.optimiser = torch.optim.Adam(self.goer.parameters(), lr=config.learning_rate)
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
        for known, turn in self.goer.rehearsed(observe(self.setting.model, slots), self.chance):
            expected, entropy = _expected(known, turn, adapts=self.config.rounds > 0)
            loss = loss + expected - self.config.entropy * left * entropy
            cost = settle(self.setting.model, slots, turn.action()).cost.sum(-1).mean()
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.goer.parameters(), LARGEST_GRADIENT)
        self.optimiser.step()
        return torch.stack([cost, loss, entropy]).detach()

    def actor(self) -> Goer:
        """What has been learned so far."""
        return deepcopy(self.goer)

    def state(self) -> dict[str, Tensor]:
        """Weights, optimiser, chance and epochs."""
        return snapshot(self.goer, self.optimiser, self.chance, self.epochs)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        self.epochs = resume(state, self.goer, self.optimiser, self.chance)


def _expected(known: Prices, turn: Turn, *, adapts: bool) -> tuple[Tensor, Tensor]:
    """Mean over users of what their choices add to the cost of all, and their entropy."""
    told = answers(known, turn.choice, None if adapts else turn.share.detach())
    places = known.cost(turn.share, told.others + 1.0) + told.rise
    added = torch.cat([known.home.unsqueeze(-1), places], dim=-1)
    log_chance = torch.log_softmax(turn.logits, dim=-1)
    chances = log_chance.exp()
    return (chances * added).sum(-1).mean(), -(chances * log_chance).sum(-1).mean()


def drawn(setting: Setting, chance: torch.Generator, num_slots: int) -> Slots:
    """Fresh slots; drawn weights reach their ends, as in :func:`policies.learners.kit.draws.drawn`."""
    shape = (num_slots, setting.users, setting.servers)
    slots = draw_slots(chance, shape, setting.clouds, setting.model, setting.fixed_weights, circuits=setting.circuits)
    if setting.weights == "fixed":
        return slots
    delay = (slots.delay_weight * (1.0 + 2.0 * EDGE) - EDGE).clamp(0.0, 1.0)
    return replace(slots, delay_weight=delay, energy_weight=1.0 - delay)
