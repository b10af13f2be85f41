"""A controller in the middle that decides for everybody, every period, from news that is old by the time it counts.

At tick k T_c it decides on what the network was a delay earlier, and is heard a delay later: what is in force is
between 2 τ and 2 τ + T_c old. Between, new requests do what the style says. All is ours (the paper says no more than "a
centralised resource allocation algorithm"); paths, shares, waiting and back-off are those that local policies have, in
the same execution layer.

| style | paths | shares | a new request |
|---|---|---|---|
| central_full | joint | backlog rule on the news | takes its first path until told |
| central_grant | joint | backlog rule on the news | waits for its grant |
| central_hybrid | joint | local rule at each node, fresh | takes its first path until told |
| central_static | joint | uniform | takes its first path until told |
| te | split ratios of the fluid LP at estimated demand | of the LP | takes a path by those ratios |
| qprimaldual | split ratios of QPrimalDual's rates | of its prices | takes a path by those ratios |
| greedy_oracle | joint, only what is ready, every slot | backlog rule, every slot | waits |
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse.csgraph import dijkstra

from circuits.errors import DependencyNotInstalled, InvalidParameter
from circuits.parameters import short
from policies.envs.entanglement import play, state
from policies.envs.entanglement.episode import Episode
from policies.envs.entanglement.topology import Reals, Topology, Wholes

RATES_S = 5.0
"""Shortest period of controllers of rates (ours): an LP takes tens of milliseconds."""


class Known(NamedTuple):
    """What a controller knows: copies, as of ``slot``.

    Attributes:
        stock: pairs of each link, int64 (E,).   tokens: swaps that nodes can do at once, float64 (N,).
        rate: pairs/s of each link, float64 (E,).   up: 0 where a link is down, float64 (E,).
        births: slots in which held pairs were made, oldest first, int32 (E, M).
        pending: requests in order of deadline, int64 (Q,).   left: pairs that they still want, int64 (Q,).
        choice: action of every request that has come until now, int64 (A,).
    """

    slot: int
    stock: Wholes
    tokens: Reals
    rate: Reals
    up: Reals
    births: Any
    pending: Wholes
    left: Wholes
    choice: Wholes


@dataclass(frozen=True, eq=False)
class Decision:
    """What a controller says.

    Attributes:
        requests, actions: whom it tells what, int64 (Q,) each.   shares: of all nodes, or None.
        split: part of each pair's requests that takes each candidate, float64 (P, K), for those to come; or None.
    """

    requests: Wholes
    actions: Wholes
    shares: Reals | None = None
    split: Reals | None = None


Decide = Callable[[Known], Decision]


@dataclass(frozen=True)
class Style:
    """A kind of controller.

    Attributes:
        start: gives what decides during a run.   share: rule of shares within the loop.   until_told: action of a
            request that has not been told any.   oracle: whether it decides in every slot at once, whatever is asked.
        least_period_s: shorter periods are lengthened to it: rates of demand are nothing to decide on every slot.
    """

    start: Callable[[play.Run], Decide]
    share: int = state.S_FIXED
    until_told: int = 0
    oracle: bool = False
    least_period_s: float = 0.0


@dataclass(frozen=True, eq=False)
class Controlled:
    """A run and how its controller fared.

    Attributes:
        told: slot of the news and slot from which the decision was in force, int64 (D, 2).
        solve_s: wall time of each decision, float64 (D,).
    """

    run: play.Run
    told: Wholes
    solve_s: Reals


@dataclass(eq=False)
class _Office:
    """The controller at work."""

    run: play.Run
    decide: Decide
    wanted: Wholes
    luck: Reals
    coming: deque[tuple[int, Decision]] = field(default_factory=deque)
    told: list[tuple[int, int]] = field(default_factory=list)
    solve_s: list[float] = field(default_factory=list)

    def think(self, delay: int) -> None:
        """Decide on what is now, to be in force two delays later."""
        known = observe(self.run)
        begun = time.perf_counter()
        decision = self.decide(known)
        self.solve_s.append(time.perf_counter() - begun)
        self.told.append((known.slot, known.slot + 2 * delay))
        self.coming.append((known.slot + 2 * delay, decision))

    def speak(self) -> tuple[Wholes | None, Reals | None]:
        """Choice and shares from now on; None where nothing changes."""
        if not self.coming or self.coming[0][0] > self.run.slot:
            return None, None
        decision = self.coming.popleft()[1]
        self.wanted[decision.requests] = decision.actions
        if decision.split is not None:
            later = np.flatnonzero(self.run.plan.arrival >= self.run.slot)
            steps = np.cumsum(decision.split[self.run.plan.pair[later]], axis=1)
            chosen = (self.luck[later, None] * steps[:, -1:] >= steps).sum(axis=1)
            self.wanted[later] = np.minimum(chosen, steps.shape[1] - 1)
        return self.wanted, decision.shares


def control(
    episode: Episode,
    style: str,
    *,
    delay_s: float = 0.0,
    period_s: float = 1.0,
    hold: int = 1,
    record: int = 0,
    trace: bool = False,
    pull: Reals | None = None,
    tell: Callable[[int], None] | None = None,
) -> Controlled:
    """Play an episode under a controller.

    Args:
        style: one of :data:`STYLES`.   delay_s: τ, of news to the controller and of what it says.
        period_s: T_c, between decisions.   hold: back-off; a request probes in a slot with probability 1/hold.
        record, trace: as in :func:`policies.envs.entanglement.play.begin`.   tell: called with the slot now and then.
        pull: weights of pulls, for nodes that set their shares themselves, instead of the hand rule.

    Raises:
        InvalidParameter: no such style, or a number is out of its range.
    """
    if style not in STYLES:
        raise InvalidParameter(f"style: wanted one of {', '.join(STYLES)}, got {short(style)}")
    found, slot_s = STYLES[style], episode.setting.slot_s
    for name, value, least in (("delay_s", delay_s, 0.0), ("period_s", period_s, slot_s), ("hold", hold, 1)):
        if not least <= value < math.inf:
            raise InvalidParameter(f"{name}: wanted a finite number of at least {least:g}, got {value:g}")
    delay, period = (
        (0, 1)
        if found.oracle
        else (round(delay_s / slot_s), episode.setting.slots(max(period_s, found.least_period_s)))
    )
    share = state.S_PULL if pull is not None and found.share == state.S_LOCAL else found.share
    rule = state.rule(state.FIXED, share, hold=hold, pull=pull)
    run = play.begin(episode, rule, record=record, trace=trace)
    luck = np.random.default_rng((74, episode.setting.physics_seed)).random(episode.requests.num)
    wanted = np.full(episode.requests.num, found.until_told, dtype=np.int64)
    office = _Office(run, found.start(run), wanted, luck)
    play.advance(run, 0, choice=wanted)
    look = -(-delay // period) * period - delay
    while run.slot < run.num_slots:
        if run.slot == look:
            if not episode.faults.out("controller", look + delay):
                office.think(delay)
            look += period
        choice, shares = office.speak()
        until = min(look, office.coming[0][0] if office.coming else look, run.num_slots)
        play.advance(run, until, choice=choice, shares=shares)
        if tell:
            tell(run.slot)
    return Controlled(run, np.array(office.told, dtype=np.int64).reshape(-1, 2), np.array(office.solve_s))


def observe(run: play.Run) -> Known:
    """What there is to know now, copied."""
    now = run.state
    pending = now.pending[: now.count[state.NUM_PENDING]].copy()
    return Known(
        slot=run.slot,
        stock=now.stock.copy(),
        tokens=now.tokens.copy(),
        rate=now.rate.copy(),
        up=(now.down == 0).astype(np.float64),
        births=now.births.copy(),
        pending=pending,
        left=now.left[pending],
        choice=now.choice[: now.count[state.ARRIVED]].copy(),
    )


def hop_delay_s(topology: Topology, delay_s: float) -> float:
    """Delay of news for each hop at which it takes ``delay_s`` in the mean to the graph's centre, and from it."""
    hops = dijkstra(topology.graph(), unweighted=True)
    mean = float(hops.mean(axis=1).min())
    return delay_s / mean


