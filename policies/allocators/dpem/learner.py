"""DPEM's agent and how it is trained: a head that chooses paths, a head that splits what a node makes, by PPO.

Source: the paper asks for PPO at each node on topology, forecast and local resources, and federated averaging with
differential privacy; networks, credit and hand rules are ours. Both heads are shared by all nodes and begin as the hand
rules: the share head adds to the logarithm of the hand rule's shares, the path head has the hand rule in its weights.
Shares by pulls are found by evolution instead (:mod:`policies.allocators.dpem.evolution`); paths are learned on top.

One epoch is one round: every node of every network plays an episode and learns from its own requests and links. By
"federated", each sends one clipped update; by "central", all data are pooled; by "alone", each keeps its own weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from circuits.errors import InvalidParameter
from circuits.parameters import choice, construct, integer, real, refuse, short, validate
from policies.allocators.dpem import forecast as forecasts
from policies.allocators.dpem.deployment import (
    FORECASTS,
    Deployment,
    announcements,
    base_of,
    deploy,
    link_forecasts,
    pair_forecasts,
    trained_forecaster,
    with_announced,
)
from policies.allocators.dpem.episodes import Lessons, delivery, lessons, rule_of
from policies.allocators.dpem.evolution import Evolution
from policies.allocators.dpem.federation import Federation, Served, begin, federated, local_updates, poison, round_bytes
from policies.allocators.dpem.learning import Choices, Splits, choice_loss, split_loss
from policies.allocators.dpem.network import Shape, begun, begun_as_hand
from policies.envs.documents import check_keys
from policies.envs.entanglement import state as states
from policies.envs.entanglement.play import play
from policies.envs.entanglement.setting import EntanglementSetting
from policies.envs.entanglement.state import NUM_PATH_FEATURES, NUM_SHARE_FEATURES
from policies.learners.kit.draws import seeded
from policies.learners.kit.ppo import normalised
from policies.learners.kit.snapshot import resume, snapshot
from policies.learners.learner import Progress

if TYPE_CHECKING:
    from policies.learners.kit.checkpoint import Checkpoint

KEPT_OUT = 100
"""Seeds of topologies from here on are those that only evaluation sees."""
ENV = "Entanglement-v1"


@dataclass(frozen=True)
class Config:
    """What is learned, from what, and how; "hand" and "none" switch a part off.

    Attributes:
        beta: what a blocked probe costs beside a delivery of 1; the dial between delivery and contention.
        most: decisions of each kind per node in an update, drawn where there are more.
    """

    paths: str = choice("learned", "learned", "hand", doc="path or wait by the head, or by the hand rule")
    shares: str = choice(
        "learned", "learned", "pulls", "hand", "uniform", doc="by the head, pulls of requests, the hand rule, or alike"
    )
    forecast: str = choice("gru", *FORECASTS, doc="what links expect; none leaves their running mean")
    begin: str = choice("hand", "hand", "random", doc="whether the path head begins as the hand rule")
    training: str = choice(
        "central", "central", "federated", "alone", "evolved", doc="whose data a gradient is of; or a search of pulls"
    )
    width: int = integer(8, low=1, high=256, doc="units of the path head's layers: 8 for 201 weights, 32 for 1569")
    share_width: int = integer(8, low=1, high=256, doc="units of the share head's layers")
    beta: float = real(0.1, low=0.0, high=100.0, doc="cost of a blocked probe; half of it to who blocks")
    discount: float = real(0.98, low=0.0, high=1.0, doc="gamma, per decision of a request")
    share_horizon_s: float = real(4.0, low=1e-3, high=1e6, doc="time over which shares are judged by what follows")
    smoothing: float = real(0.95, low=0.0, high=1.0, doc="lambda of the advantages")
    clip: float = real(0.2, low=1e-3, high=1.0, doc="clip of the probability ratio")
    entropy: float = real(3e-3, low=0.0, high=10.0, doc="weight of the entropy bonus")
    deviation: float = real(0.3, low=1e-3, high=10.0, doc="of the noise on logits of shares while it trains")
    passes: int = integer(4, low=1, high=100, doc="passes over an epoch's data, central")
    parts: int = integer(8, low=1, high=1000, doc="minibatches of a pass, central")
    rate: float = real(3e-3, low=1e-8, high=1.0, doc="step size of Adam, central")
    most: int = integer(256, low=1, high=100_000, doc="decisions of a node in an update, or pass")
    searched: str = choice(
        "pulls", "pulls", "constants", doc="all weights of pulls, or the hand rule's constants, evolved"
    )
    candidates: int = integer(16, low=4, high=10_000, doc="of a generation, evolved")
    networks: int = integer(6, low=1, high=1000, doc="that a generation is judged on, evolved")
    spread: float = real(0.3, low=1e-6, high=10.0, doc="first deviation of the candidates, evolved")
    windows: int = integer(4, low=1, high=1000, doc="different episodes of a network, in turns")
    history_s: float = real(1200.0, low=0.0, high=1e6, doc="before the first episode")

    def __post_init__(self) -> None:
        validate(self)
        if base_of(self.forecast) != "none" and self.history_s == 0.0:
            refuse(self, "history_s", "more than 0 with a forecast", self.history_s)
        if self.training == "evolved" and self.shares != "pulls":
            refuse(self, "shares", "pulls, whose weights are what is evolved", self.shares)


@dataclass(frozen=True)
class Run:
    """What is trained, where, from which seed.

    Attributes:
        topologies: seeds of the networks.   federation: of the agent.   forecaster: of its network.
        start: name of the checkpoint with whose heads it begins, such as one pretrained in simulation.
        forecast_federation: how nodes average what they learn of the forecaster; None where it learns from all data.
    """

    config: Config
    federation: Federation
    forecaster: forecasts.Config
    setting: EntanglementSetting
    topologies: tuple[int, ...]
    seed: int
    start: str = ""
    forecast_federation: Federation | None = None

    def __post_init__(self) -> None:
        if self.forecast_federation is not None and base_of(self.config.forecast) != "gru":
            raise InvalidParameter(
                f"forecaster: wanted federated with forecast gru alone, as nothing else is trained, got forecast "
                f"{self.config.forecast}"
            )
        if not self.topologies:
            raise InvalidParameter("topologies: wanted at least one seed, got none")
        for seed in self.topologies:
            if not 0 <= seed < KEPT_OUT:
                raise InvalidParameter(
                    f"topologies: wanted seeds in [0, {KEPT_OUT - 1}], as others are kept for evaluation, got {seed}"
                )
        if self.config.training == "alone" and len(self.topologies) > 1:
            raise InvalidParameter(f"topologies: wanted one where nodes train alone, got {len(self.topologies)}")
        if self.config.training != "federated" and self.federation.sigma > 0.0:
            raise InvalidParameter(f"sigma: wanted 0 unless training is federated, got {self.federation.sigma:g}")

    def document(self) -> dict[str, Any]:
        """As JSON, in the form of every learner's checkpoint."""
        parts = {name: asdict(getattr(self, name)) for name in PARTS}
        config = {**parts, "topologies": list(self.topologies)}
        if self.forecast_federation is not None:
            config[FORECAST_FEDERATION] = asdict(self.forecast_federation)
        begun_with = {"start": self.start} if self.start else {}
        named = {"learner": "dpem", "env": ENV, "seed": self.seed, **begun_with}
        return {**named, "config": config, "setting": self.setting.document()}

    def begin(self, start: Checkpoint | None = None) -> Dpem | Evolution:
        """The learner, untrained but for the heads of another checkpoint, if it begins there.

        Raises:
            InvalidParameter: these have other widths.
        """
        evolved = self.config.training == "evolved"
        learner = Evolution(self, Agent(self.config, self.forecaster, self.seed)) if evolved else Dpem(self)
        if start is not None:
            learner.begin_with(start.weights)
        return learner


