"""Decisions within the compiled loop: paths of requests, shares of nodes; by hand rules or small nets.

A node knows its own links as they are, and a link j hops along a path as it was j news delays ago; see the tables of
features in SPEC.md.
"""

from __future__ import annotations

from math import cos, exp, log, pi, sqrt

import numpy as np

from policies.envs.entanglement.layers import layer
from policies.envs.entanglement.parts import (
    begun,
    drawn,
    expected,
    pair_of,
    part,
    path_of,
    token_news,
    turn_to,
    way,
    write_down,
)
from policies.envs.entanglement.pull import weigh_pulls, weigh_shares
from policies.envs.entanglement.state import (
    D_ACTION,
    D_REQUEST,
    D_SLOT,
    FEATURES,
    FIXED,
    FULL,
    HOP_S,
    LEAST_DEMAND,
    LEAST_HZ,
    LOCAL,
    NUM_DECISIONS,
    NUM_PENDING,
    NUM_SHARE_FEATURES,
    NUM_SHARES,
    RANDOM,
    READ,
    READ_SHARES,
    REPLAYED,
    S_FIXED,
    S_LEARNED,
    S_PULL,
    S_REPLAYED,
    S_UNIFORM,
    SHORTAGE,
    SHORTEST,
    TOLD,
    WAIT,
)
from policies.envs.entanglement.streams import EXPLORE, TIE


@part
def mark(plan, state, request, flag):
    """Which links a request is now queued at: it does not stand in its own way."""
    if state.choice[request] >= 0:
        pair, path, rounds, hops = way(plan, state, request)
        for hop in range(hops):
            state.own[plan.links[pair, path, hop]] = flag * state.left[request] * (rounds + 1)


@part
def news(plan, state, slot, link, hop):
    """Stock, queue and rate of a link as the source knows them, from so many hops away; its own pairs not queued."""
    old = plan.delay[hop]
    own = state.own[link]
    if old == 0:
        return state.stock[link], state.queue[link] - own, state.rate[link]
    row = max(0, slot - old) % state.stocks.shape[0]
    return int(state.stocks[row, link]), max(0, int(state.queues[row, link]) - own), float(state.rates[row, link])


@part
def survey(plan, state, rule, slot, request, action, seen):
    """Features of an action into ``seen`` (14,); the hand rule's cost of it, in seconds."""
    pair, (path, rounds) = pair_of(plan, request), path_of(plan, action)
    hops, need = plan.hops[pair, path], rounds + 1
    length = stock_sum = queue_sum = ready = most_queue = wanted = wait = 0.0
    least_stock, least_token, least_rate = 1e9, 2.0, 1e9
    for hop in range(hops):
        link, node = plan.links[pair, path, hop], plan.nodes[pair, path, hop]
        stock, queue, rate = news(plan, state, slot, link, hop)
        length += plan.length_km[link]
        stock_sum += stock
        queue_sum += queue
        ready += stock >= need
        least_stock, most_queue = min(least_stock, stock - need), max(most_queue, queue)
        least_rate = min(least_rate, rate)
        wanted = max(wanted, expected(plan, state, rule, slot, link))
        wait = max(wait, (queue + need - stock) / max(rate, LEAST_HZ))
        if hop > 0:
            tokens = token_news(plan, state, slot, node, hop)
            least_token = min(least_token, tokens)
            wait = max(wait, (1.0 - tokens) / max(plan.swap_hz[node], LEAST_HZ))
    margin = (plan.log_fresh[pair, path, rounds] - plan.log_min[request]) / plan.decay * plan.slot_s
    seen[0], seen[1] = hops / 8.0, length / 100.0
    seen[2], seen[3], seen[4] = least_stock / plan.memories, stock_sum / (hops * plan.memories), ready / hops
    seen[5], seen[6], seen[7] = most_queue / 8.0, queue_sum / (8.0 * hops), least_token / 2.0
    seen[8], seen[9] = min(wait, 10.0) / 10.0, least_rate / 5.0
    seen[10], seen[11] = min(margin, 20.0) / 10.0, (plan.deadline[request] - slot) * plan.slot_s / 5.0
    seen[12], seen[13] = wanted / 2.0, 1.0 if action == state.choice[request] else 0.0
    return wait + HOP_S * hops


@part
def usable(plan, request, action):
    """Whether fresh pairs on the path would be good enough."""
    path, rounds = path_of(plan, action)
    return plan.log_fresh[pair_of(plan, request), path, rounds] >= plan.log_min[request]


@part
def least_rounds(plan, request, path):
    """The action with the fewest rounds that is good enough on a path; WAIT if there is none."""
    for rounds in range(plan.most_rounds + 1):
        if usable(plan, request, path + rounds * plan.num_paths):
            return path + rounds * plan.num_paths
    return WAIT


@part
def shortest(plan, request):
    """The first path that is good enough."""
    for path in range(plan.num_paths):
        action = least_rounds(plan, request, path)
        if action >= 0:
            return action
    return WAIT