@dataclass(eq=False)
class _Joint:
    """Paths one request after the other, and the rule of local shares on the news.

    Attributes:
        shares: whether the centre says them.   only_ready: whether requests wait for what is there now.
        usual: mean demand of each link in pairs/s, float64 (E,); ``until`` slot and request it has come to.
    """

    run: play.Run
    kernel: Any
    shares: bool
    only_ready: bool
    usual: Reals
    until: tuple[int, int] = (0, 0)

    def __call__(self, known: Known) -> Decision:
        topology = self.run.episode.topology
        actions = np.empty(known.pending.size, dtype=np.int64)
        claimed, taken = np.zeros(topology.num_links), np.zeros(topology.num_nodes)
        self.kernel.assign(self.run.plan, known, self.only_ready, actions, claimed, taken)
        if not self.shares:
            return Decision(known.pending, actions)
        choice = known.choice.copy()
        choice[known.pending] = np.where(actions >= 0, actions, choice[known.pending])
        if self.only_ready:  # who waits wants pairs, too
            choice = np.maximum(choice, 0)
            claimed = self._on_links(known.pending, choice[known.pending])
        self._hear(known.slot, choice)
        return Decision(known.pending, actions, self._shares(known, claimed))

    def _on_links(self, requests: Wholes, actions: Wholes) -> Reals:
        """Pairs that requests want of links, float64 (E,)."""
        plan, chosen = self.run.plan, actions >= 0
        who, how = requests[chosen], actions[chosen]
        links = self.run.episode.paths.links[plan.pair[who], how % plan.num_paths]
        pairs = np.broadcast_to((plan.num_pairs[who] * (how // plan.num_paths + 1))[:, None], links.shape)
        return np.bincount(links[links >= 0], pairs[links >= 0], self.usual.size).astype(np.float64)

    def _hear(self, slot: int, choice: Wholes) -> None:
        """Requests that came since the last news, as a running mean of demand."""
        span_s = (slot - self.until[0]) * self.run.plan.slot_s
        if span_s > 0.0:
            keep = math.exp(-span_s / self.run.episode.setting.memory_s)
            new = np.arange(self.until[1], choice.size)
            self.usual = keep * self.usual + (1.0 - keep) * self._on_links(new, choice[new]) / span_s
            self.until = (slot, choice.size)

    def _shares(self, known: Known, wanted: Reals) -> Reals:
        """Shares x ~ [3 max(0, wanted - stock) + usual + eps]/eta, a quarter of it where memories are full."""
        topology = self.run.episode.topology
        wish = state.SHORTAGE * np.maximum(wanted - known.stock, 0.0) + self.usual + state.LEAST_DEMAND
        wish = known.up * np.where(known.stock >= self.run.plan.memories, state.FULL, 1.0) * wish
        parts = (wish / np.maximum(topology.transmission, 1e-9))[topology.incident]
        total = np.add.reduceat(parts, topology.first[:-1])[topology.owner]
        shares: Reals = np.where(total > 0.0, parts / np.where(total > 0.0, total, 1.0), topology.uniform_shares())
        return shares


def _joint(run: play.Run, *, shares: bool = True, only_ready: bool = False) -> Decide:
    return _Joint(run, _kernel(), shares, only_ready, np.zeros(run.episode.topology.num_links))


def _paths_alone(run: play.Run) -> Decide:
    return _joint(run, shares=False)


def _oracle(run: play.Run) -> Decide:
    return _joint(run, only_ready=True)


def _traffic(name: str) -> Callable[[play.Run], Decide]:
    def start(run: play.Run) -> Decide:
        from policies.allocators import traffic

        decide: Decide = getattr(traffic, name)(run)
        return decide

    return start


STYLES: dict[str, Style] = {
    "central_full": Style(_joint),
    "central_grant": Style(_joint, until_told=state.WAIT),
    "central_hybrid": Style(_paths_alone, share=state.S_LOCAL),
    "central_static": Style(_paths_alone, share=state.S_UNIFORM),
    "te": Style(_traffic("engineered"), least_period_s=RATES_S),
    "qprimaldual": Style(_traffic("primal_dual"), least_period_s=RATES_S),
    "greedy_oracle": Style(_oracle, until_told=state.WAIT, oracle=True),
}
"""By name; see the table above."""


def _kernel() -> Any:
    try:
        from policies.allocators import joint_paths
    except ModuleNotFoundError as error:
        if error.name != "numba":
            raise
        raise DependencyNotInstalled("a central controller", "numba", "sparse") from error
    return joint_paths
