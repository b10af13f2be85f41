"""What a run is made of, as arrays: what stays (Plan), what changes (State), who decides (Rule).

Order of a slot: path decisions, share decisions | tokens, generation, probes | faults, ages, deadlines and arrivals of
the next slot. After ``play.advance`` to slot t the state is that which decisions of slot t see.

An action is a number: -1 waits, otherwise path ``a % K`` with ``a // K`` rounds of purification on each of its links.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from circuits.errors import InvalidParameter
from circuits.parameters import short
from policies.envs.entanglement.episode import Episode
from policies.envs.entanglement.physics import pumped
from policies.envs.entanglement.streams import NUM_STREAMS, key
from policies.envs.entanglement.topology import Reals
from policies.envs.qnum.werner import werner

WAIT = -1
FIXED, SHORTEST, RANDOM, LOCAL, SCORING, REPLAYED = range(6)
"""Path rules: as told from outside; first candidate; any; the hand rule; a scoring net; as recorded."""
S_FIXED, S_UNIFORM, S_LOCAL, S_LEARNED, S_REPLAYED, S_PULL = range(6)
"""Share rules: as told from outside; 1/degree; the hand rule; the hand rule with a learned correction; as recorded;
pulls of requests with learned weights."""
FUTURE, PENDING, DELIVERED, EXPIRED = range(4)
"""Status of a request."""
SLOT, ARRIVED, NUM_PENDING, CHANGED, NUM_DECISIONS, NUM_SHARES, TRACED, TOLD, READ, READ_SHARES = range(10)
"""Of ``State.count``: slot; requests that have come; those that wait; faults that have happened; rows of the records;
told: whether shares have come from outside; rows that a replay has read."""
FEATURES = 2
"""Of ``Plan.record``: 0 nothing, 1 (decisions and shares), 2 (and their features)."""
MADE, OVERFLOWN, AGED, USED, BURNT, PURIFIED, LOST = range(7)
PROBES, ABLE, BLOCKED, CLAIMED, CONTENDED = range(7, 12)
NUM_TALLIES = 12
"""Of ``State.tally``: pairs of links made, dropped for newer ones, too old, delivered end to end, burnt by swaps or
purification that failed, spent on purification, lost to faults; probes, those that could succeed alone, those of them
that others blocked; (slot, link) with a claim, with two or more."""
ARRIVE, DELIVER, BLOCK, SWAP_FAIL, PURIFY_FAIL, EXPIRE, SHORT = range(7)
"""Kinds of events in a trace; SHORT: a probe that could not succeed even alone."""
T_SLOT, T_REQUEST, T_KIND, T_LINK = range(4)
D_SLOT, D_REQUEST, D_NODE, D_ACTION, D_BLOCKED, D_HARMED, D_USABLE = range(7)
"""Columns of recorded decisions; blocked and harmed are the request's counts until then, usable a bit an action."""
NUM_PATH_FEATURES, NUM_SHARE_FEATURES = 14, 9
LEAST_HZ, HOP_S = 0.05, 0.5
"""Of the hand rule for paths: least rate that a link is taken to have; what a hop counts, in seconds (ours)."""
SHORTAGE, LEAST_DEMAND, FULL = 3.0, 0.02, 0.25
"""Of the hand rule for shares: a missing pair counts as so many pairs/s, every link as wanted by so many at least, and
one whose memories are full by this factor (form and first number second-hand, of a study; the others ours)."""

NUM_PULL_FEATURES, PULL_MOST = 11, 20.0
"""What a link knows of a request that waits there; the logarithm of a pull is at most so far from 0."""
PULL_SHORT, PULL_HAS, NUM_PULL_ROWS = range(NUM_PULL_FEATURES, NUM_PULL_FEATURES + 3)
PULLS_AT_ONCE = 256
"""Of the scratch of pulls: features, then the pull of a request that is short of a pair, and of one that has it."""
NOTHING = -1e9
"""Logarithm of the weight of a link that is down."""
PULL_DEMAND, PULL_LEAST, PULL_POWER, PULL_ETA, PULL_FULL, PULL_STOCK, PULL_AGE = range(22, 29)
PULL_MAKES, PULL_MADE, PULL_OTHERS, NUM_PULLS = range(29, 33)
"""Of the weights of pulls, after those of a request that is short of a pair and of one that has it; see SPEC.md."""
HAND_PULLS = (0, PULL_DEMAND, PULL_LEAST, PULL_ETA, PULL_FULL)
"""Those that the hand rule has too: its constants."""


