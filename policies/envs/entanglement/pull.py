"""What links are worth to the requests that wait at them, compiled: the share rule with weights that are learned.

Every waiting request pulls at each link of its path, by what that link knows of it: how many of the other links still
have no pair for it, how long it can wait, whether its pairs are about to be too old. The path's other links and nodes
are seen as they were as many news delays ago as they are hops away. Pulls add up, in order of deadlines: who comes
later has what is left. The tables of features are in SPEC.md.

What is gathered stands in rows, so that logarithms and exponentials are worked out for many requests, links or shares
at once: they are nearly all that there is to do.
"""

from __future__ import annotations

from policies.envs.entanglement.elementary import MOST, exponential, logarithm
from policies.envs.entanglement.parts import apart, expected, part, token_news, way
from policies.envs.entanglement.state import (
    LEAST_HZ,
    NOTHING,
    NUM_PENDING,
    NUM_PULL_FEATURES,
    PULL_AGE,
    PULL_DEMAND,
    PULL_ETA,
    PULL_FULL,
    PULL_HAS,
    PULL_LEAST,
    PULL_MADE,
    PULL_MAKES,
    PULL_MOST,
    PULL_OTHERS,
    PULL_POWER,
    PULL_SHORT,
    PULL_STOCK,
)

log, exp = part(logarithm), part(exponential)


@apart
def logs(row, num):
    """Of the first numbers of a row, in place."""
    for one in range(num):
        row[one] = log(row[one])


@apart
def exps(row, num, most):
    """Of the first numbers of a row, none further from 0 than so much; in place."""
    for one in range(num):
        row[one] = exp(row[one], most)


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
def look_at_path(plan, state, slot, request, at):
    """What the link at a hop of a request's path hears: how long pairs can wait, how many there are none of, and more.

    Ages of the links' freshest pairs go into ``ages``, in seconds, -1 where there is none for the request.

    Returns:
        Seconds that all pairs may wait; links that have none; the least rate of these, its hop, and the next to it;
        longest wait for a swap token.
    """
    pair, path, rounds, hops = way(plan, state, request)
    spare = (plan.log_fresh[pair, path, rounds] - plan.log_min[request]) / plan.decay * plan.slot_s
    missing, least, where, next_to, tokens = 0, 1e300, -1, 1e300, 0.0
    for hop in range(hops):
        link, away = plan.links[pair, path, hop], abs(hop - at)
        stock, newest, rate = stored(plan, state, slot, link, away)
        if stock - state.ahead[link] > rounds:
            state.ages[hop] = (slot - newest) * plan.slot_s
            spare -= state.ages[hop]
        else:
            state.ages[hop], missing, rate = -1.0, missing + 1, max(rate, LEAST_HZ)
            if rate < least:
                least, where, next_to = rate, hop, least
            else:
                next_to = min(next_to, rate)
        if hop > 0:
            node = plan.nodes[pair, path, hop]
            lacking = 1.0 - token_news(plan, state, slot, node, away)
            if lacking > 0.0:
                tokens = max(tokens, lacking / max(plan.swap_hz[node], LEAST_HZ))
    return spare, missing, least, where, next_to, tokens


@apart
def pull(weights, seen, pulls, weight, num):
    """Add the pulls of the first columns to the weights of their links."""
    short, has = seen[PULL_SHORT], seen[PULL_HAS]
    for one in range(num):
        seen[0, one], seen[2, one], seen[5, one] = 1.0, seen[1, one] == 0.0, seen[4, one] < 0.0
        seen[4, one] = min(max(seen[4, one], -5.0), 10.0) / 5.0
        seen[3, one], seen[7, one], seen[10, one] = seen[3, one] / 5.0, seen[7, one] / 4.0, seen[10, one] / 5.0
        seen[1, one], seen[6, one], seen[8, one] = 1.0 + seen[1, one], 1.0 + seen[6, one], 1.0 + 1.0 / seen[8, one]
        short[one] = has[one] = 0.0
    for place in (1, 6, 8, 9):
        logs(seen[place], num)
    for place in range(NUM_PULL_FEATURES):
        row, first, second = seen[place], weights[place], weights[NUM_PULL_FEATURES + place]
        for one in range(num):
            short[one] += first * row[one]
            has[one] += second * row[one]
    exps(short, num, PULL_MOST)
    exps(has, num, PULL_MOST)
    for one in range(num):
        link, wanted, lacks = pulls[0, one], pulls[1, one], pulls[2, one]
        weight[link] += lacks * short[one]
        weight[link] += (wanted - lacks) * has[one]


