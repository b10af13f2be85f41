"""The compiled loop over slots: links make pairs, requests come and go, faults happen.

The same as :mod:`policies.envs.entanglement.reference`, number by number. Decisions are in
:mod:`~policies.envs.entanglement.rules`, the execution layer in :mod:`~policies.envs.entanglement.probing`.
"""

from __future__ import annotations

import hashlib
from math import exp
from pathlib import Path
from typing import Any

from numba import njit

from policies.envs.entanglement import elementary, layers, parts, probing, pull, rules, state, streams
from policies.envs.entanglement.faults import NODE
from policies.envs.entanglement.parts import begun, drawn, note, part, want
from policies.envs.entanglement.probing import execute
from policies.envs.entanglement.rules import decide_paths, decide_shares
from policies.envs.entanglement.state import (
    AGED,
    ARRIVE,
    ARRIVED,
    CHANGED,
    EXPIRE,
    EXPIRED,
    FUTURE,
    LOST,
    MADE,
    NUM_DECISIONS,
    NUM_PENDING,
    NUM_SHARES,
    OVERFLOWN,
    PENDING,
    SLOT,
    TRACED,
)
from policies.envs.entanglement.streams import GENERATION


@part
def fall(state, link, change):
    """One more, or one fewer, reason why a link is down; what it holds is lost."""
    state.down[link] += change
    if change > 0:
        state.tally[LOST] += state.stock[link]
        state.stock[link] = 0


@part
def break_down(given, state, slot):
    """Faults of a slot; a node's take its links along."""
    changed = state.count[CHANGED]
    while state.count[CHANGED] < given.events.shape[0] and given.events[state.count[CHANGED], 0] <= slot:
        _, kind, who, change = given.events[state.count[CHANGED]]
        state.count[CHANGED] += 1
        if kind == NODE:
            state.node_down[who] += change
            for place in range(given.first[who], given.first[who + 1]):
                fall(state, given.incident[place], change)
        else:
            fall(state, who, change)
    if state.count[CHANGED] > changed:
        set_rates(given, state)


@part
def set_rates(given, state):
    """What links make with the present shares."""
    made = state.rows[0]
    for place in range(state.shares.size):
        made[place] = given.makes[place] * state.shares[place]
    for link in range(given.eta.size):
        rate = given.eta[link] * (made[given.place[link, 0]] + made[given.place[link, 1]])
        state.rate[link] = rate if state.down[link] == 0 else 0.0


@part
def age(given, state, slot):
    """Pairs that are older than the cutoff are dropped."""
    for link in range(state.stock.size):
        old, num = 0, state.stock[link]
        while old < num and slot - state.births[link, old] > given.cutoff:
            old += 1
        if old > 0:
            for place in range(old, num):
                state.births[link, place - old] = state.births[link, place]
            state.stock[link] = num - old
            state.tally[AGED] += old


@part
def expire(given, state, slot):
    """Requests whose time is over, and those that are served, leave."""
    kept = 0
    for place in range(state.count[NUM_PENDING]):
        request = state.pending[place]
        if state.status[request] == PENDING and given.deadline[request] <= slot:
            want(given, state, request, -1)
            state.status[request], state.done_slot[request] = EXPIRED, slot
            note(state, slot, request, EXPIRE, -1, 0.0)
        if state.status[request] == PENDING:
            state.pending[kept] = request
            kept += 1
    state.count[NUM_PENDING] = kept


@part
def arrive(given, state, slot):
    """New requests take their places in the order of deadlines."""
    request = state.count[ARRIVED]
    while request < given.arrival.size and given.arrival[request] <= slot:
        if state.status[request] != FUTURE:  # a guest, who is in already
            request += 1
            continue
        place = state.count[NUM_PENDING]
        while place > 0 and given.deadline[state.pending[place - 1]] > given.deadline[request]:
            state.pending[place] = state.pending[place - 1]
            place -= 1
        state.pending[place] = request
        state.count[NUM_PENDING] += 1
        state.status[request], state.decide_slot[request] = PENDING, slot
        note(state, slot, request, ARRIVE, -1, 0.0)
        request += 1
    state.count[ARRIVED] = request


