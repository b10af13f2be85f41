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

from policies.envs.qnum.packet import control, settings, tables
from policies.envs.qnum.packet import laws as plain
from policies.envs.qnum.packet import record as rec
from policies.envs.qnum.packet.control import declare, hear, move_link, move_source, say
from policies.envs.qnum.packet.record import ACK, ARRIVE, CHANGE, EMIT, FLOW, LINK, READY
from policies.envs.qnum.packet.settings import FLOW_OFF, FLOW_ON, LINK_DOWN, LINK_UP
from policies.envs.qnum.packet.tables import (
    ACKED,
    ACKS,
    ACTIVE,
    BIN,
    BORN,
    CALM,
    CLASSICAL,
    CLOCK,
    CUTOFF,
    DONE,
    DRAWN,
    EVENTS,
    FAILURE,
    FREE,
    HEAD,
    HEARD,
    HOP,
    L_ABOVE,
    L_BEFORE,
    L_FIRST,
    L_LATER,
    L_MARK,
    L_STAMP,
    L_W,
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
    S_RATE,
    S_SLOPE,
    S_WERNER,
    SENT,
    SEQ,
    SERVED,
    SHIFT,
    SILENT,
    SINCE,
    SLOPE,
    STAMPED,
    STATED,
    SWAP_LOSS,
    TAIL,
    TRACED,
    UNDER_WAY,
    UP,
    WERNER,
    WINDOW,
    again,
    behead,
    draw,
    end,
    lose,
    part,
    pop,
    push,
    seen,
)

marking = part(plain.marking)
START_WINDOW, START_THRESHOLD = plain.START_WINDOW, plain.START_THRESHOLD


@part
def attempt(plan, state, now, link):
    """Begin to make a pair."""
    of = state.link[link]
    of[SERVED] = of[L_W]
    at = now + draw(state) / (plan.d_hz[link] * (1.0 - of[L_W]))
    state.link_whole[link, PENDING] = push(state, at, READY, link)


@part
def join(plan, state, now, row, link):
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
def send(plan, state, now, flow):
    """A q-datagram joins the first queue of its route."""
    count, source = state.count, state.source[flow]
    state.source_whole[flow, SENT] += 1
    count[UNDER_WAY] += 1
    state.flows[count[BIN], flow, S_EMITTED] += 1
    row = count[FREE]
    count[FREE] = state.whole[row, NEXT]
    count[NUM_FREE] -= 1
    header, number = state.real[row], state.whole[row]
    header[BORN], header[SINCE], header[WERNER], header[STAMPED], header[QUALITY] = now, now, 1.0, 0.0, 0.0
    header[RATE], header[SLOPE], header[MARGINAL] = source[STATED], source[S_SLOPE], source[S_MARGINAL]
    number[OF_FLOW], number[SEQ], number[HOP], number[MARKED] = flow, state.source_whole[flow, SENT], 0, 0
    join(plan, state, now, row, plan.route_link[plan.route_start[flow]])


@part
def fill_window(plan, state, now, flow):
    """As many q-datagrams as the window allows."""
    source = state.source_whole[flow]
    while source[ACTIVE] == 1 and source[SENT] - source[ACKED] < int(state.source[flow, WINDOW]):
        send(plan, state, now, flow)


@part
def emit(plan, state, now, flow):
    """A q-datagram, and the time of the next one."""
    rate = state.source[flow, S_RATE]
    state.source_whole[flow, S_PENDING] = push(state, now + draw(state) / rate, EMIT, flow)
    seen(state, now, EMIT, flow, rate)
    send(plan, state, now, flow)


