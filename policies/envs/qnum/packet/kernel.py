"""The packet network compiled by numba: the events of :mod:`policies.envs.qnum.packet.reference`, on arrays.

Same events, same order, same numbers, bit for bit: laws and draws are the reference's own, sums are taken in its order.
What differs is where things lie: q-datagrams in rows of a table with a free list, queues as linked rows, events in a
binary heap of (time, number of the event), soft state in a row for each hop of each route.
"""

from __future__ import annotations

import hashlib
from math import exp, inf, log
from pathlib import Path
from typing import Any

from numba import njit

from policies.envs.qnum.packet import laws as plain
from policies.envs.qnum.packet import record as rec
from policies.envs.qnum.packet import settings, tables
from policies.envs.qnum.packet.record import ACK, ARRIVE, CHANGE, EMIT, FLOW, LINK, READY
from policies.envs.qnum.packet.settings import FLOW_OFF, FLOW_ON, LINK_DOWN, LINK_UP
from policies.envs.qnum.packet.tables import (
    ACKED,
    ACKS,
    ACTIVE,
    ARRIVALS,
    BIN,
    BORN,
    CALM,
    CLASSICAL,
    CUTOFF,
    DONE,
    DRAWN,
    EVENTS,
    FAILURE,
    FREE,
    H_MARGINAL,
    H_RATE,
    H_SLOPE,
    HEAD,
    HEARD,
    HOP,
    INFERRED,
    KNOWN,
    L_ABOVE,
    L_BEFORE,
    L_FIRST,
    L_LATER,
    L_MARK,
    L_PRICE,
    L_ROOM,
    L_STAMP,
    L_W,
    L_WEIGHT,
    LENGTH,
    LIMIT,
    MARGIN,
    MARGINAL,
    MARKED,
    NEXT,
    NO_DRAWS,
    NO_ROOM,
    NO_TRACE,
    NUM_FREE,
    OF_FLOW,
    OVERFLOW,
    PENDING,
    QUALITY,
    RATE,
    REACHED,
    S_DELIVERED,
    S_EMITTED,
    S_LAST_RATE,
    S_LATENCY,
    S_MARGINAL,
    S_MULTIPLIER,
    S_PENDING,
    S_PRICE,
    S_QUALITY,
    S_RATE,
    S_SLOPE,
    S_WERNER,
    SENT,
    SEQ,
    SERVED,
    SHIFT,
    SINCE,
    SLOPE,
    SMOOTH,
    SPREAD,
    STAMPED,
    SWAP_LOSS,
    TAIL,
    TIMEOUTS,
    TRACED,
    UNDER_WAY,
    UNTIL,
    UP,
    WERNER,
    WINDOW,
    behead,
    draw,
    end,
    lose,
    part,
    pop,
    push,
    seen,
)

elasticity, wanted_rate, slope_of_rate = map(part, (plain.elasticity, plain.wanted_rate, plain.slope_of_rate))
wanted_multiplier, link_step, admitted = map(part, (plain.wanted_multiplier, plain.link_step, plain.admitted))
released, stamped_quality, marking = map(part, (plain.released, plain.stamped_quality, plain.marking))
timeout_s = part(plain.timeout_s)
SOFT_S, SOFT_SENDS, MOST_WINDOW = plain.SOFT_S, plain.SOFT_SENDS, float(plain.MOST_WINDOW)
START_WINDOW, START_THRESHOLD = plain.START_WINDOW, plain.START_THRESHOLD


@part
def attempt(plan, state, now, link):  # type: ignore[no-untyped-def]
    """Begin to make a pair."""
    of = state.link[link]
    of[SERVED] = of[L_W]
    at = now + draw(state) / (plan.d_hz[link] * (1.0 - of[L_W]))
    state.link_whole[link, PENDING] = push(state, at, READY, link)


@part
def declare(plan, state, now, row, link):  # type: ignore[no-untyped-def]
    """A header passes a link's controller."""
    of, header = state.link[link], state.real[row]
    flow = state.whole[row, OF_FLOW]
    state.link_whole[link, ARRIVALS] += 1
    soft = state.soft[plan.route_start[flow] + state.whole[row, HOP]]
    if soft[KNOWN] == 0.0:
        weight = plan.weight[flow]
        of[L_PRICE] = admitted(of[L_PRICE], of[L_WEIGHT], weight, plan.d_hz[link] * (1.0 - of[L_W]))
        of[L_STAMP] = of[L_PRICE]
        of[L_WEIGHT] += weight
    soft[UNTIL] = now + SOFT_S + SOFT_SENDS / header[RATE]
    soft[H_RATE], soft[H_SLOPE], soft[H_MARGINAL] = header[RATE], header[SLOPE], header[MARGINAL]
    soft[KNOWN] = 1.0