@part
def weigh_requests(plan, state, rule, slot):
    """Pulls at every link; as many at a time as there is room for."""
    for link in range(state.weight.size):
        state.weight[link], state.ahead[link] = 0.0, 0
    num, room, seen = 0, state.pulled.shape[1], state.pulled
    for place in range(state.count[NUM_PENDING]):
        request = state.pending[place]
        if state.choice[request] < 0:
            continue
        pair, path, rounds, hops = way(plan, state, request)
        if num + hops > room:
            pull(rule.pull, seen, state.pulls, state.weight, num)
            num = 0
        wanted, left_s = state.left[request] * (rounds + 1), (plan.deadline[request] - slot) * plan.slot_s
        known = 0.0, 0, 0.0, 0, 0.0, 0.0
        for hop in range(hops):
            if hop == 0 or plan.delay[1] > 0:  # without delay all of them hear the same
                known = look_at_path(plan, state, slot, request, hop)
            spare, missing, least, where, next_to, tokens = known
            link, age = plan.links[pair, path, hop], state.ages[hop]
            seen[1, num], seen[3, num], seen[4, num] = missing - (age < 0.0), left_s, spare
            seen[6, num], seen[7, num], seen[8, num] = tokens, hops, next_to if hop == where else least
            seen[9, num], seen[10, num] = max(state.rate[link], LEAST_HZ), max(age, 0.0)
            lacks = min(max(wanted - state.stock[link] + state.ahead[link], 0), wanted)
            state.pulls[0, num], state.pulls[1, num], state.pulls[2, num] = link, wanted, lacks
            num += 1
        for hop in range(hops):
            state.ahead[plan.links[pair, path, hop]] += wanted
    pull(rule.pull, seen, state.pulls, state.weight, num)


@part
def weigh_pulls(plan, state, rule, slot):
    """Logarithm of every link's weight for both its ends: pulls and expected demand, and what it holds already."""
    weigh_requests(plan, state, rule, slot)
    weights, weight, age, num = rule.pull, state.weight, state.rows[0], state.weight.size
    wanted, least = exp(weights[PULL_DEMAND]), exp(weights[PULL_LEAST])
    for link in range(num):
        stock = state.stock[link]
        age[link] = slot - state.births[link, stock - 1] if stock > 0 else plan.cutoff
        weight[link] = weight[link] + wanted * expected(plan, state, rule, slot, link) + least
    logs(weight, num)
    power, older, eta, held = weights[PULL_POWER], weights[PULL_AGE], weights[PULL_ETA], weights[PULL_STOCK]
    full, slot_s, memories = weights[PULL_FULL], plan.slot_s, plan.memories
    for link in range(num):
        found = power * weight[link] + older * (age[link] * slot_s / 5.0)
        found += eta * plan.log_eta[link] + held * (state.stock[link] / memories)
        found = found + full if state.stock[link] == memories else found
        weight[link] = min(max(found, -100.0), 100.0) if state.down[link] == 0 else NOTHING


@part
def weigh_shares(plan, state, rule):
    """Every share: its link's weight, by how much that is this end's business and not the other's."""
    shares, made, others, weight, num = state.shares, state.rows[0], state.rows[1], state.rows[2], state.shares.size
    for place in range(num):
        made[place] = plan.makes[place] * shares[place]
    for link in range(state.weight.size):
        one, other = plan.place[link, 0], plan.place[link, 1]
        others[one], others[other] = made[other], made[one]
        weight[one] = weight[other] = state.weight[link]
    for place in range(num):
        made[place], others[place] = (made[place] + 0.1) / (made[place] + others[place] + 0.2), 1.0 + others[place]
    logs(made, num)
    logs(others, num)
    first, second, third = rule.pull[PULL_MAKES], rule.pull[PULL_MADE], rule.pull[PULL_OTHERS]
    for place in range(num):
        others[place] = weight[place] + (first * plan.log_makes[place] + third * others[place] + second * made[place])
    exps(others, num, MOST)
    for place in range(num):
        shares[place] = others[place] if weight[place] > NOTHING else 0.0