@part
def ready(plan, state, now, link):
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
def arrive(plan, state, now, row):
    """At the next node: ask for a pair of the next link, or deliver."""
    header, number = state.real[row], state.whole[row]
    flow = number[OF_FLOW]
    seen(state, now, ARRIVE, flow, header[WERNER])
    number[HOP] += 1
    if number[HOP] < plan.hops[flow]:
        join(plan, state, now, row, plan.route_link[plan.route_start[flow] + number[HOP]])
        return
    sums = state.flows[state.count[BIN], flow]
    state.count[UNDER_WAY] -= 1
    sums[S_DELIVERED] += 1
    sums[S_WERNER] += header[WERNER] * plan.ack_decay[flow]
    sums[S_LATENCY] += now - header[BORN]
    if plan.mute_above < inf and draw(state) > plan.mute_above:
        end(state, row)
    else:
        push(state, now + plan.back_s[flow], ACK, row)


@part
def ack(plan, state, now, row):
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
def update_link(plan, state, now, link):
    """A link's clock."""
    law, of, waiting = plan.law, state.link[link], state.link_whole[link, LENGTH]
    if law.window == 1:
        of[L_MARK] = marking(law, of[L_MARK], float(waiting), of[L_BEFORE])
        of[L_ABOVE] = -log(of[L_MARK]) if of[L_MARK] > 0.0 else inf
        of[L_BEFORE] = waiting
    if law.frozen == 0:
        move_link(plan, state, now, link)
    sums = state.links[state.count[BIN], link]
    sums[0] += waiting
    sums[1] += 1
    sums[2] += of[L_W]
    sums[3] += of[L_STAMP]
    seen(state, now, LINK, link, of[L_W])
    again(state, now + law.period_s)


@part
def update_flow(plan, state, now, flow):
    """A source's clock."""
    active = state.source_whole[flow, ACTIVE] == 1
    if active:
        move_source(plan, state, now, flow)
    if plan.law.window == 1:
        fill_window(plan, state, now, flow)
    state.flows[state.count[BIN], flow, S_LAST_RATE] = state.source[flow, S_RATE] if active else 0.0
    seen(state, now, FLOW, flow, state.source[flow, S_MULTIPLIER])
    again(state, now + plan.law.period_s)


@part
def start(plan, state, now, flow):
    """A flow joins, knowing nothing."""
    source, number = state.source[flow], state.source_whole[flow]
    number[ACTIVE] = 1
    source[:] = 0.0
    source[S_RATE], source[HEARD] = plan.start_rate[flow], now
    source[WINDOW], source[LIMIT] = START_WINDOW, START_THRESHOLD
    number[ACKED] = number[CALM] = number[SENT]
    number[SILENT] = 0
    say(plan, state, flow)
    if plan.law.window == 1:
        fill_window(plan, state, now, flow)
    else:
        number[S_PENDING] = push(state, now + draw(state) / source[S_RATE], EMIT, flow)


@part
def change(plan, state, now, event):
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
def happen(plan, state, now, kind, who):
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
def loop(plan, state, until):
    """Events before a time, while there is room for what one of them may need."""
    time, count = state.time, state.count
    most_drawn, most_events = state.draws.size - 2 * MARGIN, time.size - MARGIN
    most_traced = state.trace.shape[0] - 1 if state.trace.shape[0] > 0 else count[TRACED] + 1
    while True:
        clock = count[CLOCK]
        now, serial = state.clock[clock], state.clock_whole[clock, 0]
        sooner = count[EVENTS] > 0 and (time[0] < now or (time[0] == now and state.serial[0] < serial))
        if sooner:
            now, serial = time[0], state.serial[0]
        if now >= until:
            break
        if count[DRAWN] >= most_drawn:
            return NO_DRAWS
        if count[EVENTS] >= most_events or count[NUM_FREE] < MARGIN:
            return NO_ROOM
        if count[TRACED] >= most_traced:
            return NO_TRACE
        code = state.clock_whole[clock, 1]
        if sooner:
            code = state.code[0]
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
    def advance(plan, state, until):
        return loop(plan, state, until) + 0 * sources

    return advance


_FILES = (__file__, control.__file__, plain.__file__, settings.__file__, tables.__file__, rec.__file__)
_DIGEST = hashlib.sha256(b"".join(Path(name).read_bytes() for name in _FILES)).digest()
advance = _compiled(int.from_bytes(_DIGEST[:6]))
