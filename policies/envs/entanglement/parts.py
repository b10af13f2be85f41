"""The smallest parts of the compiled loop: chance, records, what a request wants of links, what is known of both.

They repeat :mod:`policies.envs.entanglement.streams` and :mod:`~policies.envs.entanglement.physics` for numba; tests
hold the two equal.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from policies.envs.entanglement import streams
from policies.envs.entanglement.state import NUM_DECISIONS, TRACED

part = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True, _nrt=False)
"""Called from within alone: without a door for Python, and without counting references, since nothing is allocated."""

apart = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)
"""Called from within alone, and not put in its place: what takes long, and needs few arrays."""

STEP, ITEM, FIRST, SECOND, UNIT = streams.STEP, streams.ITEM, streams.FIRST, streams.SECOND, streams.UNIT
_30, _27, _31, _11 = (np.uint64(each) for each in (30, 27, 31, 11))


@part
def mixed(bits):
    """64 bits that depend on all of these."""
    bits = (bits ^ (bits >> _30)) * FIRST
    bits = (bits ^ (bits >> _27)) * SECOND
    return bits ^ (bits >> _31)


@part
def begun(plan, purpose, slot):
    """A stream's bits of a slot."""
    return mixed(plan.keys[purpose] + np.uint64(slot) * STEP)


@part
def drawn(bits, item):
    """A number in [0, 1) for an item."""
    return float(mixed(bits + np.uint64(item) * ITEM) >> _11) * UNIT


@part
def note(state, slot, request, kind, link, value):
    """An event, if events are kept."""
    if state.trace_value.size > 0:
        row = state.count[TRACED]
        state.trace[row, 0], state.trace[row, 1], state.trace[row, 2], state.trace[row, 3] = slot, request, kind, link
        state.trace_value[row] = value
        state.count[TRACED] = row + 1


@part
def write_down(plan, state, slot, request, action, log_prob, usable):
    """A decision, if decisions are kept."""
    row = state.count[NUM_DECISIONS]
    wrote = state.decisions[row]
    wrote[0], wrote[1], wrote[3], wrote[6] = slot, request, action, usable
    wrote[2] = plan.nodes[plan.pair[request], 0, 0]
    wrote[4], wrote[5] = state.blocked[request], state.harmed[request]
    state.log_prob[row] = log_prob
    state.count[NUM_DECISIONS] = row + 1


@part
def path_of(plan, action):
    """Path and rounds of an action that does not wait; most have no rounds, and a division costs more than all else."""
    if action < plan.num_paths:
        return action, 0
    return action % plan.num_paths, action // plan.num_paths


@part
def pair_of(plan, request):
    """Which pair of nodes a request is of, without a sign, as the indices of a plan."""
    return np.uint64(plan.pair[request])


@part
def way(plan, state, request):
    """Pair, path, rounds and hops of a request that does not wait."""
    pair = pair_of(plan, request)
    path, rounds = path_of(plan, state.choice[request])
    return pair, path, rounds, plan.hops[pair, path]


@part
def want(plan, state, request, sign):
    """Add what a request wants of the links of its path to their queues, or take it away."""
    if state.choice[request] >= 0:
        pair, path, rounds, hops = way(plan, state, request)
        pairs = sign * state.left[request] * (rounds + 1)
        for hop in range(hops):
            state.queue[plan.links[pair, path, hop]] += pairs


@part
def turn_to(plan, state, slot, request, action):
    """A request's action from now on."""
    for sign in (-1, 1):
        if sign > 0:
            state.choice[request] = action
        want(plan, state, request, sign)
    if slot == plan.arrival[request] and action >= 0:
        pair, path, _, hops = way(plan, state, request)
        for hop in range(hops):
            state.joined[plan.links[pair, path, hop]] += state.left[request]


@part
def power(base, times):
    """By multiplication, so that it is the same number everywhere."""
    found = 1.0
    for _ in range(times):
        found *= base
    return found


@part
def token_news(plan, state, slot, node, hop):
    """Swap tokens of a node so many hops away."""
    old = plan.delay[hop]
    if old == 0:
        return state.tokens[node]
    return float(state.token_log[max(0, slot - old) % state.stocks.shape[0], node])


@part
def expected(plan, state, rule, slot, link):
    """Demand for a link in pairs/s: forecast, or its running mean, and what is announced."""
    usual = state.ewma[link]
    if rule.forecast.shape[0] > 0:
        usual = rule.forecast[min(slot // plan.share_every, rule.forecast.shape[0] - 1), link]
    if rule.announced.shape[0] > 0:
        usual += rule.announced[min(slot // plan.share_every, rule.announced.shape[0] - 1), link]
    return usual