@part
def anywhere(plan, slot, request):
    """Any path that is good enough."""
    num = 0
    for path in range(plan.num_paths):
        num += least_rounds(plan, request, path) >= 0
    pick = int(drawn(begun(plan, TIE, slot), request) * num)
    for path in range(plan.num_paths):
        action = least_rounds(plan, request, path)
        if action >= 0:
            if pick == 0:
                return action
            pick -= 1
    return WAIT


@part
def score(head, agent, given):
    """What a net says of features, as an agent has it."""
    who = agent if head.b3.size > 1 else 0
    layer(head.w1[who], head.b1[who], given, head.one)
    total = head.b3[who]
    if head.two.size == 0:
        for unit in range(head.one.size):
            total += head.one[unit] * head.w3[who, unit]
        return float(total)
    layer(head.w2[who], head.b2[who], head.one, head.two)
    for unit in range(head.two.size):
        total += head.two[unit] * head.w3[who, unit]
    return float(total)


@part
def scored(plan, state, rule, slot, request):
    """Scores of all actions into ``state.scores``, the last is WAIT's; a bit for each action that there is.

    The hand rule scores paths by minus their cost, each with as few rounds as will do, and does not wait.
    """
    last, agent, bits = state.scores.size - 1, np.int64(plan.nodes[plan.pair[request], 0, 0]), 0
    by_hand = rule.path == LOCAL
    for action in range(last + 1):
        state.scores[action] = -1e300
        seen = state.seen[action]
        for place in range(seen.size):
            seen[place] = 0.0
        if action < last:
            if not usable(plan, request, action):
                continue
            if by_hand and least_rounds(plan, request, path_of(plan, action)[0]) != action:
                continue
            state.scores[action] = -survey(plan, state, rule, slot, request, action, seen)
        else:
            seen[11] = (plan.deadline[request] - slot) * plan.slot_s / 5.0
            seen[13] = 1.0 if state.choice[request] == WAIT else 0.0
        bits |= 1 << action
        if not by_hand:
            state.scores[action] = score(rule.path_head, agent, seen)
    return bits


@part
def picked(plan, state, slot, request, greedy):
    """Place of the action that is taken by its score, and the logarithm of its probability (softmax), if kept."""
    best, last = 0, state.scores.size - 1
    for place in range(1, last + 1):
        if state.scores[place] > state.scores[best]:
            best = place
    if state.scores[best] == -1e300:
        return last, 0.0
    if greedy and plan.record == 0:
        return best, 0.0
    total = 0.0
    for place in range(last + 1):
        total += exp(state.scores[place] - state.scores[best])
    pick = best
    if not greedy:
        luck, below = drawn(begun(plan, TIE, slot), request) * total, 0.0
        for place in range(last + 1):
            likely = exp(state.scores[place] - state.scores[best])
            if likely > 0.0 and below <= luck:
                pick = place
            below += likely
    return pick, state.scores[pick] - state.scores[best] - log(total)


@part
def keep_features(state):
    """Of a decision that is about to be written down."""
    row = state.count[NUM_DECISIONS]
    for place in range(state.scores.size):
        for number in range(state.seen.shape[1]):
            state.features[row, place, number] = state.seen[place, number]


@part
def decide(plan, state, rule, slot, request):
    """A request's action by a local rule, the logarithm of its probability, and what it was chosen from."""
    if rule.path == SHORTEST:
        return shortest(plan, request), 0.0, 0
    if rule.path == RANDOM:
        return anywhere(plan, slot, request), 0.0, 0
    mark(plan, state, request, 1)
    bits = scored(plan, state, rule, slot, request)
    mark(plan, state, request, 0)
    action, log_prob = picked(plan, state, slot, request, rule.greedy or rule.path == LOCAL)
    if plan.record == FEATURES:
        keep_features(state)
    return (WAIT if action == state.scores.size - 1 else action), log_prob, bits


@part
def next_of(state, rule, slot, place):
    """Whose turn it is in a slot: a pending request, or a recorded decision; -1: nobody's any more."""
    if rule.path != REPLAYED:
        return state.pending[place] if place < state.count[NUM_PENDING] else -1
    row = state.count[READ] + place
    there = row < state.decisions.shape[0] and state.decisions[row, D_SLOT] == slot
    return state.decisions[row, D_REQUEST] if there else -1


@part
def decide_paths(plan, state, rule, slot):
    """Actions of a slot, in order of deadlines."""
    place = 0
    while True:
        request = next_of(state, rule, slot, place)
        if request < 0:
            break
        place += 1
        action, log_prob, bits = state.choice[request], 0.0, 0
        if rule.path == REPLAYED:
            action = state.decisions[state.count[READ] + place - 1, D_ACTION]
        elif rule.path == FIXED:
            action = state.wanted[request]
            if action == state.choice[request]:
                continue
        elif state.decide_slot[request] <= slot:
            state.decide_slot[request] = slot + plan.decide
            action, log_prob, bits = decide(plan, state, rule, slot, request)
        else:
            continue
        if plan.record > 0:
            write_down(plan, state, slot, request, action, log_prob, bits)
        turn_to(plan, state, slot, request, action)
    if rule.path == REPLAYED:
        state.count[READ] += place