class Plan(NamedTuple):
    """What stays during an episode.

    ``incident``, ``place``, ``twin``, ``links`` and ``nodes`` are uint64: an index with a sign is looked at each time
    whether it counts from behind, which took 6 % of a slot. Where there is no link they hold no index.
    """

    num_slots: int
    slot_s: float
    memories: int
    cutoff: int
    decay: float  # of log w, a slot
    log_visibility: float
    swap_success: float
    most_rounds: int
    num_paths: int
    decide: int
    share_every: int
    record: int
    keep: float  # of a link's mean demand, at a share decision
    delay: Any  # slots that news of a link j hops away is old, (H + 2,)
    keys: Any  # of the streams, uint64
    ends: Any
    first: Any
    incident: Any
    place: Any
    eta: Any
    generation_hz: Any
    log_eta: Any
    makes: Any  # pairs/s that the node of a share can make, (2 E,)
    log_makes: Any  # logarithm of that over what both ends can, with 0.1/s more each, (2 E,)
    twin: Any  # share of the same link at its other end, (2 E,)
    swap_hz: Any
    log_w: Any  # of fresh pairs, (E,)
    length_km: Any
    links: Any
    nodes: Any
    hops: Any
    log_fresh: Any  # end to end from fresh pairs, by rounds, (P, K, rounds + 1)
    arrival: Any
    pair: Any
    num_pairs: Any
    log_min: Any
    deadline: Any
    events: Any


class State(NamedTuple):
    """What changes; everything is an array, so that the kernel changes it in place.

    Attributes:
        count, tally: see the names above.   births: slots in which held pairs were made, oldest first, int32 (E, M).
        stock: pairs held, int64 (E,).   queue: pairs that pending requests still want of a link, int64 (E,).
        tokens: swaps that a node can do now, float64 (N,).   shares: float64 (2 E,).   rate: pairs/s, float64 (E,).
        weight: of the hand rule for shares.   down, node_down: number of faults that hold, int64.
        ewma: mean demand of a link in pairs/s, float64 (E,).   joined: pairs newly wanted of it since then.
        pending: requests in order of deadline, the first ``count[NUM_PENDING]``.   choice: action of each request,
        int64 (R,).   wanted: action that rule FIXED gives it.   left, status, done_slot, blocked, harmed: int64 (R,).
        decide_slot: when its path is next reconsidered.   fidelity: sum over its delivered pairs, float64 (R,).
        stocks, queues (uint8), token_log, rates (float32), newest (slot of the freshest pair): ring of the last slots
        for delayed news, (D, E) or (D, N).
        ahead, pulled, pulls, ages, rows: scratch of pulls: pairs wanted before, int64 (E,); features and strengths,
        float64 (13, 256); links, pairs wanted and lacking of the same, int64 (3, 256); of a path's links, float64
        (most hops,); of links or shares, float64 (3, 2 E).
        claims, locked, token_locked, holder, token_holder, own, lucky (uint64), able: scratch of a slot.
        seen, scores: of a decision.
        decisions, log_prob, features; share_slot, share_log, share_features, share_noise; trace, trace_value: records.
    """

    count: Any
    tally: Any
    births: Any
    stock: Any
    queue: Any
    tokens: Any
    shares: Any
    rate: Any
    weight: Any
    down: Any
    node_down: Any
    ewma: Any
    joined: Any
    pending: Any
    choice: Any
    wanted: Any
    left: Any
    status: Any
    done_slot: Any
    blocked: Any
    harmed: Any
    decide_slot: Any
    fidelity: Any
    stocks: Any
    queues: Any
    token_log: Any
    rates: Any
    newest: Any
    claims: Any
    locked: Any
    token_locked: Any
    holder: Any
    token_holder: Any
    own: Any
    lucky: Any
    ahead: Any
    pulled: Any
    pulls: Any
    ages: Any
    rows: Any
    able: Any
    seen: Any
    scores: Any
    decisions: Any
    log_prob: Any
    features: Any
    share_slot: Any
    share_log: Any
    share_features: Any
    share_noise: Any
    trace: Any
    trace_value: Any


