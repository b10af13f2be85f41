"""Where the compiled packet network keeps things: rows of tables, and a binary heap of events.

A q-datagram is a row of two tables (real and whole numbers); free rows form a list, and so do waiting requests. An
event is its time, its number, which orders events of one time, and its kind with whom it is about.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import njit

from policies.envs.qnum.packet import record as rec
from policies.envs.qnum.packet.laws import MOST_WINDOW
from policies.envs.qnum.packet.settings import Law

# columns of the tables, in their order
BORN, SINCE, WERNER, STAMPED, QUALITY, RATE, SLOPE, MARGINAL = range(8)
OF_FLOW, SEQ, HOP, MARKED, NEXT = range(5)
S_RATE, S_PRICE, S_QUALITY, S_MULTIPLIER, S_MARGINAL, S_SLOPE, HEARD, SMOOTH, SPREAD, WINDOW, LIMIT, STATED = range(12)
ACTIVE, SENT, ACKED, CALM, S_PENDING, SILENT = range(6)
L_W, L_PRICE, L_STAMP, L_ROOM, L_WEIGHT, L_MARK, L_BEFORE, L_ABOVE, L_FIRST, L_LATER, SERVED = range(11)
SUM_RATE, SUM_SLOPE, SUM_MARGINAL, SUM_LATER, SURE_UNTIL = range(11, 16)
PENDING, UP, HEAD, TAIL, LENGTH, ARRIVALS = range(6)
UNTIL, H_RATE, H_SLOPE, H_MARGINAL, KNOWN, H_WEIGHT, FIRST = range(7)
EVENTS, SERIAL, DONE, ACKS, UNDER_WAY, FREE, NUM_FREE, DRAWN, TRACED, BIN, INFERRED, TIMEOUTS, CLOCK = range(13)
SWAP_LOSS, OVERFLOW, CUTOFF, FAILURE, CLASSICAL = range(rec.LOST, rec.LOST + 5)
S_EMITTED, S_DELIVERED, S_WERNER, S_LATENCY, S_LAST_RATE = range(5)

SHIFT = 40
"""An event is its kind, shifted, and a number."""
MARGIN = MOST_WINDOW + 8
"""Rows, events and pairs of draws that must be left before an event: it may send a whole window."""
REACHED, NO_DRAWS, NO_ROOM, NO_TRACE = range(4)
"""Why :func:`advance` came back."""


part = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True, _nrt=False)
"""Of the kernel, called from within alone: without a door for Python, which takes long to compile, and without counting
references, which costs more than the events: nothing is allocated, and the caller holds every array."""


class Plan(NamedTuple):
    """What stays: the law, physics, and flows and links as arrays; see :mod:`policies.envs.qnum.packet.compiled`."""

    law: Law
    decay_hz: float
    storage: int
    swap_werner: float
    swap_above: float
    cutoff: float
    lose_above: float
    mute_above: float
    bin_s: float
    last_bin: int
    route_start: Any
    route_link: Any
    hops: Any
    utility: Any
    weight: Any
    quality_weight: Any
    alpha: Any
    log_w_min: Any
    most_rate: Any
    start_rate: Any
    back_s: Any
    ack_decay: Any
    d_hz: Any
    latency_s: Any
    decay: Any
    link_start: Any
    soft_row: Any
    soft_flow: Any
    changes: Any


class State(NamedTuple):
    """What changes: heap, clocks, counters, draws, q-datagrams, sources, links, soft state, sums, trace."""

    time: Any
    serial: Any
    code: Any
    clock: Any
    clock_whole: Any
    count: Any
    draws: Any
    real: Any
    whole: Any
    source: Any
    source_whole: Any
    link: Any
    link_whole: Any
    soft: Any
    flows: Any
    links: Any
    most_waiting: Any
    trace: Any


@part
def push(state, at, kind, who):
    """An event into the heap; its number."""
    time, serial, code, count = state.time, state.serial, state.code, state.count
    count[SERIAL] += 1
    number = count[SERIAL]
    place = count[EVENTS]
    count[EVENTS] += 1
    while place > 0:
        above = (place - 1) >> 1
        if time[above] <= at:  # a later number never goes before an equal time
            break
        time[place], serial[place], code[place] = time[above], serial[above], code[above]
        place = above
    time[place], serial[place], code[place] = at, number, (kind << SHIFT) + who
    return number


@part
def pop(state):
    """Take the first event off the heap, whose time, number and code have been read."""
    time, serial, code, count = state.time, state.serial, state.code, state.count
    count[EVENTS] -= 1
    size = count[EVENTS]
    at, number, what = time[size], serial[size], code[size]
    place = 0
    while True:
        below = 2 * place + 1
        if below >= size:
            break
        if below + 1 < size and (
            time[below + 1] < time[below] or (time[below + 1] == time[below] and serial[below + 1] < serial[below])
        ):
            below += 1
        if time[below] > at or (time[below] == at and serial[below] > number):
            break
        time[place], serial[place], code[place] = time[below], serial[below], code[below]
        place = below
    time[place], serial[place], code[place] = at, number, what


@part
def again(state, at):
    """A controller's next update, into the place of this one: all wait equally long, so that a ring is in order."""
    count = state.count
    count[SERIAL] += 1
    place = count[CLOCK]
    state.clock[place], state.clock_whole[place, 0] = at, count[SERIAL]
    count[CLOCK] = place + 1 if place + 1 < state.clock.size else 0


@part
def draw(state):
    """The next number of chance."""
    count = state.count
    number = state.draws[count[DRAWN]]
    count[DRAWN] += 1
    return number


@part
def seen(state, now, kind, number, value):
    """An event, for the trace."""
    trace = state.trace
    if trace.shape[0] > 0:
        row = trace[state.count[TRACED]]
        row[0], row[1], row[2], row[3] = now, kind, number, value
        state.count[TRACED] += 1


@part
def end(state, row):
    """A row of the table is free."""
    count = state.count
    state.whole[row, NEXT] = count[FREE]
    count[FREE] = row
    count[NUM_FREE] += 1


@part
def lose(state, row, cause):
    """A pair is gone."""
    state.count[UNDER_WAY] -= 1
    state.flows[state.count[BIN], state.whole[row, OF_FLOW], cause] += 1
    end(state, row)


@part
def behead(state, link):
    """Take the oldest request off a queue."""
    queue = state.link_whole[link]
    row = queue[HEAD]
    queue[HEAD] = state.whole[row, NEXT]
    queue[LENGTH] -= 1
    return row
