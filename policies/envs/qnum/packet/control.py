"""Sources and links of the compiled packet network: :mod:`policies.envs.qnum.packet.controllers`, on tables."""

from __future__ import annotations

from math import inf

from policies.envs.qnum.packet import laws as plain
from policies.envs.qnum.packet.tables import (
    ACKED,
    ARRIVALS,
    BORN,
    CALM,
    FIRST,
    H_MARGINAL,
    H_RATE,
    H_SLOPE,
    H_WEIGHT,
    HEARD,
    HOP,
    INFERRED,
    KNOWN,
    L_FIRST,
    L_LATER,
    L_PRICE,
    L_ROOM,
    L_STAMP,
    L_W,
    L_WEIGHT,
    LENGTH,
    LIMIT,
    MARGINAL,
    MARKED,
    OF_FLOW,
    QUALITY,
    RATE,
    S_MARGINAL,
    S_MULTIPLIER,
    S_PRICE,
    S_QUALITY,
    S_RATE,
    S_SLOPE,
    SENT,
    SEQ,
    SILENT,
    SLOPE,
    SMOOTH,
    SPREAD,
    STAMPED,
    STATED,
    SUM_LATER,
    SUM_MARGINAL,
    SUM_RATE,
    SUM_SLOPE,
    SURE_UNTIL,
    TIMEOUTS,
    UNTIL,
    WINDOW,
    part,
)

elasticity, wanted_rate, slope_of_rate = map(part, (plain.elasticity, plain.wanted_rate, plain.slope_of_rate))
wanted_multiplier, link_step, admitted = map(part, (plain.wanted_multiplier, plain.link_step, plain.admitted))
released, stamped_quality, marking = map(part, (plain.released, plain.stamped_quality, plain.marking))
timeout_s = part(plain.timeout_s)
SOFT_S, SOFT_SENDS, MOST_WINDOW = plain.SOFT_S, plain.SOFT_SENDS, float(plain.MOST_WINDOW)
ASKING = plain.ASKING


@part
def forget(of, soft):
    """A flow is gone, or nothing comes through for it."""
    if soft[KNOWN] == 1.0:
        of[L_PRICE] = released(of[L_PRICE], of[L_WEIGHT], soft[H_WEIGHT])
        of[L_WEIGHT] -= soft[H_WEIGHT]
        soft[KNOWN] = 0.0


@part
def declare(plan, state, now, row, link):
    """A header passes a link's controller."""
    of, header = state.link[link], state.real[row]
    state.link_whole[link, ARRIVALS] += 1
    soft = state.soft[plan.soft_row[plan.route_start[state.whole[row, OF_FLOW]] + state.whole[row, HOP]]]
    if header[RATE] == 0.0:
        forget(of, soft)
        return
    if soft[KNOWN] == 0.0:
        weight = soft[H_WEIGHT]
        of[L_PRICE] = admitted(of[L_PRICE], of[L_WEIGHT], weight, plan.d_hz[link] * (1.0 - of[L_W]))
        of[L_STAMP] = of[L_PRICE]
        of[L_WEIGHT] += weight
    soft[UNTIL] = now + SOFT_S + SOFT_SENDS / header[RATE]
    soft[H_RATE], soft[H_SLOPE], soft[H_MARGINAL] = header[RATE], header[SLOPE], header[MARGINAL]
    soft[KNOWN] = 1.0


@part
def say(plan, state, flow):
    """What a source's next headers declare."""
    source, law = state.source[flow], plan.law
    source[STATED] = source[S_RATE] if state.source_whole[flow, SILENT] < ASKING else 0.0
    source[S_SLOPE] = slope_of_rate(plan.hops[flow], plan.weight[flow], plan.alpha[flow], source[S_RATE])
    source[S_MARGINAL] = source[S_MULTIPLIER]
    if law.local == 0:
        elastic = elasticity(plan.utility[flow], source[S_QUALITY], law.most_elastic)
        source[S_MARGINAL] += plan.quality_weight[flow] * elastic


@part
def adapt(source, number, seq, congested):
    """AIMD's window."""
    if congested:
        if seq > number[CALM]:
            source[WINDOW] = source[LIMIT] = max(1.0, 0.5 * source[WINDOW])
            number[CALM] = number[SENT]
    elif source[WINDOW] < source[LIMIT]:
        source[WINDOW] = min(source[WINDOW] + 1.0, MOST_WINDOW)
    else:
        source[WINDOW] = min(source[WINDOW] + 1.0 / source[WINDOW], MOST_WINDOW)


