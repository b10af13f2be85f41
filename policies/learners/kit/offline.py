"""Learning from logged play alone: windows of it in, a network that acts out.

The log is a file of :mod:`policies.learners.kit.trajectories`, or, where none is named, the learner records one from
the rules it names when it is first trained; acting needs neither. An epoch sees as many users' slots as were logged, in
windows drawn anew; nothing is played.

Returns are seen as ranks (ours): the part of the log's returns from that slot on that are not above one, in [0, 1].
``returns = "raw"`` ranks what was paid, luck included; ``"baseline"`` ranks what was paid above the reference rule on
the same tasks, which a simulator knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from circuits.errors import InvalidParameter
from circuits.parameters import choice, integer, real, refuse, text, validate
from policies.envs.batched import written_setting
from policies.envs.contract import Action, Observation
from policies.learners.kit.draws import seeded
from policies.learners.kit.recording import recorded
from policies.learners.kit.schedule import slow_down
from policies.learners.kit.sight import Sight, chosen_by, disagreement, seen_by
from policies.learners.kit.snapshot import resume, snapshot
from policies.learners.kit.trajectories import SUFFIX, Trajectories, load
from policies.learners.kit.ways import begins
from policies.learners.learner import Progress

LARGEST_GRADIENT = 1.0
AT_ONCE = 16
"""Episodes whose features are worked out together."""


@dataclass(frozen=True)
class OfflineConfig:
    """What to learn from, and how.

    Attributes:
        data: a file of logged play; "": record ``episodes`` of each of ``plays``.   digest: that it must have; "": any.
        best: the part of the episodes, those of the highest returns, that is learned from.
        returns: how returns are measured, see the module.
        batch: windows of a step.   epochs: over which the step size falls.
    """

    data: str = text("", longest=4096)
    digest: str = text("", longest=64)
    plays: str = text("random,local,selfish", longest=4096)
    episodes: int = integer(8, low=1, high=1_000_000, doc="episodes of each play, where no file is named")
    best: float = real(1.0, low=1e-3, high=1.0, doc="part of the episodes that is learned from, best first")
    returns: str = choice("baseline", "raw", "baseline", doc="as paid, or above the reference on the same tasks")
    width: int = integer(64, low=8, high=4096, doc="width of the layers")
    batch: int = integer(64, low=1, high=1_000_000, doc="windows of a step")
    epochs: int = integer(6, low=1, high=1_000_000, doc="epochs over which the step size falls")
    learning_rate: float = real(1e-3, low=1e-8, high=1.0, doc="first step size of Adam")

    def __post_init__(self) -> None:
        validate(self)
        if self.data and not self.data.endswith(SUFFIX):
            refuse(self, "data", f"a file that ends in {SUFFIX}", self.data)
        if not re.fullmatch(r"([0-9a-f]{64})?", self.digest):
            refuse(self, "digest", "64 hexadecimal digits, or nothing", self.digest)
        if not re.fullmatch(r"[\w./-][\w./:-]*(,[\w./-][\w./:-]*)*", self.plays):
            refuse(self, "plays", "names of rules, by commas", self.plays)


@dataclass(frozen=True)
class Logged:
    """What networks are trained on, N episodes of T slots.

    Attributes:
        user, pair: features as :func:`policies.learners.kit.sight.seen_by` gives them, (N, T, U, …).
        choice: int64, shares, rank of the return to go: (N, T, U).
        cost: mean of a slot.   digest: of the file; zeros if there was none.
    """

    user: Tensor
    pair: Tensor
    choice: Tensor
    shares: Tensor
    rank: Tensor
    cost: float
    digest: Tensor

    def windows(self, length: int, num: int, chance: torch.Generator) -> Logged:
        """So many users' windows, drawn anew: tensors (num, length, …)."""
        num_episodes, num_slots, num_users = self.rank.shape
        episode, user = (torch.randint(most, (num, 1), generator=chance) for most in (num_episodes, num_users))
        first = torch.randint(max(1, num_slots - length + 1), (num, 1), generator=chance)
        slot = first + torch.arange(min(length, num_slots))
        tensors = ("user", "pair", "choice", "shares", "rank")
        return replace(self, **{name: getattr(self, name)[episode, slot, user] for name in tensors})


