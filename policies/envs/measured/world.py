"""``Measured-v1``: placement as the live orchestrator has it, thousands of worlds side by side, in torch.

Source: ours. Jobs, candidates and errors are those of a :class:`~policies.envs.measured.twin.Twin`; the cost is
``orchestrator.placement.cost``. Users are jobs, servers are backends. Jobs arrive in bursts; those of a burst are
decided one after the other, in turns of ``users``, so that each sees what was booked for those before it. Work that was
placed stays on its lanes from turn to turn, and is served by rank (:mod:`policies.envs.measured.queues`).

Each episode draws its fleet and its load. The load is what arrives over what list scheduling by earliest end would get
done. What an action costs is what it adds to the cost of all: the job's own, and the others' waiting behind it. Over an
episode that is the cost of all jobs, to the last second.

Jobs go to one place as a whole here, so that nothing can be kept: ``cpu`` is a place like any other, and the shares of
an action count for nothing. A job sent where it may not go goes to the first place where it may.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from circuits.errors import InvalidParameter
from circuits.parameters import choice, integer, real, text, validate
from orchestrator.placement import PRIORITY_STEP_S
from policies.envs.batched import BatchedWorld
from policies.envs.contract import Action, Observation, Step
from policies.envs.measured.division import Figures
from policies.envs.measured.observation import NUM_PAIR, NUM_USER, Sight, observed
from policies.envs.measured.queues import Queues
from policies.envs.measured.twin import BUILT_IN, Twin, load
from policies.order import by_smith_s

LONGEST = 24
"""Parts that a lane can hold apart; what is more is taken together."""

TRIED = 64
"""Jobs by which the speed of a fleet is judged."""

LOOK_S = 0.01
"""Between two looks of placement (ours, as in :mod:`policies.arena`)."""


@dataclass(frozen=True)
class MeasuredSetting:
    """Of a world.

    Attributes:
        users: jobs that are decided at once.   servers: backends: those that take most jobs of the twin.
        source: the twin's file, or "recorded" for the built-in one.
        low_load, high_load: of what the fleet can do; drawn between them, by logarithm.
        burst: mean number of jobs that arrive together.   jobs: of an episode.
        fleets: "all" backends in every episode, or "drawn": all, only lanes that serve several backends, only those
            that serve one, or any of them.
        order: of service: by "rank" alone, or before it by what a job costs for its work (:mod:`policies.order`);
            "planned": so, and seen are those that a job would wait for, and what it would cost those behind it.
    """

    added: ClassVar[frozenset[str]] = frozenset({"order"})
    """Fields of a later version: what an older checkpoint does not say has its default."""

    users: int = integer(1, low=1, high=1000, doc="jobs that are decided at once")
    servers: int = integer(15, low=1, high=1000, doc="backends")
    source: str = text(BUILT_IN, longest=4096, doc="file of the twin, or recorded for the built-in one")
    low_load: float = real(0.1, low=1e-3, high=100.0, doc="lowest load")
    high_load: float = real(2.0, low=1e-3, high=100.0, doc="highest load")
    burst: float = real(3.0, low=1.0, high=1000.0, doc="mean number of jobs that arrive together")
    jobs: int = integer(100, low=1, high=1_000_000, doc="jobs of an episode")
    fleets: str = choice("drawn", "drawn", "all", doc="which backends are there")
    order: str = choice("rank", "rank", "smith", "planned", doc="who is served first, and what is seen of it")

    def __post_init__(self) -> None:
        validate(self)
        if self.low_load > self.high_load:
            raise InvalidParameter(f"low_load: wanted at most high_load {self.high_load:g}, got {self.low_load:g}")

    @property
    def episode_slots(self) -> int:
        """Turns of an episode."""
        return math.ceil(self.jobs / self.users)


@dataclass(frozen=True)
class Outcome:
    """What came of a turn, (B, U).

    Attributes:
        cost: what it added to the cost of all.   own: of that, the job's own.
        latency_s, fidelity, energy_j, cost_usd: of the job; latency as it is now, before others overtake it.
    """

    cost: Tensor
    own: Tensor
    latency_s: Tensor
    fidelity: Tensor
    energy_j: Tensor
    cost_usd: Tensor


@dataclass(frozen=True)
class _Jobs:
    """Those of a turn: rows of the twin, (W, U), what really comes of them, (W, U, E, 3), and their trips, (W, U)."""

    rows: Tensor
    off: Tensor
    waited_s: Tensor
    trip_s: Tensor


@dataclass(frozen=True)
class Ran:
    """What came of parts, (B,): as in :class:`Outcome`; ``delayed``: cost of the others' waiting."""

    latency_s: Tensor
    fidelity: Tensor
    energy_j: Tensor
    cost_usd: Tensor
    delayed: Tensor