NEWER = ("searched", "candidates", "networks", "spread")
"""Fields that older checkpoints do not have, and do not need."""
PARTS: dict[str, type] = {"config": Config, "federation": Federation, "forecaster": forecasts.Config}
FORECAST_FEDERATION = "forecast_federation"
"""A part that need not be there."""


def read_run(document: Mapping[str, Any]) -> Run:
    """From :meth:`Run.document`.

    Raises:
        InvalidParameter: a field is missing, unknown or out of range; the message names it.
    """
    if document["learner"] != "dpem" or document["env"] != ENV:
        raise InvalidParameter(f"learner: wanted dpem in {ENV}, got {short(document['learner'])}")
    config = document["config"]
    names, kinds = {*PARTS, "topologies"}, dict(PARTS)
    check_keys("config.json: config", config, required=names, known={*names, FORECAST_FEDERATION})
    if FORECAST_FEDERATION in config:
        kinds[FORECAST_FEDERATION] = Federation
    for name, kind in kinds.items():
        known = {item.name for item in fields(kind)}
        required = known - set(NEWER)
        if not isinstance(config[name], Mapping):
            raise InvalidParameter(f"config.json: config.{name}: wanted an object, got {short(config[name])}")
        check_keys(f"config.json: config.{name}", config[name], required=required, known=known)
    seeds = config["topologies"]
    if not isinstance(seeds, list) or any(not isinstance(each, int) or isinstance(each, bool) for each in seeds):
        raise InvalidParameter(f"config.json: config.topologies: wanted integers, got {short(seeds)}")
    parts = {name: construct(kind, config[name]) for name, kind in kinds.items()}
    return Run(
        **parts,
        setting=EntanglementSetting.read(dict(document["setting"])),
        topologies=tuple(seeds),
        seed=document["seed"],
        start=document["start"],
    )


