"""One network with its users over a long time: a history to learn forecasts from, then episodes to act in.

An episode is a piece of one long demand, so that what comes before it is really its past: users keep their habits, and
nothing of an episode is in the history that a forecaster was trained on (ours).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from circuits.errors import InvalidParameter
from circuits.parameters import short
from policies.allocators.dpem import forecast as forecasts
from policies.allocators.dpem.federation import Federation
from policies.envs.entanglement import demand as demands
from policies.envs.entanglement import traces
from policies.envs.entanglement.announced import AHEAD_S, of_jobs, table
from policies.envs.entanglement.demand import Demand, Jobs, Requests
from policies.envs.entanglement.episode import Episode
from policies.envs.entanglement.faults import Faults
from policies.envs.entanglement.paths import Paths, candidates
from policies.envs.entanglement.play import play
from policies.envs.entanglement.setting import EntanglementSetting
from policies.envs.entanglement.state import D_ACTION, D_REQUEST, D_SLOT, NUM_DECISIONS, Rule
from policies.envs.entanglement.topology import Topology

Reals = NDArray[np.float64]
ANNOUNCED = "announced"
ALONE = ("none", "gru", *forecasts.SIMPLE, "truth")
"""What can stand in the place of a link's running mean; "truth" is what no forecast can beat."""
FORECASTS = (*ALONE, ANNOUNCED, *(f"{ANNOUNCED}+{name}" for name in ALONE[1:]))
"""The same, and beside each what batch jobs announce; these forecast what is not announced."""
BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Deployment:
    """A network, and its demand from ``history_s`` before the first episode to the end of the last.

    Attributes:
        setting: of an episode.   demand, requests: of the whole time.   windows: episodes that there are.
    """

    setting: EntanglementSetting
    history_s: float
    windows: int
    topology: Topology
    demand: Demand
    requests: Requests
    paths: Paths

    def begin_slot(self, window: int) -> int:
        """First slot of an episode in the whole time."""
        return round(self.history_s / self.setting.slot_s) + window * self.setting.num_slots

    def episode(self, window: int, physics_seed: int) -> Episode:
        """One of its episodes, with its own luck of links and swaps."""
        begin, length, asked = self.begin_slot(window), self.setting.num_slots, self.requests
        rows = slice(*np.searchsorted(asked.arrival_slot, [begin, begin + length]).tolist())
        known = {name: each[rows] for name, each in vars(asked).items()}
        known["arrival_slot"] = known["arrival_slot"] - begin
        known["deadline_slot"] = known["deadline_slot"] - begin
        setting = self.setting.but(physics_seed=physics_seed)
        demand = replace(
            self.demand,
            setting=setting,
            bursts=self.demand.bursts[begin : begin + length],
            begin_slot=begin,
            jobs=self._jobs(rows, begin),
        )
        return Episode(setting, self.topology, demand, Requests(**known), self.paths, Faults())

    def _jobs(self, rows: slice, begin: int) -> Jobs:
        """Those of an episode whose requests are these rows of the whole time's."""
        jobs = self.demand.jobs
        mine = (jobs.request >= rows.start) & (jobs.request < rows.stop)
        known, due = (np.maximum(0, each[mine] - begin) for each in (jobs.known_slot, jobs.due_slot))
        return Jobs(known, due, jobs.pair[mine], jobs.num_pairs[mine], jobs.request[mine] - rows.start)

    def counts(self, bin_s: float, *, announced: bool = True) -> Reals:
        """Pairs that each pair of nodes asks for in each bin of the whole time, float64 (P, T).

        Args:
            announced: whether those of announced batch jobs are among them.
        """
        slots, asked = round(bin_s / self.setting.slot_s), self.requests
        found = np.zeros((self.demand.num_pairs, self.demand.setting.num_slots // slots + 1))
        np.add.at(found, (asked.pair, asked.arrival_slot // slots), asked.num_pairs)
        jobs = self.demand.jobs
        if not announced:
            np.subtract.at(found, (jobs.pair, asked.arrival_slot[jobs.request] // slots), jobs.num_pairs)
        return np.asarray(found[:, : self.demand.setting.num_slots // slots])

    def rates_hz(self, bin_s: float) -> Reals:
        """The true rate of each pair without batch jobs, mean of each bin, float64 (P, T)."""
        slots, num_slots = round(bin_s / self.setting.slot_s), self.demand.setting.num_slots
        whole = num_slots // slots * slots
        parts = [self.demand.rates_hz(np.arange(begin, min(begin + BLOCK, whole))) for begin in range(0, whole, BLOCK)]
        return np.asarray(np.concatenate(parts).reshape(whole // slots, slots, -1).mean(1).T)


def deploy(
    setting: EntanglementSetting,
    topology_seed: int,
    *,
    history_s: float = 1200.0,
    windows: int = 1,
    own: Path | None = None,
) -> Deployment:
    """A network of the setting's kind with this seed, and its demand.

    Args:
        history_s: before the first episode, rounded to slots.   own: a file of requests or traffic in place of the
            drawn ones, see :func:`policies.envs.entanglement.traces.read`; its time begins with the history.

    Raises:
        InvalidParameter: the history is below 0, or the file holds what it may not.
    """
    if not 0.0 <= history_s < math.inf:
        raise InvalidParameter(f"history_s: wanted at least 0, got {short(history_s)}")
    here = setting.but(topology_seed=topology_seed, demand_seed=topology_seed)
    topology = Topology.generate(here.kind, here.num_nodes, topology_seed)
    num_slots = round(history_s / here.slot_s) + windows * here.num_slots
    whole = here.but(duration_s=num_slots * here.slot_s)
    demand, requests = traces.read(own, whole, topology) if own else demands.draw(whole, topology)
    if own and not (requests.arrival_slot >= round(history_s / here.slot_s)).any():
        raise InvalidParameter(f"{own.name}.time_s: wanted a request after the history of {history_s:g} s, got none")
    paths = candidates(topology, demand.source, demand.target, here.num_paths, here.most_hops)
    return Deployment(here, history_s, windows, topology, demand, requests, paths)


def trained_forecaster(
    deployment: Deployment,
    config: forecasts.Config,
    seed: int,
    *,
    start: forecasts.Forecaster | None = None,
    federation: Federation | None = None,
    announced: bool = True,
) -> forecasts.Forecaster:
    """A network fitted to the history alone.

    Args:
        start: one of another deployment, whose shared weights it begins with and keeps: pairs learn their own numbers.
        federation: how nodes average their updates; without one they train together.
        announced: whether it is to forecast announced batch jobs, too.
    """
    history = deployment.counts(config.bin_s, announced=announced)[:, : round(deployment.history_s / config.bin_s)]
    model = forecasts.new_forecaster(config, history, seed)
    if start is not None:
        with torch.no_grad():
            theirs = dict(start.named_parameters())
            for name, each in model.named_parameters():
                if name not in forecasts.PRIVATE:
                    each.copy_(theirs[name])
    if federation is not None:
        source = deployment.demand.source
        forecasts.fit_federated(model, history, source, deployment.topology.num_nodes, federation, seed)
    else:
        forecasts.fit(model, history, seed, only_private=start is not None)
    return model


def base_of(name: str) -> str:
    """A forecast without what is announced beside it; "none" if that is all."""
    return "none" if name == ANNOUNCED else name.removeprefix(f"{ANNOUNCED}+")


def with_announced(name: str) -> bool:
    """Whether announcements stand beside a forecast."""
    return name.startswith(ANNOUNCED)


def announcements(episode: Episode, name: str, ahead_s: float = AHEAD_S) -> Reals | None:
    """Pairs a second announced of each link, float64 (decisions, E); None where a forecast leaves them out."""
    return table(episode, of_jobs(episode, ahead_s)) if with_announced(name) else None


def pair_forecasts(
    deployment: Deployment, name: str, config: forecasts.Config, model: forecasts.Forecaster | None = None
) -> Reals:
    """What is expected of each pair at the end of every bin of the whole time, mean over the horizon, (P, T), 1/s.

    Args:
        name: of :data:`FORECASTS` but none; with what is announced beside it, announced jobs are left out.

    Raises:
        InvalidParameter: no forecast has that name, or there is no known truth.
    """
    beside, base = with_announced(name), base_of(name)
    if name not in FORECASTS or base == "none":
        raise InvalidParameter(f"forecast: wanted one of {', '.join(FORECASTS[1:])}, got {short(name)}")
    if base == "truth":
        if deployment.demand.steady:
            raise InvalidParameter("forecast: wanted another than truth, as nobody knows it of a user's own demand")
        rates = deployment.rates_hz(config.bin_s)
        if not beside:
            setting, demand = deployment.setting, deployment.demand
            rates = rates + (setting.job_hz * setting.job_pairs * demand.weight)[:, None]
        ahead = np.pad(rates, ((0, 0), (0, config.horizon)), mode="edge")
        sums = np.cumsum(np.pad(ahead, ((0, 0), (1, 0))), axis=1)
        length = rates.shape[1]
        return np.asarray((sums[:, 1 + config.horizon :][:, :length] - sums[:, 1 : 1 + length]) / config.horizon)
    counts = deployment.counts(config.bin_s, announced=not beside)
    if base == "gru":
        if model is None:
            raise InvalidParameter("forecast: wanted a trained network for gru, got none")
        return np.asarray(model.rates_hz(counts).mean(2))
    return np.asarray(forecasts.SIMPLE[base](counts, config.bin_s, config.horizon).mean(2))


def taken(deployment: Deployment, rule: Rule, window: int, physics_seed: int) -> Reals:
    """Part of each pair's requests that began on each of its candidates in an episode, float64 (P, paths).

    The first candidate counts for one request more: it is all that is known of a pair that did not ask.

    Args:
        window: of the episode; the one before the first is -1, if the history is as long.
    """
    run = play(deployment.episode(window, physics_seed), rule, record=1)
    found = np.zeros(deployment.paths.hops.shape)
    found[:, 0] = 1.0
    rows = run.state.decisions[: run.state.count[NUM_DECISIONS]]
    first = rows[(rows[:, D_SLOT] == run.plan.arrival[rows[:, D_REQUEST]]) & (rows[:, D_ACTION] >= 0)]
    request, path = first[:, D_REQUEST], first[:, D_ACTION] % run.plan.num_paths
    np.add.at(found, (run.plan.pair[request], path), run.plan.num_pairs[request])
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def link_forecasts(
    deployment: Deployment, of_pairs: Reals, bin_s: float, window: int, spread: Reals | None = None
) -> Reals:
    """Pairs a second expected of each link at each share decision of an episode, float64 (decisions, E).

    At a decision the newest whole bin is the last one seen.

    Args:
        of_pairs: from :func:`pair_forecasts`, (P, T).
        spread: part of each pair's requests that is expected on each of its candidates, (P, paths), as of
            :func:`taken`; all on the first if not given.
    """
    setting, paths = deployment.setting, deployment.paths
    every = setting.slots(setting.share_s)
    slots = deployment.begin_slot(window) + every * np.arange(setting.num_slots // every + 1)
    seen = np.minimum(slots // round(bin_s / setting.slot_s) - 1, of_pairs.shape[1] - 1)
    now = of_pairs[:, np.maximum(seen, 0)] * (seen >= 0)
    parts = np.eye(1, paths.hops.shape[1]).repeat(len(now), axis=0) if spread is None else spread
    pair, path, hop = np.nonzero((paths.links >= 0) & (parts > 0.0)[:, :, None])
    out = np.zeros((deployment.topology.num_links, len(slots)))
    np.add.at(out, paths.links[pair, path, hop], parts[pair, path, None] * now[pair])
    return np.ascontiguousarray(out.T)