@part
def join(plan, state, now, row, link):  # type: ignore[no-untyped-def]
    """A request for a pair of a link."""
    queue, of = state.link_whole[link], state.link[link]
    if queue[UP] == 0:
        lose(state, row, FAILURE)
        return
    declare(plan, state, now, row, link)
    if of[L_MARK] > 0.0 and draw(state) > of[L_ABOVE]:
        state.whole[row, MARKED] = 1
    if queue[LENGTH] >= plan.storage:
        lose(state, behead(state, link), OVERFLOW)
    state.real[row, SINCE] = now
    if queue[LENGTH] == 0:
        queue[HEAD] = row
    else:
        state.whole[queue[TAIL], NEXT] = row
    queue[TAIL] = row
    queue[LENGTH] += 1
    most = state.most_waiting[state.count[BIN]]
    most[link] = max(most[link], queue[LENGTH])
    if queue[PENDING] < 0:
        attempt(plan, state, now, link)


@part
def send(plan, state, now, flow):  # type: ignore[no-untyped-def]
    """A q-datagram joins the first queue of its route."""
    count, source = state.count, state.source[flow]
    state.source_whole[flow, SENT] += 1
    count[UNDER_WAY] += 1
    state.flows[count[BIN], S_EMITTED, flow] += 1
    row = count[FREE]
    count[FREE] = state.whole[row, NEXT]
    count[NUM_FREE] -= 1
    header, number = state.real[row], state.whole[row]
    header[BORN], header[SINCE], header[WERNER], header[STAMPED], header[QUALITY] = now, now, 1.0, 0.0, 0.0
    header[RATE], header[SLOPE], header[MARGINAL] = source[S_RATE], source[S_SLOPE], source[S_MARGINAL]
    number[OF_FLOW], number[SEQ], number[HOP], number[MARKED] = flow, state.source_whole[flow, SENT], 0, 0
    join(plan, state, now, row, plan.route_link[plan.route_start[flow]])


@part
def fill_window(plan, state, now, flow):  # type: ignore[no-untyped-def]
    """As many q-datagrams as the window allows."""
    source = state.source_whole[flow]
    while source[ACTIVE] == 1 and source[SENT] - source[ACKED] < int(state.source[flow, WINDOW]):
        send(plan, state, now, flow)


@part
def emit(plan, state, now, flow):  # type: ignore[no-untyped-def]
    """A q-datagram, and the time of the next one."""
    rate = state.source[flow, S_RATE]
    state.source_whole[flow, S_PENDING] = push(state, now + draw(state) / rate, EMIT, flow)
    seen(state, now, EMIT, flow, rate)
    send(plan, state, now, flow)


@part
def ready(plan, state, now, link):  # type: ignore[no-untyped-def]
    """A pair for the oldest request."""
    of, queue = state.link[link], state.link_whole[link]
    row = behead(state, link)
    queue[PENDING] = -1
    header = state.real[row]
    header[STAMPED] += of[L_STAMP]
    later = state.whole[row, HOP] > 0
    if later:
        header[QUALITY] += of[L_LATER]
        header[WERNER] *= of[SERVED] * plan.swap_werner * exp(-plan.decay_hz * (now - header[SINCE]))
    else:
        header[QUALITY] = of[L_FIRST]
        header[WERNER] = of[SERVED]
    seen(state, now, READY, link, header[WERNER])
    if later and plan.swap_above > 0.0 and draw(state) <= plan.swap_above:
        lose(state, row, SWAP_LOSS)
    elif header[WERNER] < plan.cutoff:
        lose(state, row, CUTOFF)
    elif plan.lose_above < inf and draw(state) > plan.lose_above:
        lose(state, row, CLASSICAL)
    else:
        header[WERNER] *= plan.decay[link]
        push(state, now + plan.latency_s[link], ARRIVE, row)
    if queue[LENGTH] > 0:
        attempt(plan, state, now, link)


@part
def arrive(plan, state, now, row):  # type: ignore[no-untyped-def]
    """At the next node: ask for a pair of the next link, or deliver."""
    header, number = state.real[row], state.whole[row]
    flow = number[OF_FLOW]
    seen(state, now, ARRIVE, flow, header[WERNER])
    number[HOP] += 1
    if number[HOP] < plan.hops[flow]:
        join(plan, state, now, row, plan.route_link[plan.route_start[flow] + number[HOP]])
        return
    sums = state.flows[state.count[BIN]]
    state.count[UNDER_WAY] -= 1
    sums[S_DELIVERED, flow] += 1
    sums[S_WERNER, flow] += header[WERNER] * plan.ack_decay[flow]
    sums[S_LATENCY, flow] += now - header[BORN]
    if plan.mute_above < inf and draw(state) > plan.mute_above:
        end(state, row)
    else:
        push(state, now + plan.back_s[flow], ACK, row)