class Head(NamedTuple):
    """A scoring net x -> relu(x w1 + b1) -> relu(. w2 + b2) -> . w3 + b3 in float32, for A agents: one for all, or N.

    Shapes (A, F, H1), (A, H1), (A, H1, H2), (A, H2), (A, H2), (A,); without a second layer H2 = 0 and w3 is (A, H1).
    """

    w1: Any
    b1: Any
    w2: Any
    b2: Any
    w3: Any
    b3: Any
    one: Any  # scratch, (H1,)
    two: Any  # scratch, (H2,)


class Rule(NamedTuple):
    """Who decides, within the compiled loop.

    Attributes:
        path, share: which rules.   hold: a pending request probes in a slot with probability 1/hold (back-off).
        greedy: whether the best action is taken and not a drawn one.   noise: standard deviation of a learned share's
            logit.   forecast: pairs/s expected of each link at each share decision, float64 (decisions, E), instead of
            the running mean; none if it has no rows.   announced: pairs/s beside these, float64 (decisions, E), or no
            rows.   path_head, share_head: nets.   pull: weights of S_PULL, (32,).
    """

    path: int
    share: int
    hold: int
    greedy: bool
    noise: float
    forecast: Any
    announced: Any
    path_head: Head
    share_head: Head
    pull: Any


def hand_pulls() -> Reals:
    """Weights of pulls that do almost as the hand rule for shares: who has a pair does not pull, or 1/400 as much."""
    found = np.zeros(NUM_PULLS)
    found[0], found[NUM_PULL_FEATURES] = np.log(SHORTAGE), np.log(SHORTAGE) - 6.0
    found[PULL_LEAST], found[PULL_POWER], found[PULL_ETA], found[PULL_FULL] = (
        np.log(LEAST_DEMAND),
        1.0,
        -1.0,
        np.log(FULL),
    )
    return found


def head(num_features: int, hidden: tuple[int, int] = (8, 0), num_agents: int = 1) -> Head:
    """A net of zeros: every action scores the same."""
    one, two = hidden
    shapes = ((num_features, one), (one,), (one, two), (two,), (two or one,), ())
    return head_of(*(np.zeros((num_agents, *shape), dtype=np.float32) for shape in shapes))


def head_of(*weights: Any) -> Head:
    """A net from its six arrays w1, b1, w2, b2, w3, b3; see :class:`Head`."""
    w1, b1, w2, b2, w3, b3 = (np.ascontiguousarray(each, dtype=np.float32) for each in weights)
    return Head(w1, b1, w2, b2, w3, b3, *(np.zeros(size, np.float32) for size in (w1.shape[2], b2.shape[1])))


def rule(
    path: int = FIXED,
    share: int = S_FIXED,
    *,
    hold: int = 1,
    greedy: bool = True,
    noise: float = 0.0,
    forecast: Reals | None = None,
    announced: Reals | None = None,
    path_head: Head | None = None,
    share_head: Head | None = None,
    pull: Reals | None = None,
) -> Rule:
    """A rule with nothing left open; see :class:`Rule`."""
    return Rule(
        path,
        share,
        hold,
        greedy,
        noise,
        _rows(forecast),
        _rows(announced),
        path_head or head(NUM_PATH_FEATURES),
        share_head or head(NUM_SHARE_FEATURES),
        hand_pulls() if pull is None else np.ascontiguousarray(pull, dtype=np.float64),
    )


