"""The execution layer, compiled: requests probe their paths in order of deadline, all or nothing.

Every request with a path claims its links; those that find all they need as the slot begins then lock it: from source
to target the freshest pairs of each link that nobody else has, and a swap token at each node in between. Who fails has
lost to others, and keeps what it has locked for the slot. The same for every policy.
"""

from __future__ import annotations

from math import exp, log

from policies.envs.entanglement.parts import begun, drawn, note, part, power, way
from policies.envs.entanglement.state import (
    ABLE,
    BLOCK,
    BLOCKED,
    BURNT,
    CLAIMED,
    CONTENDED,
    DELIVER,
    DELIVERED,
    NUM_PENDING,
    PROBES,
    PURIFIED,
    PURIFY_FAIL,
    SHORT,
    SWAP_FAIL,
    USED,
)
from policies.envs.entanglement.streams import HOLD, PURIFICATION, SWAP


@part
def pumped(plan, state, slot, link, rounds, skip):
    """Logarithm of w, and probability, of a link's pair: the freshest but ``skip``, purified in rounds."""
    at = state.stock[link] - 1 - skip
    kept = plan.log_w[link] - plan.decay * (slot - state.births[link, at])
    if rounds == 0:
        return kept, 1.0
    f, chance = 0.25 + 0.75 * exp(kept), 1.0
    for extra in range(1, rounds + 1):
        g = 0.25 + 0.75 * exp(plan.log_w[link] - plan.decay * (slot - state.births[link, at - extra]))
        off = (1.0 - f) * (1.0 - g)
        p = f * g + (f * (1.0 - g) + g * (1.0 - f)) / 3.0 + 5.0 * off / 9.0
        f = (f * g + off / 9.0) / p
        chance *= p
    return log(max((4.0 * f - 1.0) / 3.0, 1e-300)), chance


@part
def alone(plan, state, slot, request):
    """Whether a probe would succeed if nobody else probed."""
    pair, path, rounds, hops = way(plan, state, request)
    total = (hops - 1) * plan.log_visibility
    for hop in range(hops):
        link = plan.links[pair, path, hop]
        if state.stock[link] <= rounds or (hop > 0 and state.tokens[plan.nodes[pair, path, hop]] < 1.0):
            return False
        total += pumped(plan, state, slot, link, rounds, 0)[0]
    return total >= plan.log_min[request]


@part
def claim(plan, state, request):
    """Say to all links of the path that one of their pairs is wanted."""
    pair, path, _, hops = way(plan, state, request)
    for hop in range(hops):
        state.claims[plan.links[pair, path, hop]] += 1


@part
def block(state, slot, request, rival, link):
    """Nothing this slot, because of others; ``rival`` came last before it at what it could not have, -1 if unknown."""
    state.tally[BLOCKED] += 1
    state.blocked[request] += 1
    if rival >= 0:
        state.harmed[rival] += 1
    note(state, slot, request, BLOCK, link, 0.0)


@part
def probe(plan, state, slot, request):
    """Lock hop by hop; with everything locked, purify and swap."""
    pair, path, rounds, hops = way(plan, state, request)
    total, chance, rival = (hops - 1) * plan.log_visibility, 1.0, -1
    for hop in range(hops):
        link, node = plan.links[pair, path, hop], plan.nodes[pair, path, hop]
        if hop > 0:
            if state.token_holder[node] >= 0:
                rival = state.token_holder[node]
            if state.tokens[node] - state.token_locked[node] < 1.0:
                block(state, slot, request, rival, link)
                return
            state.token_locked[node] += 1
            state.token_holder[node] = request
        if state.holder[link] >= 0:
            rival = state.holder[link]
        if state.stock[link] - state.locked[link] <= rounds:
            block(state, slot, request, rival, link)
            return
        kept, likely = pumped(plan, state, slot, link, rounds, state.locked[link])
        total += kept
        chance *= likely
        state.locked[link] += rounds + 1
        state.holder[link] = request
    if total < plan.log_min[request]:
        block(state, slot, request, rival, -1)
        return
    take(plan, state, pair, path, rounds, hops)
    join(plan, state, slot, request, total, chance)


@part
def take(plan, state, pair, path, rounds, hops):
    """Locked pairs and tokens are used up; what others have locked stays."""
    for hop in range(hops):
        link = plan.links[pair, path, hop]
        state.locked[link] -= rounds + 1
        top = state.stock[link]
        for place in range(top - state.locked[link], top):
            state.births[link, place - rounds - 1] = state.births[link, place]
        state.stock[link] = top - rounds - 1
        if hop > 0:
            node = plan.nodes[pair, path, hop]
            state.token_locked[node] -= 1
            state.tokens[node] -= 1.0
    state.tally[PURIFIED] += hops * rounds


@part
def join(plan, state, slot, request, total, chance):
    """Purify and swap: a pair, or nothing."""
    pair, path, rounds, hops = way(plan, state, request)
    if rounds > 0 and drawn(begun(plan, PURIFICATION, slot), request) >= chance:
        state.tally[BURNT] += hops
        note(state, slot, request, PURIFY_FAIL, -1, 0.0)
        return
    if drawn(begun(plan, SWAP, slot), request) >= power(plan.swap_success, hops - 1):
        state.tally[BURNT] += hops
        note(state, slot, request, SWAP_FAIL, -1, 0.0)
        return
    fidelity = 0.25 + 0.75 * exp(total)
    state.tally[USED] += hops
    state.fidelity[request] += fidelity
    note(state, slot, request, DELIVER, -1, fidelity)
    for hop in range(hops):
        state.queue[plan.links[pair, path, hop]] -= rounds + 1
    state.left[request] -= 1
    if state.left[request] == 0:
        state.status[request] = DELIVERED
        state.done_slot[request] = slot + 1


@part
def wipe(plan, state, request):
    """Count the claims on a path's links, once each, and forget the slot's locks."""
    pair, path, _, hops = way(plan, state, request)
    for hop in range(hops):
        link, node = plan.links[pair, path, hop], plan.nodes[pair, path, hop]
        if state.claims[link] > 0:
            state.tally[CLAIMED] += 1
            state.tally[CONTENDED] += state.claims[link] > 1
        state.claims[link], state.locked[link], state.holder[link] = 0, 0, -1
        state.token_locked[node], state.token_holder[node] = 0, -1


@part
def execute(plan, state, rule, slot):
    """All probes of a slot."""
    num, bits = state.count[NUM_PENDING], begun(plan, HOLD, slot)
    for place in range(num):
        request = state.pending[place]
        state.able[place] = -1
        if state.choice[request] >= 0 and (rule.hold == 1 or drawn(bits, request) * rule.hold < 1.0):
            claim(plan, state, request)
            state.able[place] = alone(plan, state, slot, request)
            state.tally[PROBES] += 1
            state.tally[ABLE] += state.able[place]
            if state.able[place] == 0:
                note(state, slot, request, SHORT, -1, 0.0)
    for place in range(num):
        if state.able[place] == 1:
            probe(plan, state, slot, state.pending[place])
    for place in range(num):
        if state.able[place] >= 0:
            wipe(plan, state, state.pending[place])