@part
def hand_weight(plan, state, rule, slot, link):
    """How much a link is wanted: what it is short of, and mean demand, over what comes through."""
    if state.down[link] > 0:
        return 0.0
    short = max(0, state.queue[link] - state.stock[link])
    weight = (SHORTAGE * short + expected(plan, state, rule, slot, link) + LEAST_DEMAND) / max(plan.eta[link], 1e-9)
    return weight * FULL if state.stock[link] == plan.memories else weight


@part
def weigh(plan, state, rule, slot):
    """Every link by the hand rule."""
    for link in range(state.weight.size):
        state.weight[link] = hand_weight(plan, state, rule, slot, link)


@part
def look_at_link(plan, state, rule, slot, node, link, seen):
    """Features of a node's link into ``seen`` (9,)."""
    stock, queue = state.stock[link], state.queue[link]
    seen[0], seen[1], seen[2] = stock / plan.memories, queue / 8.0, max(0, queue - stock) / 8.0
    seen[3] = state.ewma[link] / 2.0
    seen[4] = expected(plan, state, rule, slot, link) / 2.0
    seen[5], seen[6] = plan.eta[link], state.rate[link] / 5.0
    seen[7] = 1.0 if stock == plan.memories else 0.0
    seen[8] = plan.generation_hz[node] / 10.0


@part
def correction(plan, state, rule, slot, node, place, seen):
    """What a learned head adds to the logarithm of a share."""
    look_at_link(plan, state, rule, slot, node, plan.incident[place], seen)
    return score(rule.share_head, node, seen)


@part
def explore(plan, slot, place):
    """A normal number for a share's logit (Box and Muller)."""
    bits = begun(plan, EXPLORE, slot)
    return sqrt(-2.0 * log(1.0 - drawn(bits, 2 * place))) * cos(2.0 * pi * drawn(bits, 2 * place + 1))


@part
def share_of_node(plan, state, rule, slot, node):
    """Weights of a node's shares by hand rule, or learned correction of it."""
    for place in range(plan.first[node], plan.first[node + 1]):
        weight = state.weight[plan.incident[place]]
        if rule.share == S_LEARNED and weight > 0.0:
            row = state.count[NUM_SHARES] if plan.record == FEATURES else 0
            seen = state.share_features[row, place] if plan.record == FEATURES else state.seen[0, :NUM_SHARE_FEATURES]
            added = correction(plan, state, rule, slot, node, place, seen)
            if rule.noise > 0.0:
                normal = explore(plan, slot, place)
                added += rule.noise * normal
                if plan.record == FEATURES:
                    state.share_noise[row, place] = normal
            weight *= exp(min(max(added, -30.0), 30.0))
        state.shares[place] = weight


@part
def divide(plan, state):
    """Weights of shares to shares: those of a node sum to 1, and are uniform if no link of it is wanted."""
    spread = state.rows[0]
    for node in range(state.tokens.size):
        first, last, total = plan.first[node], plan.first[node + 1], 0.0
        for place in range(first, last):
            total += state.shares[place]
        for place in range(first, last):
            spread[place] = total
            if total <= 0.0:
                state.shares[place], spread[place] = 1.0, last - first
    for place in range(state.shares.size):
        state.shares[place] /= spread[place]


@part
def decide_shares(plan, state, rule, slot):
    """New shares; whether there are any."""
    due, changed = slot % plan.share_every == 0, state.count[TOLD] == 1
    state.count[TOLD] = 0
    if due:
        span_s = plan.share_every * plan.slot_s
        for link in range(state.ewma.size):
            state.ewma[link] = plan.keep * state.ewma[link] + (1.0 - plan.keep) * state.joined[link] / span_s
            state.joined[link] = 0
    if rule.share == S_REPLAYED:
        changed = repeat_shares(state, slot) or changed
    elif due and rule.share not in (S_FIXED, S_UNIFORM):
        changed = True
        if rule.share == S_PULL:
            weigh_pulls(plan, state, rule, slot)
            weigh_shares(plan, state, rule)
        else:
            weigh(plan, state, rule, slot)
            for node in range(state.tokens.size):
                share_of_node(plan, state, rule, slot, node)
        divide(plan, state)
    if changed and plan.record > 0:
        row = state.count[NUM_SHARES]
        state.share_slot[row], state.count[NUM_SHARES] = slot, row + 1
        for place in range(state.shares.size):
            state.share_log[row, place] = state.shares[place]
    return changed


@part
def repeat_shares(state, slot):
    """Shares as they were recorded."""
    row = state.count[READ_SHARES]
    if row >= state.share_slot.size or state.share_slot[row] != slot:
        return False
    for place in range(state.shares.size):
        state.shares[place] = state.share_log[row, place]
    state.count[READ_SHARES] = row + 1
    return True