def _rows(expected: Reals | None) -> Any:
    """Of a table of links; none, where there is no table."""
    return np.zeros((0, 1)) if expected is None else np.ascontiguousarray(expected, dtype=np.float64)


def plan(episode: Episode, record: int = 0) -> Plan:
    """What of an episode the loop needs.

    Args:
        record: 0 nothing, 1 decisions and shares (for replay), 2 their features too (for training).
    """
    setting, topology, paths, requests = episode.setting, episode.topology, episode.paths, episode.requests
    hop_slots = setting.hop_delay_s / setting.slot_s
    log_w = np.log(np.maximum(werner(topology.fidelity), 1e-12))
    makes, twin = np.repeat(topology.generation_hz, np.diff(topology.first)), np.empty_like(topology.incident)
    twin[topology.place] = topology.place[:, ::-1]
    return Plan(
        num_slots=setting.num_slots,
        slot_s=setting.slot_s,
        memories=setting.memories,
        cutoff=setting.cutoff_slots,
        decay=setting.slot_s / setting.coherence_s,
        log_visibility=float(np.log(setting.swap_visibility)),
        swap_success=setting.swap_success,
        most_rounds=setting.most_rounds,
        num_paths=paths.hops.shape[1],
        decide=setting.slots(setting.decide_s),
        share_every=setting.slots(setting.share_s),
        record=record,
        keep=float(np.exp(-setting.slots(setting.share_s) * setting.slot_s / setting.memory_s)),
        delay=np.ceil(np.arange(paths.links.shape[2] + 2) * hop_slots - 1e-9).astype(np.int64),
        keys=np.array([key(setting.physics_seed, each) for each in range(NUM_STREAMS)]),
        ends=topology.ends,
        first=topology.first,
        incident=topology.incident.astype(np.uint64),
        place=topology.place.astype(np.uint64),
        eta=topology.transmission,
        generation_hz=topology.generation_hz,
        log_eta=np.log(np.maximum(topology.transmission, 1e-9)),
        makes=makes,
        log_makes=np.log((makes + 0.1) / (makes + makes[twin] + 0.2)),
        twin=twin.astype(np.uint64),
        swap_hz=topology.swap_hz,
        log_w=log_w,
        length_km=topology.length_km,
        links=paths.links.astype(np.uint64),
        nodes=paths.nodes.astype(np.uint64),
        hops=paths.hops.astype(np.int64),
        log_fresh=_log_fresh(episode, log_w),
        arrival=requests.arrival_slot,
        pair=requests.pair,
        num_pairs=requests.num_pairs,
        log_min=np.log(np.maximum(werner(requests.min_fidelity), 1e-300)),
        deadline=requests.deadline_slot,
        events=episode.faults.events(),
    )


def _log_fresh(episode: Episode, log_w: Reals) -> Reals:
    """Logarithm of w end to end from fresh pairs, by path and rounds; of what is no path: minus infinity."""
    setting, paths = episode.setting, episode.paths
    found = np.full((*paths.hops.shape, setting.most_rounds + 1), -np.inf)
    w = np.exp(log_w)
    for rounds in range(setting.most_rounds + 1):
        of_link = np.append(np.log(np.maximum(pumped(w, rounds), 1e-300)), 0.0)
        total = of_link[paths.links].sum(axis=-1) + (paths.hops - 1) * np.log(setting.swap_visibility)
        found[..., rounds] = np.where(paths.hops > 0, total, -np.inf)
    return found


