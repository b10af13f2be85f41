"""A running fleet behind the contract of a world: each step submits real jobs, waits for their ends, and pays for them.

Source: ours. There is one world, and it is as slow as the fleet is. Its jobs are those that the fleet has done before,
drawn by a seed; of each is seen what the fleet quotes, as :mod:`policies.envs.measured.observation` codes it; an action
pins each job to a place; costs are ``orchestrator.placement.cost`` of what was measured. What a job makes
others wait is in what is measured of these, so ``own`` is all there is. A job sent where it may not go goes to the
first place where it may. A quote tells service together with the device's queue, which is taken off for it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from circuits.errors import InvalidParameter
from circuits.parameters import short
from orchestrator.client import Client, JobHandle
from orchestrator.errors import NoFeasibleBackend
from orchestrator.fleet import Fleet
from orchestrator.job import Estimate, Interval, Intervals, JobSpec, JobState
from orchestrator.options import Options
from orchestrator.placement import Candidate, Request, Scales, cost
from orchestrator.quote import UNKNOWN, Offer
from policies.envs.contest import learned
from policies.envs.contract import Action, Observation, Rule, Rules, Step
from policies.envs.measured.observation import NUM_PAIR, NUM_USER, observed, quantities
from policies.envs.measured.world import MeasuredSetting, Outcome
from policies.learned import as_tensors, sight_of
from policies.learners.kit import checkpoint
from policies.shelf import find, is_name
from policies.table import Table

TAG = "measured-live"
"""Of every job that is submitted here; they are not drawn again."""

MOST_KNOWN = 200
"""Jobs of the fleet that are looked at for what to do again (ours)."""

JOB_TIMEOUT_S = 600.0

_LEFT_OUT = {"policy", "pin", "allow", "exclude", "after", "idempotency_key", "tags", "max_parts"}


def _by_chance(world: LiveWorld, chance: torch.Generator) -> Action:
    may = quantities(world.observe()).feasible[0].float()
    return world.action(torch.multinomial(may, 1, generator=chance)[:, 0])


def _least(of: Callable[[Any], Tensor]) -> Callable[[LiveWorld, torch.Generator], Action]:
    def choose(world: LiveWorld, _: torch.Generator) -> Action:
        known = quantities(world.observe())
        return world.action(torch.where(known.feasible, of(known), torch.inf).argmin(-1)[0])

    return choose


class LiveWorld:
    """One world, of a client that is joined to a running fleet.

    Args:
        client: it stays its owner's.   users: jobs that are decided and submitted together.   jobs: of an episode.
        specs: jobs to draw from; those that the fleet has done, if not said.

    Attributes:
        places: backends that are served, in the order of their names.   slots: jobs of this turn.

    Raises:
        InvalidParameter: nobody serves anything there, or it has done no job yet.
    """

    setting_type: ClassVar[type[MeasuredSetting]] = MeasuredSetting
    num_features: ClassVar[tuple[int, int]] = (NUM_USER, NUM_PAIR)
    bounds: ClassVar[tuple[float, float]] = (-100.0, 100.0)
    time_left: ClassVar[int | None] = None
    may_decline: ClassVar[bool] = False
    num_worlds: ClassVar[int] = 1
    rules: ClassVar[Rules] = {
        "random": _by_chance,
        "eft": _least(lambda known: known.wait_s + known.elapsed_s),
        "greedy": _least(lambda known: known.rest + known.per_s * (known.wait_s + known.elapsed_s)),
    }

    def __init__(
        self,
        client: Client,
        *,
        users: int = 1,
        jobs: int = 20,
        seed: int = 0,
        specs: Sequence[JobSpec] = (),
        scales: Scales | None = None,
    ) -> None:
        self._client, self._scales = client, scales or Scales()
        self._fleet = Fleet.of(client.backends())
        self.places = tuple(self._fleet.devices)
        if not self.places:
            raise InvalidParameter(
                "live: wanted a running fleet, but no worker announces a backend; start `qorch up`, or set "
                "QORCH_DATA_DIR or QORCH_STORE_URL to the store of the one that is meant"
            )
        self._specs = tuple(specs) or done_before(client)
        if not self._specs:
            served = ", ".join(self.places)
            raise InvalidParameter(
                f"live: wanted a fleet that has done jobs, which are done again on {served}; submit some there"
            )
        self.setting = MeasuredSetting(users=users, servers=len(self.places), jobs=jobs, fleets="all")
        self._chance = random.Random(seed)
        self.turn = 0
        self._arrive()

    def _arrive(self) -> None:
        drawn = self._chance.choices(self._specs, k=self.setting.users)
        self.slots = [replace(spec, seed=self._chance.randrange(2**31)) for spec in drawn]
        self._told: list[dict[str, Offer]] | None = None

    @property
    def _offers(self) -> list[dict[str, Offer]]:
        """What the fleet says of each job now, by backend; asked for once a turn."""
        if self._told is None:
            quotes = [self._client.quote(spec.program, **_options(spec)) for spec in self.slots]
            self._told = [{offer.backend: offer for offer in quote.offers} for quote in quotes]
        return self._told

    def observe(self) -> Observation:
        """What is known of this turn's jobs, (1, U, F) and (1, U, E, G)."""
        table = Table.of([self._request(row) for row in range(len(self.slots))], self._scales)
        seen = sight_of(table, self._fleet.backlog((), 0.0))
        waits_s = [[offers[name].wait_s if name in offers else 0.0 for name in self.places] for offers in self._offers]
        left = np.arange(len(self.slots) - 1.0, -1.0, -1.0)[None]
        return as_tensors(observed(replace(seen, wait_s=np.where(seen.feasible, waits_s, 0.0), left=left)))

    def _request(self, row: int) -> Request:
        offers = self._offers[row]
        candidates = tuple(_candidate(name, offers.get(name)) for name in self.places)
        return Request(f"live-{row}", row, self.slots[row], float(row), 0.0, candidates)

    def action(self, servers: Tensor) -> Action:
        """Each job, (U,), to a place as a whole."""
        return Action(servers.unsqueeze(0), torch.zeros(1, len(servers)))

    def step(self, action: Action) -> Step:
        """Submit this turn's jobs, wait for their ends, and go on to the next.

        Raises:
            InvalidParameter: the action asks for QPUs, or a job may go nowhere.
            JobFailed, JobTimeout: it did not end well.
        """
        if action.asks is not None:
            raise InvalidParameter("Action.asks: wanted None, since jobs of a live world decline nothing")
        names = [self._place(row, int(at)) for row, at in enumerate(action.servers[0].tolist())]
        pinned = [
            replace(spec, pin={name: 1.0}, allow=(), exclude=(), tags=(TAG,))
            for spec, name in zip(self.slots, names, strict=True)
        ]
        rows = [self._paid(spec, handle) for spec, handle in zip(pinned, self._client.submit_many(pinned), strict=True)]
        own, latency_s, fidelity, energy_j, cost_usd = torch.tensor(rows, dtype=torch.float64).T.unsqueeze(1)
        self.turn += 1
        ends = self.turn % self.setting.episode_slots == 0
        self._arrive()
        return Step(-own, Outcome(own, own, latency_s, fidelity, energy_j, cost_usd), ends)

    def _place(self, row: int, chosen: int) -> str:
        may = [name for name in self.places if name in self._offers[row] and not self._offers[row][name].rejections]
        if not may:
            why = {name: offer.rejections for name, offer in self._offers[row].items()}
            raise InvalidParameter(f"live: {NoFeasibleBackend(why)}; serve one that can, such as by `qorch up`")
        return self.places[chosen] if self.places[chosen] in may else may[0]

    def _paid(self, spec: JobSpec, handle: JobHandle) -> tuple[float, ...]:
        """What a job cost, and why: the fields of an outcome but the first."""
        found = handle.result(JOB_TIMEOUT_S)
        got, expected = found.measurement, found.estimate.fidelity
        fidelity = expected if got.fidelity is None else got.fidelity
        figures = {"latency_s": got.latency_s, "energy_j": got.energy_j, "cost_usd": got.cost_usd}
        paid = cost(spec.objective, self._scales, fidelity=fidelity, **figures)
        return paid, got.latency_s, fidelity, got.energy_j, got.cost_usd