class Agent(nn.Module):  # type: ignore[misc]  # torch is Any to mypy here
    """What is learned: weights of both heads as vectors, and what nodes share of the forecaster.

    Attributes:
        path, share: (d,), or (N, d) where each node has its own.   pull: (32,), where shares are by pulls, else None.
        forecaster: without pairs, whose own numbers never leave a node; None where something else forecasts.
    """

    def __init__(self, config: Config, forecaster: forecasts.Config, seed: int, num_nodes: int = 0) -> None:
        super().__init__()
        chance = torch.Generator().manual_seed(seed)
        self.config = config
        self.path_shape = Shape(NUM_PATH_FEATURES, config.width)
        self.share_shape = Shape(NUM_SHARE_FEATURES, config.share_width)
        first = begun_as_hand if config.begin == "hand" else begun
        heads = (first(self.path_shape, chance), begun(self.share_shape, chance))
        own = (num_nodes, 1) if config.training == "alone" else (1,)
        self.path, self.share = (nn.Parameter(each.repeat(*own)) for each in heads)
        self.pull = nn.Parameter(torch.from_numpy(states.hand_pulls())) if config.shares == "pulls" else None
        known = base_of(config.forecast) == "gru"
        self.forecaster = seeded(seed, lambda: forecasts.Forecaster(forecaster, 0)) if known else None

    @property
    def learned(self) -> list[nn.Parameter]:
        """Weights of the heads that are not switched off."""
        heads = {"paths": self.path, "shares": self.share}
        return [each for part, each in heads.items() if getattr(self.config, part) == "learned"]

    @property
    def num_weights(self) -> int:
        """That a node sends."""
        return sum(each.shape[-1] for each in self.learned)

    def begin_with(self, weights: Mapping[str, Tensor]) -> None:
        """Take the heads of a trained agent, for every node alike, and its pulls, if both have them.

        Raises:
            InvalidParameter: there are none, or they have other widths.
        """
        for name in ("path", "share"):
            mine, theirs = getattr(self, name), weights.get(name)
            if theirs is None or theirs.shape != mine.shape[-1:]:
                got = "none" if theirs is None else tuple(theirs.shape)
                raise InvalidParameter(f"start: {name}: wanted weights of shape {tuple(mine.shape[-1:])}, got {got}")
            with torch.no_grad():
                mine.copy_(theirs)
        if self.pull is not None and "pull" in weights:
            with torch.no_grad():
                self.pull.copy_(weights["pull"])

    def act_on(self, deployment: Deployment, forecaster: forecasts.Config, seed: int) -> Any:
        """What pairs of a network are expected to ask, (P, T); None without a forecast."""
        name = self.config.forecast
        if base_of(name) == "none":
            return None
        known, others, model = self.forecaster, not with_announced(name), None
        if known is not None:
            model = trained_forecaster(deployment, forecaster, seed, start=known, announced=others)
        return pair_forecasts(deployment, name, forecaster, model)