class Offline:
    """Trains a page's network; pages name ``config_type`` and ``network``."""

    config_type: ClassVar[Any]
    network: ClassVar[Any]
    envs = ("MEQC-v1", "MEQC-v2", "QCN-v2")

    def __init__(self, config: Any, setting: Any, seed: int) -> None:
        self.config, self.setting, self.seed = config, setting, seed
        self.chance = torch.Generator().manual_seed(seed)
        self.learned = seeded(seed, lambda: self.network(config, setting))
        self.optimiser = torch.optim.AdamW(self.learned.parameters(), lr=config.learning_rate, weight_decay=1e-4)
        self.epochs = 0
        self._logged: Logged | None = None
        self._digest: Tensor | None = None

    def epoch(self) -> Progress:
        """As many users' slots as were logged."""
        logged = self.logged()
        slow_down(self.optimiser, self.config.learning_rate, self.epochs, self.config.epochs)
        per_step = self.config.batch * self.learned.window
        steps = [self._update(logged) for _ in range(-(-logged.rank.numel() // per_step))]
        self.epochs += 1
        figures = {name: float(torch.stack([step[name] for step in steps]).mean()) for name in steps[0]}
        return Progress(self.epochs, logged.rank[..., 0].numel(), logged.cost, figures)

    def logged(self) -> Logged:
        """The log, read or recorded when it is first needed.

        Raises:
            InvalidParameter: it is of another world, or not that which training began with.
        """
        if self._logged is None:
            self._logged = prepared(self.config, self.setting, self.seed)
            if self._digest is not None and not torch.equal(self._digest, self._logged.digest):
                raise InvalidParameter(f"data: wanted the log that training began with, got another {self.config.data}")
            self._digest = self._logged.digest
            if self.epochs == 0:
                self.learned.fit(self._logged)
        return self._logged

    def _update(self, logged: Logged) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = self.learned.loss(
            logged.windows(self.learned.window, self.config.batch, self.chance), self.chance
        )
        self.optimiser.zero_grad()
        next(iter(losses.values())).backward()
        nn.utils.clip_grad_norm_(self.learned.parameters(), LARGEST_GRADIENT)
        self.optimiser.step()
        return {name: value.detach() for name, value in losses.items()}

    def actor(self) -> Any:
        """What has been learned so far."""
        return deepcopy(self.learned)

    def state(self) -> dict[str, Tensor]:
        """Weights, optimiser, chance, epochs, and the digest of the log."""
        known = {} if self._digest is None else {"digest": self._digest.clone()}
        seed = torch.tensor(self.seed)
        return snapshot(self.learned, self.optimiser, self.chance, self.epochs) | known | {"seed": seed}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        self.epochs = resume(state, self.learned, self.optimiser, self.chance)
        self.seed, self._digest, self._logged = int(state["seed"]), state.get("digest"), None


def prepared(config: OfflineConfig, setting: Any, seed: int) -> Logged:
    """The log that a config names, as networks see it.

    Raises:
        InvalidParameter: there is none, or it is of another world.
    """
    digest = "00" * 32
    if config.data:
        log, digest = load(Path(config.data), config.digest)
        _same_world(log, setting)
    else:
        log = recorded(setting, config.plays.split(","), config.episodes, seed)
    return learnable(log, config, torch.tensor(list(bytes.fromhex(digest)), dtype=torch.uint8))


def learnable(log: Trajectories, config: OfflineConfig, digest: Tensor) -> Logged:
    """The best episodes of a log, as networks see them; ranks are those in the whole log."""
    rank = ranks(log.returns_to_go(config.returns))
    num = max(1, round(config.best * log.num_episodes))
    best = log.returns_to_go(config.returns)[:, 0].mean(-1).argsort(descending=True)[:num].sort().values
    kept = log.of(best)
    parts = [_features(kept.of(index)) for index in torch.arange(num).split(AT_ONCE)]
    user, pair = (torch.cat([part[name] for part in parts]) for name in ("user", "pair"))
    choice = chosen_by(log.setting, kept.servers, kept.shares, kept.asks)
    return Logged(user, pair, choice, kept.shares, rank[best], float(kept.cost.mean()), digest)


def _features(log: Trajectories) -> dict[str, Tensor]:
    seen = Observation(log.user.flatten(0, 1), log.pair.flatten(0, 1))
    known, shape = seen_by(log.setting, seen), log.reward.shape[:2]
    return {"user": known.user.unflatten(0, shape), "pair": known.pair.unflatten(0, shape)}


def ranks(returns: Tensor) -> Tensor:
    """Of each slot's returns among those of all episodes and users, in [0, 1]; equal returns have one rank.

    Args:
        returns: to go, (N, T, U).
    """
    each = returns.transpose(0, 1).flatten(1)  # (T, N U)
    ordered = each.sort(dim=1).values.contiguous()
    below, upto = (torch.searchsorted(ordered, each.contiguous(), right=right) for right in (False, True))
    rank = (below + upto - 1).to(returns.dtype) / (2.0 * max(1, each.shape[1] - 1))
    return rank.unflatten(1, returns[:, 0].shape).transpose(0, 1)


def _same_world(log: Trajectories, setting: Any) -> None:
    if type(log.setting) is not type(setting):
        raise InvalidParameter(f"data: wanted a log of {type(setting).__name__}, got one of {log.env}")
    theirs, mine = written_setting(log.setting), written_setting(setting)
    for name, value in mine.items():
        if theirs[name] != value:
            raise InvalidParameter(f"data: {name}: wanted {value}, as in the world, got {theirs[name]}")


class Imitator(nn.Module):  # type: ignore[misc]
    """What a page brings: a network that learns from windows of ``window`` slots, and acts.

    It may remember, and forgets where an episode begins; where there are none, every slot is the first. A page has
    ``acted``, what is done on features, and either ``forward``, the choices in every slot of windows, or a loss of its
    own.
    """

    window: int

    def __init__(self, config: OfflineConfig, setting: Any) -> None:
        super().__init__()
        self.setting = setting
        self.memory: list[Tensor] = []
        self.sight = Sight(setting, config.width)

    def fit(self, logged: Logged) -> None:
        """Take what is constant from the data, once: scales of the features."""
        self.sight.fit(logged.user, logged.pair)

    def loss(self, logged: Logged, chance: torch.Generator) -> dict[str, Tensor]:
        """What is made small, first, of windows: disagreement with what was done; and how often it is the likeliest."""
        choices = self(logged)
        agreement = (choices.logits.argmax(-1) == logged.choice).float().mean()
        return {"loss": disagreement(choices, logged.choice, logged.shares).mean(), "agreement": agreement}

    def act(self, observation: Observation, chance: torch.Generator | None = None) -> Action:
        """What everybody does."""
        if begins(self.setting, observation):
            self.memory = []
        known = seen_by(self.setting, observation)
        with torch.no_grad():
            action: Action = self.acted(known.user, known.pair, chance)
        return action