def done_before(client: Client) -> tuple[JobSpec, ...]:
    """What the fleet has done, each program and number of shots once, as jobs that can be done again.

    Jobs that allow only what nobody serves any longer are left out.
    """
    found: dict[tuple[str, int], JobSpec] = {}
    served = {entry.backend for entry in client.backends()}
    for job in client.jobs(state=JobState.DONE, limit=MOST_KNOWN):
        if TAG not in job.spec.tags and (set(job.spec.allow) or served) - set(job.spec.exclude) & served:
            free = replace(job.spec, pin={}, after=(), idempotency_key=None, tags=(), policy="eft", max_parts=1)
            found[free.program.content_hash(), free.shots] = free
    return tuple(found[key] for key in sorted(found))


def played(world: LiveWorld, player: Rule, seed: int) -> list[float]:
    """What each job of one episode cost."""
    chance, costs, ends = torch.Generator().manual_seed(seed), [], False
    while not ends:
        with torch.no_grad():
            action = player(world, chance)
        step = world.step(action)
        costs += step.outcome.cost[0].tolist()
        ends = step.terminated
    return costs


def _options(spec: JobSpec) -> Options:
    named: Any = {
        item.name: getattr(spec, item.name)
        for item in fields(JobSpec)
        if item.name not in _LEFT_OUT and item.name in Options.__annotations__
    }
    found: Options = named | {"allow": spec.allow, "exclude": spec.exclude}
    return found


