"""Prices learned for ``MEQC-v2``: what a held QPU and a joule of battery are worth, as functions of what is seen.

Source: ours, of three ideas: play by prices (:mod:`policies.envs.meqc.pricing`), the expected policy gradient over all
actions (Ciosek and Whiteson, JMLR 21, 2020), and value decomposition (Sunehag et al., "Value-decomposition networks",
AAMAS 2018). The actor is :class:`policies.learners.kit.pricer.Pricer`. For each user u and each of its choices c

    Q_u(c) = what all pay in this slot with c, less what they pay without u  +  what c leaves to the slots to come

is known but for the future: the first part is exact, with the hidden quality of QPUs and the others' choices as drawn;
the second is a price of the critic. The loss is the mean of sum_c pi_u(c | o_u) Q_u(c): no luck of an action is in its
gradient. The critic values a world as slots to come, less slots for which QPUs stay held at a price each, and joules
left at another, so that what it learns are these prices. It is fitted to lambda-returns of whole episodes
(:mod:`policies.learners.kit.gae`; no discount, episodes end) and sees the hidden quality while it is trained.

Returns are of costs above what tasks would cost without QPUs and with batteries that never end: no action changes that,
and it is most of what differs between episodes. What a request would teach its user of a QPU is not in Q.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from circuits.errors import InvalidParameter
from circuits.parameters import choice, integer, real, validate
from policies.envs.contract import Action
from policies.envs.meqc.baselines import priced
from policies.envs.meqc.model import LEVELS
from policies.envs.meqc.sequential import SequentialSetting, SequentialWorld
from policies.learners.kit.belief import MEMORIES, kept
from policies.learners.kit.draws import seeded
from policies.learners.kit.gae import advantages
from policies.learners.kit.marginals import NOBODY, joined, rivals
from policies.learners.kit.pricer import Pricer, View, network
from policies.learners.kit.schedule import slow_down
from policies.learners.kit.scorer import chosen
from policies.learners.kit.snapshot import resume, snapshot
from policies.learners.learner import Progress


@dataclass(frozen=True)
class PricesConfig:
    """How to train.

    Attributes:
        memory: what the actor remembers of QPUs, see :mod:`policies.learners.kit.belief`.
        width: of the hidden layers.   episodes: side by side, one batch an epoch.   slots: between two steps of the
            actor.   fits: steps of the critic after each batch.
        epochs: over which the step size and the softness of choices fall.
        learning_rate: first of Adam.   smoothing: lambda of the critic's returns.
        soft_first, soft_last: differences of costs, in units of a task at home, at which one way is drawn e times as
            often as another, first and last.
    """

    memory: str = choice("own", *MEMORIES, doc="what is remembered of QPUs")
    rounds: int = integer(0, low=0, high=8, doc="rounds of requests, which servers answer, before users act")
    width: int = integer(16, low=1, high=4096, doc="width of the hidden layers")
    episodes: int = integer(64, low=1, high=100_000, doc="episodes of a batch")
    slots: int = integer(8, low=1, high=1_000_000, doc="slots between two steps of the actor")
    fits: int = integer(40, low=1, high=10_000, doc="steps of the critic after a batch")
    epochs: int = integer(10, low=1, high=1_000_000, doc="epochs over which the step size falls")
    learning_rate: float = real(3e-3, low=1e-8, high=1.0, doc="first step size of Adam")
    smoothing: float = real(0.9, low=0.0, high=1.0, doc="lambda of the critic's returns")
    soft_first: float = real(0.05, low=1e-6, high=10.0, doc="first softness of choices")
    soft_last: float = real(0.01, low=1e-6, high=10.0, doc="last softness of choices")

    def __post_init__(self) -> None:
        validate(self)


LARGEST_GRADIENT = 1.0
AT_ONCE = 1024
"""Slots of worlds in one step of the critic (ours)."""

NUM_SERVER, NUM_BATTERY = 6, 4
LEAST_J = 1e-9
SCALE = 0.3
"""The critic's prices are so much of what its networks say (ours)."""


@dataclass(frozen=True)
class State:
    """What the critic sees at the beginning of a slot, or after choices; B worlds.

    Attributes:
        held: of each QPU over hold_slots, (B, E).   charge: of each battery over battery_j, (B, U).
        grade: hidden, ln(decay time / its mean), (B, E).   level: (B, E).
        left: slots to come, this one included, over all, (B, 1).
    """

    held: Tensor
    charge: Tensor
    grade: Tensor
    level: Tensor
    left: Tensor


