"""Imitation of the optimum: the reference for what is left when everybody does what it did in the best plans.

Source: DAgger (Ross, Gordon and Bagnell, AISTATS 2011), with :func:`policies.envs.meqc.optimum.optimum` for the expert.
DAgger plays by its own policy and lets the expert label what it meets. In ``MEQC-v1`` what is met does not depend on
what is done, so that aggregation has nothing to correct and one set of labelled slots is enough: the cross-entropy of
the expert's choices. Choices are those of :mod:`policies.learners.kit.marginals`; the share that goes with a server is
learned by its squared error where shares are continuous.

The optimum is a joint plan and its imitation is not the best decentralised policy: an agent that copies how often a
server's processor was free to it is now and then forced onto a quantum computer that costs fifty times as much. With
``loss = "costs"`` the expert tells what each choice would have cost beside its plan (Ross and Bagnell, "Reinforcement
and imitation learning via interactive no-regret learning", 2014), which weighs mistakes by what they cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from circuits.parameters import choice, integer, real, validate
from policies.envs.contract import Action
from policies.envs.meqc.batch import Slots, settle
from policies.envs.meqc.model import Model
from policies.envs.meqc.optimum import optimum
from policies.envs.meqc.world import Setting
from policies.learners.kit.draws import drawn, seeded
from policies.learners.kit.features import features, scale
from policies.learners.kit.marginals import marginals
from policies.learners.kit.schedule import slow_down
from policies.learners.kit.scorer import Play, Scorer, chosen
from policies.learners.kit.snapshot import resume, snapshot
from policies.learners.learner import Progress


@dataclass(frozen=True)
class DaggerConfig:
    """How to train.

    Attributes:
        labelled: slots that the expert solves before the first epoch, some milliseconds each.
        loss: "labels", the expert's choices, or "costs", what each choice would cost beside its plan.
        The others as in :class:`policies.learners.scoring.ScoringConfig`.
    """

    labelled: int = integer(2048, low=1, high=10_000_000, doc="slots solved by the expert")
    loss: str = choice("labels", "labels", "costs", doc="imitate the expert's choices, or weigh choices by their costs")
    width: int = integer(64, low=1, high=4096, doc="width of the hidden layers")
    slots: int = integer(128, low=1, high=1_000_000, doc="slots of a batch")
    updates: int = integer(20, low=1, high=1_000_000, doc="steps of an epoch")
    epochs: int = integer(30, low=1, high=1_000_000, doc="epochs over which the step size falls")
    learning_rate: float = real(3e-3, low=1e-8, high=1.0, doc="first step size of Adam")

    def __post_init__(self) -> None:
        validate(self)


class Dagger:
    """Trains a :class:`Scorer` on solved slots."""

    config_type = DaggerConfig

    def __init__(self, config: DaggerConfig, setting: Setting, seed: int) -> None:
        self.config, self.setting = config, setting
        self.chance = torch.Generator().manual_seed(seed)
        self.seed, self.examples = seed, self._drawn(seed)
        self.plans: Action | None = None
        self.scorer = seeded(seed, lambda: Scorer(setting, config.width))
        self.optimiser = torch.optim.Adam(self.scorer.parameters(), lr=config.learning_rate)
        self.epochs = 0

    def _drawn(self, seed: int) -> Slots:
        """The slots that the expert solves."""
        slots: Slots = drawn(self.setting, torch.Generator().manual_seed(seed), self.config.labelled)
        return slots

    def epoch(self) -> Progress:
        """A number of steps on solved slots; the first epoch solves them."""
        if self.plans is None:
            self.plans = solved(self.setting.model, self.examples)
        slow_down(self.optimiser, self.config.learning_rate, self.epochs, self.config.epochs)
        means = torch.stack([self._update(self.plans) for _ in range(self.config.updates)]).mean(0).tolist()
        self.epochs += 1
        return Progress(self.epochs, self.config.labelled, means[0], {"loss": means[1], "agreement": means[2]})

    def _update(self, plans: Action) -> Tensor:
        """One step; mean cost of what the policy would do, loss, and how often it does what the expert did."""
        picked = torch.randint(self.config.labelled, (self.config.slots,), generator=self.chance)
        slots = self.examples.at(picked)
        plan = Action(plans.servers[picked], plans.shares[picked])
        play = self.scorer(features(self.setting, self.setting.seen(slots)))
        label = torch.where(plan.shares < 1.0, plan.servers + 1, 0)
        loss = self._costs(slots, plan, play) if self.config.loss == "costs" else _labels(plan, label, play)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        best = chosen(play.logits, None)
        cost = settle(self.setting.model, slots, play.action(best)).cost.sum(-1).mean()
        return torch.stack([cost, loss, (best == label).float().mean()]).detach()

    def _costs(self, slots: Slots, plan: Action, play: Play) -> Tensor:
        model = self.setting.model
        added = marginals(model, slots, plan, None if model.is_linear else play.kept) / scale(slots).unsqueeze(-1)
        return (play.logits.softmax(-1) * added).sum(-1).mean()

    def actor(self) -> Scorer:
        """What has been learned so far."""
        return deepcopy(self.scorer)

    def state(self) -> dict[str, Tensor]:
        """Weights, optimiser, chance, epochs, the seed of the solved slots and the expert's plans for them."""
        plans = {} if self.plans is None else {"servers": self.plans.servers, "shares": self.plans.shares}
        kept = snapshot(self.scorer, self.optimiser, self.chance, self.epochs)
        return kept | plans | {"seed": torch.tensor(self.seed)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        self.epochs = resume(state, self.scorer, self.optimiser, self.chance)
        self.seed = int(state["seed"])
        self.examples = self._drawn(self.seed)
        self.plans = Action(state["servers"], state["shares"]) if "servers" in state else None


def _labels(plan: Action, label: Tensor, play: Play) -> Tensor:
    """Cross-entropy of the choice, and the squared error of the share where a server was chosen."""
    there = label > 0
    share = play.kept.gather(-1, plan.servers.unsqueeze(-1)).squeeze(-1)
    error = ((share - plan.shares) ** 2 * there).sum() / there.sum().clamp(min=1)
    return cross_entropy(play.logits.flatten(0, 1), label.flatten()) + error


def solved(model: Model, slots: Slots) -> Action:
    """The expert's plan for every slot."""
    plans = [optimum(model, each) for each in slots.unstacked()]
    servers = torch.tensor([plan.servers for plan in plans])
    return Action(servers, torch.tensor([plan.shares for plan in plans], dtype=slots.gain.dtype))
