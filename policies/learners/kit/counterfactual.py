"""How policies learn that price every choice of every user, the others' being left as they are.

Source: the expected policy gradient over all actions (Ciosek and Whiteson, JMLR 21, 2020) with the counterfactual of
COMA (Foerster et al., AAAI 2018). An action is drawn for everybody; the model, which is known, says what each choice
would add to the cost of all. Neither a critic nor a sampled advantage is needed. Slots are independent: the discount
is 0. Actors may talk before they act; each round is trained as if it were the last (ours).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from policies.envs.contract import Action
from policies.learners.kit.draws import drawn, seeded
from policies.learners.kit.schedule import slow_down
from policies.learners.kit.snapshot import resume, snapshot
from policies.learners.learner import Progress

LARGEST_GRADIENT = 1.0


class Counterfactual(ABC):
    """Trains a network; a page says which, what its choices add, and what they cost.

    A config has ``slots`` of a batch, ``updates`` of an epoch, ``epochs`` over which step size and entropy bonus fall,
    ``learning_rate`` and ``entropy``.
    """

    def __init__(self, config: Any, setting: Any, seed: int) -> None:
        self.config, self.setting = config, setting
        self.chance = torch.Generator().manual_seed(seed)
        self.network = seeded(seed, self._built)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)
        self.epochs = 0

    @abstractmethod
    def _built(self) -> nn.Module:
        """The network, fresh."""

    @abstractmethod
    def _rounds(self, slots: Any) -> Iterator[tuple[Tensor, Tensor, Action]]:
        """Of each round: logits and what choices add to the cost of all, (B, U, 1 + E); and what is done."""

    @abstractmethod
    def _cost(self, slots: Any, action: Action) -> Tensor:
        """Of each user, (B, U)."""

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
        for logits, added, action in self._rounds(slots):
            log_chance = torch.log_softmax(logits, dim=-1)
            chances = log_chance.exp()
            entropy = -(chances * log_chance).sum(-1).mean()
            loss = loss + (chances * added).sum(-1).mean() - self.config.entropy * left * entropy
            cost = self._cost(slots, action).sum(-1).mean()
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        self.optimiser.step()
        return torch.stack([cost, loss, entropy]).detach()

    def actor(self) -> Any:
        """What has been learned so far."""
        return deepcopy(self.network)

    def state(self) -> dict[str, Tensor]:
        """Weights, optimiser, chance and epochs."""
        return snapshot(self.network, self.optimiser, self.chance, self.epochs)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        self.epochs = resume(state, self.network, self.optimiser, self.chance)