class Dpem:
    """Trains an :class:`Agent` on a run's networks."""

    def __init__(self, run: Run) -> None:
        self.run, self.config = run, run.config
        config, size = run.config, run.setting.num_nodes
        self._first = size * np.arange(len(run.topologies) + 1)
        self._num_nodes = int(self._first[-1])
        self._agent = Agent(config, run.forecaster, run.seed, self._num_nodes)
        self._chance = torch.Generator().manual_seed(run.seed)
        self._optimiser = torch.optim.Adam([self._agent.path, self._agent.share], lr=config.rate)
        self._served = begin(run.federation, self._agent.num_weights)
        self._expected: list[Any] | None = None
        self._epoch = 0

    @cached_property
    def _deployments(self) -> list[Deployment]:
        """Of the run's networks; who only acts does not wait for them."""
        config, setting = self.config, self.run.setting
        return [
            deploy(setting, seed, history_s=config.history_s, windows=config.windows) for seed in self.run.topologies
        ]

    def begin_with(self, weights: Mapping[str, Tensor]) -> None:
        """Take what another agent has learned."""
        self._agent.begin_with(weights)

    def actor(self) -> Agent:
        """What has been learned so far."""
        return deepcopy(self._agent)

    def epoch(self) -> Progress:
        """One episode of each network, and what its nodes make of it."""
        expected, window = self._forecasts(), self._epoch % self.config.windows
        taught, delivered, tally, slots = [], [], np.zeros(states.NUM_TALLIES), 0
        for number, deployment in enumerate(self._deployments):
            nodes = slice(*self._first[number : number + 2].tolist())
            seed = (self.run.seed * 7919 + self._epoch) * len(self._deployments) + number
            links = (
                None
                if expected[number] is None
                else link_forecasts(deployment, expected[number], self.run.forecaster.bin_s, window)
            )
            episode = deployment.episode(window, seed % 2**31)
            more = announcements(episode, self.config.forecast)
            run = play(
                episode, rule_of(self._agent, links, nodes, announced=more, explore=True), record=states.FEATURES
            )
            taught.append(lessons(run, self._agent, nodes.start))
            delivered.append(delivery(run))
            tally += run.state.tally
            slots += run.num_slots
        figures = self._learn(_together(taught))
        self._epoch += 1
        shown = {
            "delivery": float(np.mean(delivered)),
            "contention": float(tally[states.CONTENDED] / max(tally[states.CLAIMED], 1.0)),
            "blocked": float(tally[states.BLOCKED] / max(tally[states.ABLE], 1.0)),
        }
        return Progress(self._epoch, self._epoch * slots, 1.0 - shown["delivery"], {**shown, **figures})

    def _forecasts(self) -> list[Any]:
        """Of every network's pairs; the network that forecasts is trained on the first network's history."""
        if self._expected is None:
            run, agent = self.run, self._agent
            if agent.forecaster is not None and self._epoch == 0:
                model = trained_forecaster(
                    self._deployments[0],
                    run.forecaster,
                    run.seed,
                    federation=run.forecast_federation,
                    announced=not with_announced(self.config.forecast),
                )
                shared = {name: each for name, each in model.state_dict().items() if name not in forecasts.PRIVATE}
                agent.forecaster.load_state_dict(shared, strict=False)
            self._expected = [agent.act_on(each, run.forecaster, run.seed) for each in self._deployments]
        return self._expected

    def _learn(self, taught: Lessons) -> dict[str, float]:
        if self.config.training == "central":
            return self._pooled(taught)
        choices = _per_node(taught.choices, taught.chooser, self._num_nodes, self.config.most, self._chance)
        splits = _per_node(taught.splits, taught.splitter, self._num_nodes, self.config.most, self._chance)
        federation, weights = self.run.federation, torch.cat([each.detach() for each in self._agent.learned], dim=-1)
        updates = local_updates(
            lambda own, data: self._loss(own, Choices(*data[0]), Splits(*data[1])),
            weights,
            (tuple(choices), tuple(splits)),
            federation.local_steps,
            federation.local_rate,
        )
        if self.config.training == "alone":
            self._add(updates)
            return {"update_norm": float(torch.linalg.vector_norm(updates, dim=1).median())}
        adversary = torch.Generator().manual_seed(self.run.seed)
        sent = poison(federation, updates, self._served.clip, adversary)
        step, self._served, figures = federated(federation, self._served, sent, self._chance)
        self._add(step)
        adaptive = federation.clipping == "adaptive"
        return {**figures, "bytes": float(round_bytes(len(step), self._num_nodes, adaptive=adaptive))}

    def _add(self, step: Tensor) -> None:
        """To the weights that are learned."""
        with torch.no_grad():
            heads = self._agent.learned
            for each, part in zip(heads, step.split([one.shape[-1] for one in heads], dim=-1), strict=True):
                each += part

    def _loss(self, weights: Tensor, choices: Choices, splits: Splits) -> Tensor:
        """Of both heads, whose weights are one vector; without those that are switched off."""
        config, agent, loss, begun_at = self.config, self._agent, torch.zeros(()), 0
        if config.paths == "learned":
            begun_at = agent.path_shape.num_weights
            loss = loss + choice_loss(agent.path_shape, weights[:begun_at], choices, config.clip, config.entropy)
        if config.shares == "learned":
            loss = loss + split_loss(agent.share_shape, weights[begun_at:], splits, config.clip, config.deviation)
        return loss

    def _pooled(self, taught: Lessons) -> dict[str, float]:
        """Adam on minibatches of all nodes' decisions."""
        heads, loss = self._agent.learned, torch.zeros(())
        if not heads:
            return {}
        choices, splits = (
            each._replace(advantage=normalised(each.advantage)) if len(each.advantage) else each
            for each in (taught.choices, taught.splits)
        )
        most = self.config.most * self._num_nodes
        for _ in range(self.config.passes):
            orders = [torch.randperm(len(each.advantage), generator=self._chance)[:most] for each in (choices, splits)]
            for first, second in zip(*(each.tensor_split(self.config.parts) for each in orders), strict=True):
                parts = Choices(*(each[first] for each in choices)), Splits(*(each[second] for each in splits))
                loss = self._loss(torch.cat(heads), *parts)
                self._optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(heads, 0.5)
                self._optimiser.step()
        return {"loss": float(loss.detach())}

    def state(self) -> dict[str, Tensor]:
        """Everything that training needs to go on."""
        served = {f"served.{name}": each.clone() for name, each in self._served._asdict().items()}
        return snapshot(self._agent, self._optimiser, self._chance, self._epoch) | served

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        known = {name: each for name, each in state.items() if not name.startswith("served.")}
        self._epoch = resume(known, self._agent, self._optimiser, self._chance)
        self._served = Served(*(state[f"served.{name}"].clone() for name in Served._fields))
        self._expected = None


