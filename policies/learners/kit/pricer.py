"""A network by which users of ``MEQC-v2`` price what goes on after a slot: a QPU that stays held, a joule that is gone.

Source: ours, of play by prices (:mod:`policies.envs.meqc.pricing`): everybody takes its cheapest way when the slots for
which a task would hold a QPU, and the joules that it takes out of a battery, have a price. There prices are two
constants; here they are functions of what a user sees, the same for all users, servers, weights and sizes, and of no
task: what is learned is what time, batteries and QPUs are worth. They begin near 0, which is myopic play. A QPU may
leave a task alone, so that asking for it costs what is to be expected by what the user remembers of it
(:mod:`policies.learners.kit.belief`).

Prices are measured by what a task costs at home on average under a user's weights
(:func:`policies.learners.kit.features.scale`), since such prices hardly depend on the weights.

Features of a user, by index:
    0 battery over battery_j · 1 time left · 2 asinh(battery over time left - 1) · 3 free QPUs over all
and of a user and a server, beside them:
    0 to 2 level 1, 2, 3 · 3 slots after this one for which the QPU would be held, over hold_slots · 4 free QPUs of this
    level over all · 5 believed grade
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from policies.envs.contract import Action, Observation
from policies.envs.meqc.baselines import Priced, priced
from policies.envs.meqc.batch import Slots, local
from policies.envs.meqc.model import LEVELS
from policies.envs.meqc.observation import slots_of
from policies.envs.meqc.sequential import SequentialSetting, affordable
from policies.learners.kit.belief import Memory, enough, grades, informed, kept, recalled, unknown
from policies.learners.kit.features import scale
from policies.learners.kit.scorer import chosen
from policies.learners.kit.ways import begins

NUM_USER = 4
NUM_PAIR = 6
HOLD_SCALE, ENERGY_SCALE = 0.3, 1.0
"""Prices are so much of what the networks say, in units and units a joule (ours)."""

CLOSED = 1e9
"""Cost of a way that there is not."""

Ask = Callable[[Action], Tensor]
"""Whom servers would admit, bool (B, U)."""


@dataclass(frozen=True)
class View:
    """What each user works out from its own observation.

    Attributes:
        known: costs of the slot alone, QPUs being as good as on average.   unit: see above, (B, U).
        share: of a task that the battery pays for, (B, U).   own_j: all of it at home, (B, U).
        home, cheapest: cost of the share at home with the rest on the best processor, and of that alone, (B, U).
        chance: that the QPU takes the task, 0 where it is held, (B, U, E).   belief, good: see ``kit.belief``.
        left: slots of the episode, this one included.   later: those after this one for which a QPU stays held.
        user, pair: features, (B, U, 4) and (B, U, E, 6).
    """

    known: Priced
    unit: Tensor
    share: Tensor
    own_j: Tensor
    home: Tensor
    cheapest: Tensor
    chance: Tensor
    belief: Tensor
    good: Tensor
    left: int
    later: int
    user: Tensor
    pair: Tensor


@dataclass(frozen=True)
class Offer:
    """What users expect to pay, and the prices behind it, all in units.

    Attributes:
        ways: local, the best processor, every QPU, (B, U, 2 + E).
        hold: of a slot in which the QPU stays held, (B, U, E).   energy: of a joule, (B, U).
    """

    ways: Tensor
    hold: Tensor
    energy: Tensor


class Pricer(nn.Module):  # type: ignore[misc]  # torch is Any to mypy here
    """Prices of all users of many slots, and what they do by them. It remembers, and forgets where an episode begins.

    Args:
        setting: which agents know.   width: of the hidden layers.   memory: of MEMORIES.
        rounds: of requests before users act, where there is somebody to answer them.
    """

    def __init__(self, setting: SequentialSetting, width: int = 16, *, memory: str = "own", rounds: int = 0) -> None:
        super().__init__()
        self.setting, self.memory, self.rounds = setting, memory, rounds
        self.hold, self.energy = network(NUM_PAIR + NUM_USER, width), network(NUM_USER, width)
        self._kept: Memory | None = None

    def view(self, seen: Observation, memory: Memory | None) -> View:
        """What each user works out."""
        setting = self.setting
        slots = slots_of(seen, setting.deepest)
        known, own_j = priced(setting.model, slots), local(setting.model, slots)[1]
        share, cheapest = affordable(seen.user[..., 9] * setting.battery_j, own_j), known.cpu.amin(-1)
        ready = (seen.pair[:, :1, :, 3] <= 0).to(share.dtype)  # (B, 1, E)
        belief, good = self._belief(seen, memory), enough(setting, slots)
        left = round(float(seen.user[0, 0, 10]) * setting.episode_slots)
        later = min(setting.hold_slots, left) - 1
        return View(
            known=known,
            unit=scale(slots),
            share=share,
            own_j=own_j,
            home=share * known.local + (1.0 - share) * cheapest,
            cheapest=cheapest,
            chance=(belief * good).sum(-1) * ready,
            belief=belief,
            good=good,
            left=left,
            later=later,
            user=_user_features(seen, ready),
            pair=_pair_features(slots, belief, ready, later / setting.hold_slots),
        )

    def _belief(self, seen: Observation, memory: Memory | None) -> Tensor:
        num_worlds, num_users, num_servers, _ = seen.pair.shape
        shape = num_worlds, num_users if self.memory == "own" else 1, num_servers
        if memory is None or self.memory == "none" or begins(self.setting, seen) or memory.belief.shape[:-1] != shape:
            return unknown(shape).to(seen.pair)
        return recalled(self.setting, memory, seen)

    def hold_price(self, pair: Tensor, user: Tensor) -> Tensor:
        """Of a slot in which a QPU stays held, in units, by the features (..., 6) and (..., 4)."""
        price: Tensor = HOLD_SCALE * self.hold(torch.cat([pair, user], dim=-1)).squeeze(-1)
        return price

    def energy_price(self, user: Tensor) -> Tensor:
        """Of a joule, in units, by the features (..., 4)."""
        price: Tensor = ENERGY_SCALE * self.energy(user).squeeze(-1)
        return price

    def forward(self, view: View) -> Offer:
        """Costs of all ways as users see them."""
        known, unit = view.known, view.unit.unsqueeze(-1)
        hold = self.hold_price(view.pair, view.user.unsqueeze(2).expand(-1, -1, view.pair.shape[2], -1))
        energy = self.energy_price(view.user)
        home = view.home / view.unit + energy * view.share * view.own_j
        asked = known.cpu / unit + view.chance * ((known.qpu - known.cpu) / unit + hold * view.later)
        there = torch.where(view.chance > 0, asked, CLOSED)
        return Offer(torch.cat([torch.stack([home, view.cheapest / view.unit], dim=-1), there], dim=-1), hold, energy)

    def action(self, view: View, chosen: Tensor) -> Action:
        """What choices come to: 0 is local, 1 the best processor, 2 + e the QPU of server e; int64 (B, U)."""
        asks = chosen >= 2
        servers = torch.where(asks, chosen - 2, view.known.cpu.argmin(-1))
        return Action(servers, torch.where(chosen == 0, view.share, 0.0), asks)

    def rehearsed(self, view: View, ask: Ask, soft: float, chance: torch.Generator | None) -> View:
        """What users know after the rounds of requests, which bind nobody."""
        with torch.no_grad():
            for _ in range(self.rounds):
                request = self.action(view, chosen(-self(view).ways / soft, chance))
                view = answered(view, request, ask(request))
        return view

    def act(self, observation: Observation, chance: torch.Generator | None = None, ask: Ask | None = None) -> Action:
        """The cheapest way of each user, or one drawn; what it came to is remembered.

        Args:
            ask: whom servers would admit if this were done, bool (B, U); None: users act without rounds of requests.
        """
        with torch.no_grad():
            view = self.view(observation, self._kept)
            view = view if ask is None else self.rehearsed(view, ask, SOFTNESS, chance)
            action = self.action(view, chosen(-self(view).ways / SOFTNESS, chance))
        self._kept = kept(view.belief, action, view.good)
        return action


def answered(view: View, request: Action, admitted: Tensor) -> View:
    """What users know when servers have said whom they would admit: who was refused there is not admitted later."""
    assert request.asks is not None
    num_servers = view.chance.shape[-1]
    at = request.servers.unsqueeze(-1) == torch.arange(num_servers, device=admitted.device)
    busy = (at & admitted.unsqueeze(-1)).any(1).gather(1, request.servers)
    belief = informed(kept(view.belief, request, view.good), admitted, busy)
    open_yet = (view.chance > 0) & ~(at & (request.asks & ~admitted).unsqueeze(-1))
    chance = torch.where(open_yet, (belief * view.good).sum(-1), 0.0)
    grade = (belief @ grades().to(belief)).expand_as(chance).unsqueeze(-1)
    return replace(view, belief=belief, chance=chance, pair=torch.cat([view.pair[..., :-1], grade], dim=-1))


SOFTNESS = 0.02
"""Difference of costs, in units, at which one way is drawn e times as often as another where chance acts (ours)."""


def _user_features(seen: Observation, ready: Tensor) -> Tensor:
    battery, left = seen.user[..., 9], seen.user[..., 10]
    features = [
        battery,
        left,
        torch.asinh(battery / left - 1.0),
        ready.mean(-1).expand_as(battery),
    ]
    return torch.stack(features, dim=-1)


def _pair_features(slots: Slots, belief: Tensor, ready: Tensor, later: float) -> Tensor:
    levels = torch.stack([slots.level == level for level in LEVELS], dim=-1).to(ready.dtype)  # (B, E, 3)
    free = (levels * ready[:, 0].unsqueeze(-1)).mean(1, keepdim=True)
    features = [
        *levels.unsqueeze(1).unbind(-1),
        torch.full_like(ready, later),
        (levels * free).sum(-1).unsqueeze(1),
        belief @ grades().to(belief),
    ]
    return torch.stack([each.expand_as(slots.gain) for each in features], dim=-1)


def network(num_features: int, width: int) -> nn.Sequential:
    """Two hidden layers and one output, which begins near 0."""
    layers = nn.Sequential(nn.Linear(num_features, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh())
    last = nn.Linear(width, 1)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)
    return layers.append(last)