def blank(episode: Episode, given: Plan, trace: int = 0) -> State:
    """Everything before the first slot: empty memories, full token buckets, uniform shares, nobody there.

    Args:
        trace: events that there is room for at once.
    """
    topology, num = episode.topology, episode.requests.num
    num_links, num_nodes, depth = topology.num_links, topology.num_nodes, int(given.delay[-1]) + 1
    shares = topology.uniform_shares()
    life = np.minimum(given.deadline, given.num_slots) - given.arrival
    rows = int((np.maximum(life, 0) // given.decide + 2).sum()) if given.record else 0
    epochs = (given.num_slots - 1) // given.share_every + 3 if given.record else 0
    full = given.record == FEATURES
    actions = given.num_paths * (given.most_rounds + 1) + 1
    whole, real = np.int64, np.float64
    return State(
        count=np.array([-1, 0, 0, 0, 0, 0, 0, 1, 0, 0], whole),
        tally=np.zeros(NUM_TALLIES, whole),
        births=np.zeros((num_links, given.memories), np.int32),
        stock=np.zeros(num_links, whole),
        queue=np.zeros(num_links, whole),
        tokens=np.maximum(1.0, topology.swap_hz),
        shares=shares,
        rate=topology.link_rates(shares),
        weight=np.zeros(num_links, real),
        down=np.zeros(num_links, whole),
        node_down=np.zeros(num_nodes, whole),
        ewma=np.zeros(num_links, real),
        joined=np.zeros(num_links, whole),
        pending=np.zeros(num + 1, whole),
        choice=np.full(num, WAIT, whole),
        wanted=np.zeros(num, whole),
        left=given.num_pairs.astype(whole),
        status=np.full(num, FUTURE, whole),
        done_slot=np.full(num, -1, whole),
        blocked=np.zeros(num, whole),
        harmed=np.zeros(num, whole),
        decide_slot=np.zeros(num, whole),
        fidelity=np.zeros(num, real),
        stocks=np.zeros((depth, num_links), np.uint8),
        queues=np.zeros((depth, num_links), np.uint8),
        token_log=np.zeros((depth, num_nodes), np.float32),
        rates=np.zeros((depth, num_links), np.float32),
        newest=np.zeros((depth, num_links), np.int32),
        claims=np.zeros(num_links, whole),
        locked=np.zeros(num_links, whole),
        token_locked=np.zeros(num_nodes, whole),
        holder=np.full(num_links, -1, whole),
        token_holder=np.full(num_nodes, -1, whole),
        own=np.zeros(num_links, whole),
        lucky=np.zeros(num_links, np.uint64),
        ahead=np.zeros(num_links, whole),
        pulled=np.zeros((NUM_PULL_ROWS, PULLS_AT_ONCE), real),
        pulls=np.zeros((3, PULLS_AT_ONCE), whole),
        ages=np.zeros(given.links.shape[2], real),
        rows=np.zeros((3, 2 * num_links), real),
        able=np.zeros(num + 1, whole),
        seen=np.zeros((actions, NUM_PATH_FEATURES), np.float32),
        scores=np.zeros(actions, real),
        decisions=np.zeros((rows, 7), whole),
        log_prob=np.zeros(rows, real),
        features=np.zeros((rows if full else 0, actions, NUM_PATH_FEATURES), np.float32),
        share_slot=np.zeros(epochs, whole),
        share_log=np.zeros((epochs, 2 * num_links), real),
        share_features=np.zeros((epochs if full else 0, 2 * num_links, NUM_SHARE_FEATURES), np.float32),
        share_noise=np.zeros((epochs if full else 0, 2 * num_links), np.float32),
        trace=np.zeros((trace, 4), whole),
        trace_value=np.zeros(trace, real),
    )


LOCALS: dict[str, tuple[int, int]] = {
    "static": (SHORTEST, S_UNIFORM),
    "shortest": (SHORTEST, S_LOCAL),
    "random": (RANDOM, S_LOCAL),
    "local": (LOCAL, S_LOCAL),
}
"""Policies that need nothing but hand rules, by name: path and share rule."""


def local(name: str, **more: Any) -> Rule:
    """A policy of :data:`LOCALS` by name; ``more`` as for :func:`rule`.

    Raises:
        InvalidParameter: there is no such policy.
    """
    if name not in LOCALS:
        raise InvalidParameter(f"policy: wanted one of {', '.join(LOCALS)}, got {short(name)}")
    return rule(*LOCALS[name], **more)