@part
def refill(given, state):
    """Swap tokens: a bucket that holds what comes in a second, at least one."""
    for node in range(state.tokens.size):
        if state.node_down[node] == 0:
            most = max(1.0, given.swap_hz[node])
            state.tokens[node] = min(most, state.tokens[node] + given.swap_hz[node] * given.slot_s)
        else:
            state.tokens[node] = 0.0


@part
def generate(given, state, slot):
    """Poisson pairs on every link, by inversion: more of them at a higher rate, with the same luck."""
    bits, lucks, num = begun(given, GENERATION, slot), state.rows[0], 0
    for link in range(state.stock.size):  # by itself, so that the processor draws several at a time
        lucks[link] = drawn(bits, link)
    for link in range(state.stock.size):  # most make none, and nobody has to guess which
        state.lucky[num] = link
        num += lucks[link] >= 1.0 - state.rate[link] * given.slot_s  # else below exp(-mean) without working it out
    for place in range(num):
        link = state.lucky[place]
        luck, mean = lucks[link], state.rate[link] * given.slot_s
        made, term = 0, exp(-mean)
        below = term
        while luck >= below and made < 1000:
            made += 1
            term *= mean / made
            below += term
        if made > 0:
            state.tally[MADE] += made
            keep(given, state, slot, link, made)


@part
def keep(given, state, slot, link, made):
    """New pairs replace the oldest where there is no room."""
    num = state.stock[link]
    over = max(0, min(num, num + made - given.memories))
    for place in range(over, num):
        state.births[link, place - over] = state.births[link, place]
    kept = min(made, given.memories)
    for place in range(num - over, num - over + kept):
        state.births[link, place] = slot
    state.stock[link] = num - over + kept
    state.tally[OVERFLOWN] += num + made - state.stock[link]


@part
def remember(state, slot):
    """What the present looks like, for those who hear of it later."""
    depth = state.stocks.shape[0]
    if depth == 1:
        return
    row = slot % depth
    for link in range(state.stock.size):
        state.stocks[row, link] = state.stock[link]
        state.queues[row, link] = min(255, state.queue[link])
        state.rates[row, link] = state.rate[link]
        state.newest[row, link] = state.births[link, state.stock[link] - 1] if state.stock[link] > 0 else slot
    for node in range(state.tokens.size):
        state.token_log[row, node] = state.tokens[node]


@part
def has_room(given, state, slot):
    """Whether all records have the rows that a slot may need."""
    pending, coming = state.count[NUM_PENDING], state.count[ARRIVED]
    if given.record > 0 and (
        state.count[NUM_DECISIONS] + pending > state.decisions.shape[0]
        or state.count[NUM_SHARES] + 2 > state.share_slot.size
    ):
        return False
    if state.trace_value.size == 0:
        return True
    while coming < given.arrival.size and given.arrival[coming] <= slot + 1:
        coming += 1
    return state.count[TRACED] + 2 * pending + coming - state.count[ARRIVED] <= state.trace_value.size


@part
def turn(given, state, slot):
    """What happens between two slots."""
    break_down(given, state, slot)
    age(given, state, slot)
    expire(given, state, slot)
    arrive(given, state, slot)


@part
def loop(given, state, rule, until):
    """Slots until one of them; false if records are full."""
    slot = state.count[SLOT]
    if slot < 0:
        turn(given, state, 0)
        slot = state.count[SLOT] = 0
    while slot < until:
        if not has_room(given, state, slot):
            return False
        remember(state, slot)
        decide_paths(given, state, rule, slot)
        if decide_shares(given, state, rule, slot):
            set_rates(given, state)
        refill(given, state)
        generate(given, state, slot)
        execute(given, state, rule, slot)
        slot += 1
        turn(given, state, slot)
        state.count[SLOT] = slot
    return True


def digest_of(*files: str) -> int:
    """Of sources, as a number that a compiled function can hold."""
    return int.from_bytes(hashlib.sha256(b"".join(Path(name).read_bytes() for name in files)).digest()[:6])


def _compiled(sources: int) -> Any:
    """The loop, kept on disk under a digest of all that it is made of: numba itself looks at this file alone."""

    @njit(cache=True, error_model="numpy", _nrt=False)
    def advance(given, state, rule, until):
        return loop(given, state, rule, until) and sources != 0

    return advance


_MADE_OF = (elementary, layers, parts, probing, pull, rules, state, streams)
advance = _compiled(digest_of(__file__, *(str(each.__file__) for each in _MADE_OF)))
