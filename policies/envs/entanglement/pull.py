"""What links are worth to the requests that wait at them, compiled: the share rule with weights that are learned.

Every waiting request pulls at each link of its path, by what that link knows of it: how many of the other links still
have no pair for it, how long it can wait, whether its pairs are about to be too old. The path's other links and nodes
are seen as they were as many news delays ago as they are hops away. Pulls add up, in order of deadlines: who comes
later has what is left. The tables of features are in SPEC.md.
"""

from __future__ import annotations

from math import exp, log

from policies.envs.entanglement.parts import expected, part, token_news
from policies.envs.entanglement.state import (
    LEAST_HZ,
    NUM_PENDING,
    NUM_PULL_FEATURES,
    PULL_AGE,
    PULL_DEMAND,
    PULL_ETA,
    PULL_FULL,
    PULL_LEAST,
    PULL_MADE,
    PULL_MAKES,
    PULL_MOST,
    PULL_OTHERS,
    PULL_POWER,
    PULL_STOCK,
)


@part
def stored(plan, state, slot, link, away):
    """Pairs of a link, the slot in which the freshest was made, and its rate, as known so many hops away."""
    old = plan.delay[away]
    if old == 0:
        num = state.stock[link]
        return num, (state.births[link, num - 1] if num > 0 else slot), state.rate[link]
    row = max(0, slot - old) % state.stocks.shape[0]
    return int(state.stocks[row, link]), int(state.newest[row, link]), float(state.rates[row, link])


@part
def look_at_request(plan, state, slot, request, at, seen):
    """What the link at a hop of a request's path knows of the request, into ``seen`` (11,)."""
    pair, path = plan.pair[request], state.choice[request] % plan.num_paths
    rounds, hops = state.choice[request] // plan.num_paths, plan.hops[pair, path]
    spare = (plan.log_fresh[pair, path, rounds] - plan.log_min[request]) / plan.decay * plan.slot_s
    missing, wait, tokens, age, own = 0, 0.0, 0.0, 0.0, 0.0
    for hop in range(hops):
        link, away = plan.links[pair, path, hop], abs(hop - at)
        stock, newest, rate = stored(plan, state, slot, link, away)
        if hop == at:
            own = rate
        if stock - state.ahead[link] > rounds:
            old = (slot - newest) * plan.slot_s
            spare -= old
            if hop == at:
                age = old
        elif hop != at:
            missing += 1
            wait = max(wait, 1.0 / max(rate, LEAST_HZ))
        if hop > 0:
            node = plan.nodes[pair, path, hop]
            lacking = 1.0 - token_news(plan, state, slot, node, away)
            tokens = max(tokens, lacking / max(plan.swap_hz[node], LEAST_HZ))
    seen[0], seen[1], seen[2] = 1.0, log(1.0 + missing), 1.0 if missing == 0 else 0.0
    seen[3] = (plan.deadline[request] - slot) * plan.slot_s / 5.0
    seen[4], seen[5] = min(max(spare, -5.0), 10.0) / 5.0, 1.0 if spare < 0.0 else 0.0
    seen[6], seen[7], seen[8] = log(1.0 + tokens), hops / 4.0, log(1.0 + wait)
    seen[9], seen[10] = log(max(own, LEAST_HZ)), age / 5.0


@part
def strength(rule, first, seen):
    """Of a pull, from some of the rule's weights."""
    total = 0.0
    for place in range(NUM_PULL_FEATURES):
        total += rule.pull[first + place] * seen[place]
    return exp(min(max(total, -PULL_MOST), PULL_MOST))


@part
def pull(plan, state, rule, slot, request):
    """Add a request's pulls to the weights of the links of its path."""
    pair, path = plan.pair[request], state.choice[request] % plan.num_paths
    wanted = state.left[request] * (state.choice[request] // plan.num_paths + 1)
    for hop in range(plan.hops[pair, path]):
        link = plan.links[pair, path, hop]
        look_at_request(plan, state, slot, request, hop, state.pulled)
        short = min(max(wanted - state.stock[link] + state.ahead[link], 0), wanted)
        if short > 0:
            state.weight[link] += short * strength(rule, 0, state.pulled)
        if short < wanted:
            state.weight[link] += (wanted - short) * strength(rule, NUM_PULL_FEATURES, state.pulled)
    for hop in range(plan.hops[pair, path]):
        state.ahead[plan.links[pair, path, hop]] += wanted


@part
def link_weight(plan, state, rule, slot, link):
    """Of a link for both its ends: pulls and expected demand, and what it holds already."""
    weights = rule.pull
    stock, newest, _ = stored(plan, state, slot, link, 0)
    total = state.weight[link] + exp(weights[PULL_DEMAND]) * expected(plan, state, rule, slot, link)
    age = (slot - newest if stock > 0 else plan.cutoff) * plan.slot_s
    found = weights[PULL_POWER] * log(total + exp(weights[PULL_LEAST])) + weights[PULL_AGE] * (age / 5.0)
    found += weights[PULL_ETA] * log(max(plan.eta[link], 1e-9)) + weights[PULL_STOCK] * (stock / plan.memories)
    if stock == plan.memories:
        found += weights[PULL_FULL]
    return exp(min(max(found, -100.0), 100.0))


@part
def weigh_pulls(plan, state, rule, slot):
    """Every link."""
    for link in range(state.weight.size):
        state.weight[link], state.ahead[link] = 0.0, 0
    for place in range(state.count[NUM_PENDING]):
        if state.choice[state.pending[place]] >= 0:
            pull(plan, state, rule, slot, state.pending[place])
    for link in range(state.weight.size):
        state.weight[link] = link_weight(plan, state, rule, slot, link) if state.down[link] == 0 else 0.0


@part
def lean(plan, state, rule, node, place):
    """How much a link is this end's business and not the other's: a factor."""
    link, weights = plan.incident[place], rule.pull
    other = plan.ends[link, 0] + plan.ends[link, 1] - node
    makes, could = plan.generation_hz[node], plan.generation_hz[other]
    made = makes * state.shares[place]
    others = max(0.0, state.rate[link] / max(plan.eta[link], 1e-9) - made)
    found = weights[PULL_MAKES] * log((makes + 0.1) / (makes + could + 0.2)) + weights[PULL_OTHERS] * log(1.0 + others)
    return exp(found + weights[PULL_MADE] * log((made + 0.1) / (made + others + 0.2)))