def _together(taught: list[Lessons]) -> Lessons:
    """Of all networks."""
    choices, chooser, splits, splitter = zip(*taught, strict=True)
    return Lessons(
        Choices(*(torch.cat(each) for each in zip(*choices, strict=True))),
        torch.cat(chooser),
        Splits(*(torch.cat(each) for each in zip(*splits, strict=True))),
        torch.cat(splitter),
    )


def _per_node(batch: Any, node: Tensor, num_nodes: int, most: int, chance: torch.Generator) -> Any:
    """Decisions of each node side by side, at most so many of each, drawn; padding has weight 0, (N, most, …).

    A node's advantages get mean 0 and deviation 1 by its own.
    """
    drawn = torch.randperm(len(node), generator=chance)
    order = drawn[torch.sort(node[drawn], stable=True).indices]
    counts = torch.bincount(node, minlength=num_nodes)
    place = torch.arange(len(node)) - (counts.cumsum(0) - counts)[node[order]]
    kept = order[place < most]
    rows, columns = node[kept], place[place < most]
    width = int(counts.clamp(max=most).max()) if len(node) else 1
    padded = type(batch)(*(each.new_zeros(num_nodes, max(width, 1), *each.shape[1:]) for each in batch))
    for target, each in zip(padded, batch, strict=True):
        target[rows, columns] = each[kept]
    there = padded.weight
    size = there.sum(1, keepdim=True).clamp(min=1.0)
    centred = (padded.advantage - (padded.advantage * there).sum(1, keepdim=True) / size) * there
    scale = (centred.square().sum(1, keepdim=True) / size).sqrt() + 1e-8
    return padded._replace(advantage=centred / scale)