@part
def hear(plan, state, now, row, flow):
    """An ACK at an active source."""
    law, header, source, number = plan.law, state.real[row], state.source[flow], state.source_whole[flow]
    seq, gap = state.whole[row, SEQ], 0
    if seq > number[ACKED]:
        gap = seq - number[ACKED] - 1
        state.count[INFERRED] += gap
        number[ACKED] = seq
    source[HEARD] = now
    sample = now - header[BORN]
    if source[SMOOTH] == 0.0:
        source[SMOOTH], source[SPREAD] = sample, 0.5 * sample
    else:
        source[SPREAD] += 0.25 * (abs(sample - source[SMOOTH]) - source[SPREAD])
        source[SMOOTH] += 0.125 * (sample - source[SMOOTH])
    if law.window == 1:
        adapt(source, number, seq, state.whole[row, MARKED] == 1 or gap > 0)
    elif law.frozen == 0:
        if header[RATE] != 0.0:
            source[S_PRICE], source[S_QUALITY] = header[STAMPED], header[QUALITY]
            weight, most = plan.weight[flow], plan.most_rate[flow]
            source[S_RATE] = wanted_rate(weight, plan.alpha[flow], header[STAMPED], law.least_rate_hz, most)
        elif number[SILENT] > 0:
            source[S_RATE] = plan.start_rate[flow]
        number[SILENT] = 0
        say(plan, state, flow)


@part
def add_up(plan, state, now, link):
    """What headers declare, over flows; it holds until another header comes or a flow is silent for long."""
    law, of = plan.law, state.link[link]
    load = weight = slopes = marginal = later = 0.0
    sure_until = inf
    for at in range(plan.link_start[link], plan.link_start[link + 1]):
        soft = state.soft[at]
        if soft[KNOWN] == 0.0:
            continue
        if soft[UNTIL] < now:
            forget(of, soft)
            continue
        worth = soft[H_MARGINAL]
        if law.local == 1:
            flow = plan.soft_flow[at]
            log_w = of[L_FIRST] + (plan.hops[flow] - 1) * of[L_LATER]
            worth += plan.quality_weight[flow] * elasticity(plan.utility[flow], log_w, law.most_elastic)
        load += soft[H_RATE]
        weight += soft[H_WEIGHT]
        slopes += soft[H_SLOPE]
        marginal += worth
        if soft[FIRST] == 0.0:
            later += worth
        sure_until = min(sure_until, soft[UNTIL])
    of[L_WEIGHT], of[SURE_UNTIL] = weight, sure_until
    of[SUM_RATE], of[SUM_SLOPE], of[SUM_MARGINAL], of[SUM_LATER] = load, slopes, marginal, later


@part
def move_link(plan, state, now, link):
    """One step of a link's price and Werner parameter."""
    law, of, queue = plan.law, state.link[link], state.link_whole[link]
    if law.local == 1 or queue[ARRIVALS] > 0 or now > of[SURE_UNTIL]:
        add_up(plan, state, now, link)
    load = queue[ARRIVALS] / law.period_s if law.measured == 1 else of[SUM_RATE]
    queue[ARRIVALS] = 0
    if of[L_WEIGHT] > 0.0:
        of[L_PRICE], of[L_W], of[L_STAMP], of[L_ROOM] = link_step(
            *(law, plan.d_hz[link], of[L_PRICE], of[L_W], load, of[L_WEIGHT]),
            *(of[SUM_SLOPE], of[SUM_MARGINAL], of[SUM_LATER], float(queue[LENGTH]), plan.decay_hz),
        )
        of[L_FIRST], of[L_LATER] = stamped_quality(
            law, of[L_W], max(of[L_ROOM], 1e-9), plan.decay_hz, plan.latency_s[link]
        )


@part
def move_source(plan, state, now, flow):
    """A source's multiplier, and its answer to silence."""
    law, source, number = plan.law, state.source[flow], state.source_whole[flow]
    if source[S_QUALITY] < 0.0 and plan.log_w_min[flow] > -inf:
        least, hops = plan.log_w_min[flow], plan.hops[flow]
        source[S_MULTIPLIER] = wanted_multiplier(law, source[S_MULTIPLIER], least, source[S_QUALITY], hops)
        say(plan, state, flow)
    silence = timeout_s(source[SMOOTH], source[SPREAD], source[S_RATE])
    if number[SENT] > number[ACKED] and now - source[HEARD] > silence:
        state.count[TIMEOUTS] += 1
        source[HEARD] = now
        if law.window == 1:
            source[LIMIT], source[WINDOW] = max(1.0, 0.5 * source[WINDOW]), 1.0
            number[ACKED] = number[CALM] = number[SENT]
        elif law.frozen == 0:
            number[SILENT] += 1
            source[S_RATE] = max(law.least_rate_hz, 0.5 * source[S_RATE])
            say(plan, state, flow)