def _candidate(name: str, offer: Offer | None) -> Candidate:
    """What a quote says of a backend, as placement would have it."""
    nothing = Estimate(0.0, 0.0, 0.0, 0.0)
    if offer is None or offer.elapsed_s is None:
        why = offer.rejections if offer else ()
        return Candidate(name, nothing, nothing, 0.0, "", why or ("nothing is known of how it would fit there",))
    figures = [one or UNKNOWN for one in (offer.elapsed_s, offer.fidelity, offer.energy_j, offer.cost_usd)]
    elapsed_s, fidelity, energy_j, cost_usd = (one.expected or 0.0 for one in figures)
    elapsed, fidelities, energies, prices = (Interval(one.low or 0.0, one.high or 0.0) for one in figures)
    estimate = Estimate(
        service_s=max(0.0, elapsed_s - (offer.queue_s or 0.0)),
        fidelity=fidelity,
        energy_j=energy_j,
        cost_usd=cost_usd,
        num_observations=offer.num_observations,
        queue_s=offer.queue_s,
        intervals=Intervals(elapsed, fidelities, energies, prices),
    )
    return Candidate(name, estimate, estimate, offer.wait_s, "", offer.rejections)


def players(words: Sequence[str]) -> dict[str, Rule]:
    """Who may place jobs here: rules by name, and checkpoints, as ``LEARNER:HASH`` of a shelf or by their folders.

    Raises:
        InvalidParameter: a word is none of these, or a checkpoint is of another world.
    """
    found: dict[str, Rule] = {}
    for word in map(str.strip, words):
        if word in LiveWorld.rules:
            found[word] = LiveWorld.rules[word]
            continue
        if not is_name(word) and not (word and Path(word).is_dir()):
            known = ", ".join([*LiveWorld.rules, "LEARNER:HASH"])
            raise InvalidParameter(f"policies: wanted {known} or a folder of a checkpoint, got {short(word)}")
        one = checkpoint.load(find(word).folder if is_name(word) else Path(word))
        if type(one.run.setting) is not MeasuredSetting:  # jobs are pinned as a whole
            raise InvalidParameter(f"policies: wanted checkpoints of Measured-v1, got {short(word)} of {one.run.env}")
        found[word] = learned(one.actor())
    return found


def contest(client: Client, playing: Mapping[str, Rule], seeds: Sequence[int], jobs: int) -> dict[str, list[float]]:
    """What each job cost by who placed it; all play the same jobs, seed by seed, one after the other."""
    found: dict[str, list[float]] = {name: [] for name in playing}
    specs = done_before(client)
    for seed in seeds:
        for name, player in playing.items():
            found[name] += played(LiveWorld(client, jobs=jobs, seed=seed, specs=specs), player, seed)
    return found