class Critic(nn.Module):  # type: ignore[misc]  # torch is Any to mypy here
    """Cost to come, in units and above that of tasks without QPUs."""

    def __init__(self, width: int, setting: SequentialSetting) -> None:
        super().__init__()
        self.setting = setting
        self.server, self.held, self.battery = (network(num, width) for num in (NUM_SERVER, NUM_SERVER, NUM_BATTERY))

    def hold(self, state: State) -> Tensor:
        """Price of each further slot in which a QPU is held, (B, E)."""
        return SCALE * self._of_servers(self.held, state)

    def energy(self, state: State) -> Tensor:
        """Worth of all that is in each battery, (B, U)."""
        rate = torch.asinh(state.charge / state.left.clamp(min=1e-3) - 1.0)
        now = [state.charge, rate, state.left, free_part(state)]
        inputs = torch.stack([each.expand_as(state.charge) for each in now], dim=-1)
        worth: Tensor = SCALE * self.battery(inputs).squeeze(-1)
        return worth * state.charge * self.setting.battery_j

    def forward(self, state: State) -> Tensor:
        """Of whole worlds, (B, 1)."""
        slots = state.left * self.setting.episode_slots
        base = self._of_servers(self.server, state).mean(-1, keepdim=True) * state.charge.shape[-1] * slots
        blocked = torch.minimum(state.held * self.setting.hold_slots, slots) * self.hold(state)
        return base + blocked.sum(-1, keepdim=True) - self.energy(state).sum(-1, keepdim=True)

    def _of_servers(self, net: nn.Sequential, state: State) -> Tensor:
        levels = [(state.level == level).to(state.held) for level in LEVELS]
        now = [*levels, state.grade, state.left, free_part(state)]
        return net(torch.stack([each.expand_as(state.held) for each in now], dim=-1)).squeeze(-1)


def free_part(state: State) -> Tensor:
    """Of all QPUs, those that are free: (B, 1)."""
    return (state.held == 0).to(state.held.dtype).mean(-1, keepdim=True)


@dataclass(frozen=True)
class Played:
    """A batch of episodes: T slots of B worlds.

    Attributes:
        states: at the beginning of each slot.   costs: of all, and in units above those without QPUs, (B, T, 2).
        prices: means of a slot of a QPU and of a joule, in units, (T, 2).
    """

    states: tuple[State, ...]
    costs: Tensor
    prices: Tensor