class World(BatchedWorld):
    """B worlds at once, in step; the same seed gives the same jobs and outcomes, whatever is done in them.

    Args:
        copies: worlds that meet the same jobs and outcomes, so that actors can be compared: world ``w`` and ``w`` +
            ``num_worlds`` and so on, of ``num_worlds * copies``.

    Attributes:
        at_s: time, (B,).
    """

    setting_type: ClassVar[type[MeasuredSetting]] = MeasuredSetting
    num_features: ClassVar[tuple[int, int]] = (NUM_USER, NUM_PAIR)
    bounds: ClassVar[tuple[float, float]] = (-100.0, 100.0)
    may_decline: ClassVar[bool] = False

    def __init__(
        self,
        setting: MeasuredSetting,
        num_worlds: int = 1,
        seed: int = 0,
        *,
        dtype: torch.dtype = torch.float32,
        device: Any = "cpu",
        copies: int = 1,
    ) -> None:
        if copies < 1:
            raise InvalidParameter(f"copies: wanted at least 1, got {copies}")
        self._kinds, self._copies = num_worlds, copies
        super().__init__(setting, num_worlds * copies, seed, dtype=dtype, device=device)

    # ── what there is ─────────────────────────────────────────────────────────────────────────────────────────────────
    @cached_property
    def twin(self) -> Twin:
        """What it is made of."""
        return load(self.setting.source).taking(self.setting.servers)

    @cached_property
    def _lane(self) -> Tensor:
        return self.twin.lane

    @cached_property
    def _slots(self) -> Tensor:
        return torch.tensor([lane.slots for lane in self.twin.lanes], dtype=self.dtype)

    @cached_property
    def _mates(self) -> Tensor:
        """Backends on each one's lane."""
        return (self._lane[:, None] == self._lane).sum(-1).to(self.dtype)

    @cached_property
    def _scale(self) -> Tensor:
        scales = self.twin.scales
        return torch.tensor([scales.latency_s, scales.energy_j, scales.infidelity, scales.price_usd])

    # ── what is drawn ─────────────────────────────────────────────────────────────────────────────────────────────────
    def _draw(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self._chance, dtype=self.dtype)

    def _all(self, drawn: Tensor) -> Tensor:
        """The same for every copy, (W, …) to (B, …)."""
        return drawn.repeat(self._copies, *([1] * (drawn.dim() - 1)))

    def _begin(self) -> None:
        """An episode: a fleet, a load, empty queues."""
        self._open = self._fleet()  # (W, E)
        self._fits = self._kinds_that_fit()
        low, high = math.log(self.setting.low_load), math.log(self.setting.high_load)
        self.load = torch.exp(low + (high - low) * self._draw(self._kinds))
        self._between_s = self.setting.burst * self._pace_s() / self.load
        self.queues = Queues(self.num_worlds, self._slots, LONGEST, self.dtype, self.twin.slowed)
        self.at_s = torch.zeros(self.num_worlds, dtype=self.dtype)
        self._left = torch.zeros(self._kinds, dtype=self.dtype)
        self.turn = 0
        self._arrive()

    def _fleet(self) -> Tensor:
        """Backends that are there, bool (W, E)."""
        shared = self._mates > 1.0
        everything = torch.ones(self._kinds, len(self._lane), dtype=torch.bool)
        if self.setting.fleets == "all":
            return everything
        kind, keep = self._draw(self._kinds, 1), 0.3 + 0.7 * self._draw(self._kinds, 1)
        some = self._draw(self._kinds, len(self._slots))[:, self._lane] < keep
        drawn = torch.where(
            kind < 0.25, everything, torch.where(kind < 0.5, shared, torch.where(kind < 0.75, ~shared, some))
        )
        takes = (self.twin.feasible & drawn[:, None]).any(-1).sum(-1) >= min(TRIED, len(self.twin.feasible))
        return torch.where(takes[:, None], drawn, everything)

    def _kinds_that_fit(self) -> Tensor:
        """Which jobs of the twin can go anywhere, as weights for drawing, (W, R)."""
        return (self._open.to(self.dtype) @ self.twin.feasible.T.to(self.dtype) > 0.0).to(self.dtype)

    def _pace_s(self) -> Tensor:
        """Seconds per job that list scheduling by earliest end needs for some jobs, all there at once, (W,)."""
        rows = torch.multinomial(self._fits, TRIED, replacement=True, generator=self._chance)
        work_s = self.twin.service_s[rows] / self._slots[self._lane]
        work_s = torch.where(self.twin.feasible[rows] & self._open[:, None], work_s, torch.inf)
        busy_s = torch.zeros(self._kinds, len(self._slots), dtype=self.dtype)
        for job in work_s.unbind(1):
            ends_s, at = (busy_s[:, self._lane] + job).min(-1)
            busy_s = busy_s.scatter(1, self._lane[at].unsqueeze(-1), ends_s.unsqueeze(-1))
        return busy_s.amax(-1) / TRIED

    def _arrive(self) -> None:
        """The next jobs; time passes where a burst is over."""
        users, gone_s = self.setting.users, torch.zeros(self._kinds, dtype=self.dtype)
        for _ in range(users):
            fresh = self._left < 0.5
            draws = self._draw(2, self._kinds).clamp(min=1e-7)
            size = (
                1.0
                if self.setting.burst == 1.0
                else torch.ceil(draws[0].log() / math.log(1.0 - 1.0 / self.setting.burst))
            )
            gone_s = gone_s + torch.where(fresh, -draws[1].log() * self._between_s, 0.0)
            self._left = torch.where(fresh, size, self._left) - 1.0
        rows = torch.multinomial(self._fits, users, replacement=True, generator=self._chance)
        waited_s = LOOK_S * self._draw(self._kinds, users)
        trips_s = self.twin.trips_s
        trip_s = trips_s[torch.randint(len(trips_s), rows.shape, generator=self._chance)]
        self._jobs = _Jobs(rows, self._errors(rows), waited_s, trip_s)
        gone_s = self._all(gone_s)
        self.queues.pass_by(gone_s)
        self.at_s = self.at_s + gone_s

    def _errors(self, rows: Tensor) -> Tensor:
        """What estimates are off by, (W, U, E, 3)."""
        twin = self.twin
        num_places, pool = twin.errors.shape[:2]
        drawn = torch.randint(pool, (*rows.shape, num_places), generator=self._chance)
        found = twin.errors[torch.arange(num_places), drawn]
        noise = torch.randn((*rows.shape, num_places, 3), generator=self._chance, dtype=self.dtype)
        own = twin.own[rows] + twin.repeats * noise
        return torch.where(own.isnan(), found, own)

    # ── what is seen ──────────────────────────────────────────────────────────────────────────────────────────────────
    def sight(self) -> Sight:
        """What is known now, of all worlds."""
        twin, rows = self.twin, self._jobs.rows
        weights = (twin.weights[rows] / self._scale).unsqueeze(-2).unbind(-1)
        energy, price = weights[1] * twin.energy_j[rows], weights[3] * twin.cost_usd[rows]
        loss = 1.0 - twin.fidelity[rows]
        left = self._left.unsqueeze(1).expand_as(rows)
        of_all = {
            "per_s": weights[0].squeeze(-1),
            "priority": twin.priority[rows],
            "waited_s": self._jobs.waited_s,
            "slack_s": twin.deadline_s[rows] - self._jobs.waited_s,
            "left": left,
            "feasible": twin.feasible[rows] & self._open[:, None],
            "rest": (energy + weights[2] * loss + price).clamp(min=0.0),
            "elapsed_s": twin.elapsed_s[rows],
            "service_s": twin.service_s[rows],
            "loss": loss,
            "num_observations": twin.num_observations[rows],
            "width": twin.width[rows],
            "energy": energy,
            "price": price,
        }
        told = {name: self._all(value) for name, value in of_all.items()}
        told["wait_s"], delayed = self._beside(told)
        return Sight(**told | {"rest": told["rest"] + delayed}, mates=self._mates)

    def _beside(self, told: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """How long jobs would wait on each place, and what others would then wait for them cost, (B, U, E)."""
        if self.setting.order != "planned":
            waits_s = self.queues.waits_s()[:, self._lane].unsqueeze(1).expand(-1, self.setting.users, -1)
            return waits_s, torch.zeros(())
        rows, service_s = self._all(self._jobs.rows), told["service_s"]
        rank = self._rank(self.at_s.unsqueeze(-1), rows, told["waited_s"]).unsqueeze(-1)
        rank = rank - by_smith_s(told["per_s"].unsqueeze(-1), service_s)
        waits_s, behind = self.queues.beside(self._lane, rank)
        return waits_s, behind * service_s / self._slots[self._lane]

    def _rank(self, at_s: Tensor, rows: Tensor, waited_s: Tensor) -> Tensor:
        """Of jobs that are looked at then, as ``orchestrator.placement.rank``."""
        priority, slack_s = self.twin.priority[rows], self.twin.deadline_s[rows]
        return at_s - waited_s + torch.minimum(-PRIORITY_STEP_S * priority, slack_s - PRIORITY_STEP_S)

    def observe(self) -> Observation:
        """What the agents see now."""
        return observed(self.sight())

    # ── what is done ──────────────────────────────────────────────────────────────────────────────────────────────────
    def step(self, action: Action) -> Step:
        """Place the jobs, in order, and go on to the next.

        Raises:
            InvalidParameter: the action asks for QPUs.
        """
        if action.asks is not None:
            raise InvalidParameter("Action.asks: wanted None, since jobs of Measured-v1 decline nothing")
        outcomes = [self._place(user, action.servers[:, user]) for user in range(self.setting.users)]
        columns = zip(*outcomes, strict=True)
        outcome = Outcome(*(torch.stack(column, dim=-1) for column in columns))
        self.turn += 1
        ends = self.turn == self.setting.episode_slots
        if ends:
            self._begin()
        else:
            self._arrive()
        return Step(-outcome.cost, outcome, ends)

    def _place(self, user: int, chosen: Tensor) -> tuple[Tensor, ...]:
        """One job of each world, and what comes of it: the fields of :class:`Outcome`."""
        rows = self._all(self._jobs.rows[:, user])
        at = self._allowed(rows, chosen)
        weights = (self.twin.weights[rows] / self._scale).unbind(-1)
        return self._paid(weights, self._run(user, at, self._told(rows, at), weights[0]))

    def _allowed(self, rows: Tensor, chosen: Tensor) -> Tensor:
        """The places that were chosen, where jobs may go there; else the first where they may."""
        may = self.twin.feasible[rows] & self._all(self._open)
        return torch.where(may[torch.arange(len(rows)), chosen], chosen, may.to(torch.int8).argmax(-1))

    def _told(self, rows: Tensor, at: Tensor) -> Figures:
        """What jobs are told to take there as a whole."""
        twin = self.twin
        return Figures(
            twin.elapsed_s[rows, at], twin.service_s[rows, at], twin.energy_j[rows, at], twin.cost_usd[rows, at]
        )

    def _run(self, user: int, at: Tensor, told: Figures, weight: Tensor, worlds: Tensor | None = None) -> Ran:
        """Parts of one job of each world, or of some, on their places; all (B,).

        Args:
            told: what they are told to take.   weight: cost of a second of their waiting.
        """
        worlds = torch.arange(self.num_worlds) if worlds is None else worlds
        twin, jobs = self.twin, self._jobs
        rows, off, waited_s = (self._all(each[:, user])[worlds] for each in (jobs.rows, jobs.off, jobs.waited_s))
        ratio, lost, spent = off[torch.arange(len(rows)), at].unbind(-1)
        rank = self._rank(self.at_s[worlds], rows, waited_s)
        if self.setting.order != "rank":
            rank = rank - by_smith_s(weight, told.service_s)
        work_s = told.service_s * ratio.exp()
        added = self.queues.place(self._lane[at], rank, weight, work_s, told.service_s, worlds)
        beside_s = (told.elapsed_s - told.service_s).clamp(min=0.0) + self._all(jobs.trip_s[:, user])[worlds]
        latency_s = waited_s + added.wait_s + added.work_s + beside_s
        fidelity = (twin.fidelity[rows, at] + lost).clamp(0.0, 1.0)
        return Ran(latency_s, fidelity, told.energy_j * spent.exp(), told.cost_usd, added.delayed)

    def _paid(self, weights: Sequence[Tensor], ran: Ran) -> tuple[Tensor, ...]:
        """What it costs, and why: the fields of :class:`Outcome`."""
        latency_s, fidelity, energy_j, cost_usd = ran.latency_s, ran.fidelity, ran.energy_j, ran.cost_usd
        own = weights[0] * latency_s + weights[1] * energy_j + weights[2] * (1.0 - fidelity) + weights[3] * cost_usd
        return own + ran.delayed, own, latency_s, fidelity, energy_j, cost_usd