@part
def say(plan, state, flow):  # type: ignore[no-untyped-def]
    """What a source's next headers declare."""
    source, law = state.source[flow], plan.law
    source[S_SLOPE] = slope_of_rate(plan.hops[flow], plan.weight[flow], plan.alpha[flow], source[S_RATE])
    source[S_MARGINAL] = source[S_MULTIPLIER]
    if law.local == 0:
        elastic = elasticity(plan.utility[flow], source[S_QUALITY], law.most_elastic)
        source[S_MARGINAL] += plan.quality_weight[flow] * elastic


@part
def adapt(source, number, seq, congested):  # type: ignore[no-untyped-def]
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
def hear(plan, state, now, row, flow):  # type: ignore[no-untyped-def]
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
        source[S_PRICE], source[S_QUALITY] = header[STAMPED], header[QUALITY]
        weight, most = plan.weight[flow], plan.most_rate[flow]
        source[S_RATE] = wanted_rate(weight, plan.alpha[flow], header[STAMPED], law.least_rate_hz, most)
        say(plan, state, flow)


@part
def ack(plan, state, now, row):  # type: ignore[no-untyped-def]
    """News of the route for the source."""
    flow = state.whole[row, OF_FLOW]
    state.count[ACKS] += 1
    seen(state, now, ACK, flow, state.real[row, STAMPED])
    active = state.source_whole[flow, ACTIVE] == 1
    if active:
        hear(plan, state, now, row, flow)
    end(state, row)
    if active and plan.law.window == 1:
        fill_window(plan, state, now, flow)


@part
def move_link(plan, state, now, link):  # type: ignore[no-untyped-def]
    """One step of a link's price and Werner parameter."""
    law, of, queue = plan.law, state.link[link], state.link_whole[link]
    load = weight = slopes = marginal = later = 0.0
    for at in range(plan.link_start[link], plan.link_start[link + 1]):
        place = plan.link_place[at]
        soft, flow = state.soft[place], plan.place_flow[place]
        if soft[KNOWN] == 0.0:
            continue
        if soft[UNTIL] < now:
            of[L_PRICE] = released(of[L_PRICE], of[L_WEIGHT], plan.weight[flow])
            of[L_WEIGHT] -= plan.weight[flow]
            soft[KNOWN] = 0.0
            continue
        worth = soft[H_MARGINAL]
        if law.local == 1:
            log_w = of[L_FIRST] + (plan.hops[flow] - 1) * of[L_LATER]
            worth += plan.quality_weight[flow] * elasticity(plan.utility[flow], log_w, law.most_elastic)
        load += soft[H_RATE]
        weight += plan.weight[flow]
        slopes += soft[H_SLOPE]
        marginal += worth
        later += 0.0 if place == plan.route_start[flow] else worth
    of[L_WEIGHT] = weight
    if law.measured == 1:
        load = queue[ARRIVALS] / law.period_s
    queue[ARRIVALS] = 0
    if weight > 0.0:
        of[L_PRICE], of[L_W], of[L_STAMP], of[L_ROOM] = link_step(
            *(law, plan.d_hz[link], of[L_PRICE], of[L_W], load, weight, slopes, marginal, later),
            *(float(queue[LENGTH]), plan.decay_hz),
        )
        of[L_FIRST], of[L_LATER] = stamped_quality(
            law, of[L_W], max(of[L_ROOM], 1e-9), plan.decay_hz, plan.latency_s[link]
        )


@part
def update_link(plan, state, now, link):  # type: ignore[no-untyped-def]
    """A link's clock."""
    law, of, waiting = plan.law, state.link[link], state.link_whole[link, LENGTH]
    if law.window == 1:
        of[L_MARK] = marking(law, of[L_MARK], float(waiting), of[L_BEFORE])
        of[L_ABOVE] = -log(of[L_MARK]) if of[L_MARK] > 0.0 else inf
        of[L_BEFORE] = waiting
    if law.frozen == 0:
        move_link(plan, state, now, link)
    sums = state.links[state.count[BIN]]
    sums[0, link] += waiting
    sums[1, link] += 1
    sums[2, link] += of[L_W]
    sums[3, link] += of[L_STAMP]
    seen(state, now, LINK, link, of[L_W])
    push(state, now + law.period_s, LINK, link)