class LearnedPrices:
    """Trains a :class:`Pricer` and its critic."""

    config_type = PricesConfig
    envs = ("MEQC-v2",)

    def __init__(self, config: PricesConfig, setting: SequentialSetting, seed: int) -> None:
        if not setting.model.is_linear:
            raise InvalidParameter(
                "model: wanted one whose costs are linear in the shares, got one with overlap or sharing"
            )
        self.config, self.setting = config, setting
        self.chance = torch.Generator().manual_seed(seed)
        self.networks = seeded(seed, self._networks)
        self.optimiser = torch.optim.Adam(self.networks.parameters(), lr=config.learning_rate)
        self.epochs = 0

    def _networks(self) -> nn.ModuleDict:
        config, setting = self.config, self.setting
        actor = Pricer(setting, config.width, memory=config.memory, rounds=config.rounds)
        return nn.ModuleDict({"actor": actor, "critic": Critic(2 * config.width, setting)})

    def epoch(self) -> Progress:
        """A batch of episodes, in which the actor learns as it plays, and the critic after it."""
        config = self.config
        left = slow_down(self.optimiser, config.learning_rate, self.epochs, config.epochs)
        played = self._played(config.soft_last + (config.soft_first - config.soft_last) * left)
        value_loss = self._fitted(played)
        self.epochs += 1
        slots = self.epochs * config.episodes * self.setting.episode_slots
        hold, energy = played.prices.mean(0).tolist()
        figures = {"hold": hold, "energy": energy, "value_loss": value_loss}
        return Progress(self.epochs, slots, float(played.costs[..., 0].mean()), figures)

    def _played(self, soft: float) -> Played:
        """Play a batch and step the actor as it goes."""
        seed = int(torch.randint(2**62, (), generator=self.chance))
        world, actor = SequentialWorld(self.setting, self.config.episodes, seed), self.networks["actor"]
        memory, ended = None, False
        losses, states, costs, prices = [], [], [], []
        while not ended:
            states.append(state_of(world))
            view = actor.rehearsed(actor.view(world.observe(), memory), world.answers, soft, self.chance)
            offer = actor(view)
            logits = -offer.ways / soft
            action = actor.action(view, chosen(logits, self.chance))
            memory = kept(view.belief, action, view.good)
            with torch.no_grad():
                added = self._added(world, view, action, states[-1])
            losses.append((logits.softmax(-1) * added).sum(-1).mean())
            prices.append(torch.stack([offer.hold.detach().mean(), offer.energy.detach().mean()]))
            step = world.step(action)
            ended, cost = step.terminated, step.outcome.cost
            plain = torch.minimum(view.known.local, view.cheapest)
            costs.append(torch.stack([cost.sum(-1), ((cost - plain) / view.unit).sum(-1)], dim=-1))
            if ended or len(losses) == self.config.slots:
                self._step(torch.stack(losses).mean())
                losses = []
        return Played(tuple(states), torch.stack(costs, 1), torch.stack(prices))

    def _added(self, world: SequentialWorld, view: View, action: Action, state: State) -> Tensor:
        """Q of every choice of every user up to a constant of the user, in units: (B, U, 2 + E)."""
        setting, critic = self.setting, self.networks["critic"]
        known = priced(setting.model, world.slots)
        rival = rivals(known, action)
        first = known.takes & (rival == NOBODY)
        after = later(state, setting)
        held = torch.where(first, (view.later * critic.hold(after)).unsqueeze(1), 0.0)
        spent = view.share * view.own_j / max(setting.battery_j, LEAST_J)
        used = replace(after, charge=(after.charge - spent).clamp(min=0.0))
        missing = critic.energy(after) - critic.energy(used) if view.left > 1 else 0.0
        stays = torch.stack([view.home / view.unit + missing, view.cheapest / view.unit], dim=-1)
        return torch.cat([stays, joined(known, rival) / view.unit.unsqueeze(-1) + held], dim=-1)

    def _step(self, loss: Tensor) -> None:
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.networks.parameters(), LARGEST_GRADIENT)
        self.optimiser.step()

    def _fitted(self, played: Played) -> float:
        """Fit the critic to lambda-returns; root of the last mean squared error."""
        critic, num_slots = self.networks["critic"], len(played.states)
        every = State(*(torch.cat(parts) for parts in zip(*(vars(one).values() for one in played.states), strict=True)))
        with torch.no_grad():
            values = critic(every).view(num_slots, -1).T
            ended = torch.cat([values, torch.zeros_like(values[:, :1])], dim=-1)
            better = advantages(played.costs[..., 1], ended, 1.0, self.config.smoothing)
            returns = (better + values).T.reshape(-1, 1)
        error = torch.zeros(())
        for _ in range(self.config.fits):
            picked = torch.randint(len(returns), (min(len(returns), AT_ONCE),), generator=self.chance)
            some = State(*(part[picked] for part in vars(every).values()))
            error = ((critic(some) - returns[picked]) ** 2).mean()
            self._step(error / returns.var(correction=0).clamp(min=1e-6))
        return float(error.detach().sqrt())

    def actor(self) -> Pricer:
        """What has been learned so far."""
        actor = self.networks["actor"]
        assert isinstance(actor, Pricer)
        return deepcopy(actor)

    def state(self) -> dict[str, Tensor]:
        """Weights, optimiser, chance and epochs."""
        return snapshot(self.networks, self.optimiser, self.chance, self.epochs)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        self.epochs = resume(state, self.networks, self.optimiser, self.chance)


def state_of(world: SequentialWorld) -> State:
    """What the critic sees of a world."""
    setting, slots = world.setting, world.slots
    assert slots.error_ratio is not None
    return State(
        held=world.held / setting.hold_slots,
        charge=world.charge_j / max(setting.battery_j, LEAST_J),
        grade=-slots.error_ratio.log(),
        level=slots.level,
        left=torch.full_like(world.held[:, :1], 1.0 - world.slot / setting.episode_slots),
    )


def later(state: State, setting: SequentialSetting) -> State:
    """A slot later, if nobody does anything."""
    return replace(
        state,
        held=(state.held - 1.0 / setting.hold_slots).clamp(min=0.0),
        grade=setting.drift_memory * state.grade,
        left=(state.left - 1.0 / setting.episode_slots).clamp(min=0.0),
    )