@part
def move_source(plan, state, now, flow):  # type: ignore[no-untyped-def]
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
            source[S_RATE] = max(law.least_rate_hz, 0.5 * source[S_RATE])
            say(plan, state, flow)


@part
def update_flow(plan, state, now, flow):  # type: ignore[no-untyped-def]
    """A source's clock."""
    active = state.source_whole[flow, ACTIVE] == 1
    if active:
        move_source(plan, state, now, flow)
    if plan.law.window == 1:
        fill_window(plan, state, now, flow)
    state.flows[state.count[BIN], S_LAST_RATE, flow] = state.source[flow, S_RATE] if active else 0.0
    seen(state, now, FLOW, flow, state.source[flow, S_MULTIPLIER])
    push(state, now + plan.law.period_s, FLOW, flow)


@part
def start(plan, state, now, flow):  # type: ignore[no-untyped-def]
    """A flow joins, knowing nothing."""
    source, number = state.source[flow], state.source_whole[flow]
    number[ACTIVE] = 1
    source[:] = 0.0
    source[S_RATE], source[HEARD] = plan.start_rate[flow], now
    source[WINDOW], source[LIMIT] = START_WINDOW, START_THRESHOLD
    number[ACKED] = number[CALM] = number[SENT]
    say(plan, state, flow)
    if plan.law.window == 1:
        fill_window(plan, state, now, flow)
    else:
        number[S_PENDING] = push(state, now + draw(state) / source[S_RATE], EMIT, flow)


@part
def change(plan, state, now, event):  # type: ignore[no-untyped-def]
    """A link fails or comes back, a flow joins or leaves."""
    what, who = plan.changes[event]
    seen(state, now, CHANGE, who, what)
    if what == LINK_DOWN:
        queue = state.link_whole[who]
        queue[UP], queue[PENDING] = 0, -1
        while queue[LENGTH] > 0:
            lose(state, behead(state, who), FAILURE)
    elif what == LINK_UP:
        state.link_whole[who, UP] = 1
    elif what == FLOW_OFF:
        state.source_whole[who, ACTIVE], state.source_whole[who, S_PENDING] = 0, -1
    elif what == FLOW_ON:
        start(plan, state, now, who)


@part
def happen(plan, state, now, kind, who):  # type: ignore[no-untyped-def]
    """One event."""
    if kind == READY:
        ready(plan, state, now, who)
    elif kind == ARRIVE:
        arrive(plan, state, now, who)
    elif kind == EMIT:
        emit(plan, state, now, who)
    elif kind == ACK:
        ack(plan, state, now, who)
    elif kind == LINK:
        update_link(plan, state, now, who)
    elif kind == FLOW:
        update_flow(plan, state, now, who)
    else:
        change(plan, state, now, who)


@part
def loop(plan, state, until):  # type: ignore[no-untyped-def]
    """Events before a time, while there is room for what one of them may need."""
    time, count = state.time, state.count
    most_drawn, most_events = state.draws.size - 2 * MARGIN, time.size - MARGIN
    most_traced = state.trace.shape[0] - 1 if state.trace.shape[0] > 0 else count[TRACED] + 1
    while count[EVENTS] > 0 and time[0] < until:
        if count[DRAWN] >= most_drawn:
            return NO_DRAWS
        if count[EVENTS] >= most_events or count[NUM_FREE] < MARGIN:
            return NO_ROOM
        if count[TRACED] >= most_traced:
            return NO_TRACE
        now, serial, code = time[0], state.serial[0], state.code[0]
        pop(state)
        count[BIN] = min(int(now / plan.bin_s), plan.last_bin)
        kind, who = code >> SHIFT, code & ((1 << SHIFT) - 1)
        if (kind == READY and state.link_whole[who, PENDING] != serial) or (
            kind == EMIT and state.source_whole[who, S_PENDING] != serial
        ):
            continue
        count[DONE] += 1
        happen(plan, state, now, kind, who)
    return REACHED


def _compiled(sources: int) -> Any:
    """The loop, kept on disk under a digest of all that it is made of: numba itself looks at this file alone."""

    @njit(cache=True, error_model="numpy", _nrt=False)
    def advance(plan, state, until):  # type: ignore[no-untyped-def]
        return loop(plan, state, until) + 0 * sources

    return advance


_FILES = (__file__, plain.__file__, settings.__file__, tables.__file__, rec.__file__)
_DIGEST = hashlib.sha256(b"".join(Path(name).read_bytes() for name in _FILES)).digest()
advance = _compiled(int.from_bytes(_DIGEST[:6]))
