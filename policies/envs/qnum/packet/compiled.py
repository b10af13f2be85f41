"""The compiled packet network from outside: the same run, the same record as the reference, many times as fast.

numba comes with the extra ``sparse``. The first run after a change compiles for half a minute; after that the machine
code is read from disk.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from circuits.errors import DependencyNotInstalled
from policies.envs.qnum.packet import record as rec
from policies.envs.qnum.packet.draws import Draws, threshold
from policies.envs.qnum.packet.laws import UTILITY_CODES, stamped_quality
from policies.envs.qnum.packet.record import CHANGE, FLOW, LINK, Record, Tell
from policies.envs.qnum.packet.settings import Run, latencies

ROWS = 1 << 14
DRAWS = 1 << 16
TRACED = 1 << 20


def simulate(run: Run, tell: Tell | None = None, *, trace: bool = False) -> Record:
    """Play a run from beginning to end; see :func:`policies.envs.qnum.packet.reference.simulate`.

    Raises:
        DependencyNotInstalled: numba is missing.
    """
    try:
        from policies.envs.qnum.packet import kernel, tables
    except ModuleNotFoundError as error:
        if error.name != "numba":
            raise
        raise DependencyNotInstalled("the compiled packet network", "numba", "sparse") from error
    plan, draws, traces = _plan(run, tables.Plan), Draws(run.seed, DRAWS), [np.zeros((0, 4))]
    state = _state(run, plan, tables, trace)
    state = state._replace(draws=draws.block())
    _begin(run, state, tables)
    count = state.count
    stops = [min((place + 1) * run.bin_s, run.duration_s) for place in range(run.num_bins)] if tell else []
    for place, until_s in enumerate(stops or [run.duration_s]):
        while (why := kernel.advance(plan, state, float(until_s))) != tables.REACHED:
            if why == tables.NO_DRAWS:
                rest = state.draws[count[tables.DRAWN] :]
                state = state._replace(draws=np.concatenate((rest, draws.block())))
                count[tables.DRAWN] = 0
            elif why == tables.NO_ROOM:
                state = _grown(state, tables)
            else:
                traces.append(state.trace[: count[tables.TRACED]].copy())
                count[tables.TRACED] = 0
        if tell is not None:
            tell(until_s, state.flows[place].T)
    traces.append(state.trace[: count[tables.TRACED]].copy())
    return Record(
        run,
        np.ascontiguousarray(state.flows.swapaxes(1, 2)),
        np.ascontiguousarray(state.links.swapaxes(1, 2)),
        state.most_waiting,
        num_events=int(count[tables.DONE]),
        num_inferred=int(count[tables.INFERRED]),
        num_timeouts=int(count[tables.TIMEOUTS]),
        num_acks=int(count[tables.ACKS]),
        under_way=int(count[tables.UNDER_WAY]),
        trace=np.concatenate(traces) if trace else None,
    )


def _plan(run: Run, plan_type: Any) -> Any:
    """Flows, links and physics as arrays."""
    network, physics = run.network, run.physics
    routes = network.routes
    light_s = np.array(latencies(network, physics))
    back_s = np.array([math.fsum(light_s[link] for link in flow.route) for flow in network.flows])
    decay_hz, by_link = physics.decay_hz, np.argsort(routes.indices, kind="stable")
    judged = [math.exp(-decay_hz * each) if physics.ack_decoherence else 1.0 for each in back_s.tolist()]
    return plan_type(
        law=run.law,
        decay_hz=decay_hz,
        storage=physics.storage,
        swap_werner=physics.swap_werner,
        swap_above=threshold(physics.swap_success),
        cutoff=physics.cutoff,
        lose_above=threshold(physics.datagram_loss),
        mute_above=threshold(physics.ack_loss),
        bin_s=float(run.bin_s),
        last_bin=run.num_bins - 1,
        route_start=routes.indptr.astype(np.int64),
        route_link=routes.indices.astype(np.int64),
        hops=network.hops,
        utility=np.array([UTILITY_CODES.index(flow.utility) for flow in network.flows]),
        weight=network.weights,
        quality_weight=network.quality_weights,
        alpha=network.alpha,
        log_w_min=network.log_w_min,
        most_rate=network.most_hz,
        start_rate=run.start_rates().astype(np.float64),
        back_s=back_s,
        ack_decay=np.array(judged),
        d_hz=network.d_hz,
        latency_s=light_s,
        decay=np.array([math.exp(-decay_hz * each) for each in light_s.tolist()]),
        link_start=np.concatenate(([0], np.cumsum(network.num_sharing))),
        soft_row=np.argsort(by_link).astype(np.int64),
        soft_flow=np.repeat(np.arange(network.num_flows), network.hops)[by_link],
        changes=np.array([event[1:] for event in run.events()], dtype=np.int64).reshape(-1, 2),
    )


def _state(run: Run, plan: Any, tables: Any, trace: bool) -> Any:
    """Everything at its beginning, without events."""
    num_flows, num_links, num_places = run.network.num_flows, run.network.num_links, plan.soft_flow.size
    flows, links, most_waiting = rec.empty(run)
    link, link_whole = np.zeros((num_links, 16)), np.zeros((num_links, 6), dtype=np.int64)
    link[:, tables.L_W] = run.start_werner()
    link[:, tables.L_ROOM] = max(run.law.least_room, 1e-3) * plan.d_hz * (1.0 - link[:, tables.L_W])
    link[:, [tables.L_ABOVE, tables.SURE_UNTIL]] = math.inf
    for number, row in enumerate(link):
        w, room = float(row[tables.L_W]), max(float(row[tables.L_ROOM]), 1e-9)
        row[[tables.L_FIRST, tables.L_LATER]] = stamped_quality(
            run.law, w, room, plan.decay_hz, float(plan.latency_s[number])
        )
    link_whole[:, tables.PENDING], link_whole[:, tables.UP] = -1, 1
    whole = np.zeros((ROWS, 5), dtype=np.int64)
    whole[:, tables.NEXT] = np.arange(1, ROWS + 1)
    count = np.zeros(13, dtype=np.int64)
    count[tables.NUM_FREE] = ROWS - 1
    soft = np.zeros((num_places, 7))
    soft[:, tables.H_WEIGHT] = run.network.weights[plan.soft_flow]
    soft[plan.soft_row[plan.route_start[:-1]], tables.FIRST] = 1.0
    source_whole = np.zeros((num_flows, 6), dtype=np.int64)
    source_whole[:, tables.S_PENDING] = -1
    events = ROWS + num_flows + num_links + len(plan.changes)
    return tables.State(
        time=np.zeros(events),
        serial=np.zeros(events, dtype=np.int64),
        code=np.zeros(events, dtype=np.int64),
        clock=np.zeros(num_flows + num_links),
        clock_whole=np.zeros((num_flows + num_links, 2), dtype=np.int64),
        count=count,
        draws=np.zeros(0),
        real=np.zeros((ROWS, 8)),
        whole=whole,
        source=np.zeros((num_flows, 12)),
        source_whole=source_whole,
        link=link,
        link_whole=link_whole,
        soft=soft,
        flows=np.ascontiguousarray(flows.swapaxes(1, 2)),
        links=np.ascontiguousarray(links.swapaxes(1, 2)),
        most_waiting=most_waiting,
        trace=np.zeros((TRACED if trace else 0, 4)),
    )


def _begin(run: Run, state: Any, tables: Any) -> None:
    """The first events, numbered as the reference does; in order of time, changes are a heap and clocks a ring."""
    changes, period_s = run.events(), run.law.period_s
    for place, (at_s, _, _) in enumerate(changes):
        state.time[place], state.serial[place], state.code[place] = at_s, place + 1, (CHANGE << tables.SHIFT) + place
    num_links, num_flows = run.network.num_links, run.network.num_flows
    whose = [(LINK << tables.SHIFT) + np.arange(num_links), (FLOW << tables.SHIFT) + np.arange(num_flows)]
    parts = [period_s * np.arange(1, size + 1) / (size + 1) for size in (num_links, num_flows)]
    at, serial = np.concatenate(parts), len(changes) + 1 + np.arange(num_links + num_flows)
    order = np.argsort(at, kind="stable")
    state.clock[:] = at[order]
    state.clock_whole[:] = np.stack((serial, np.concatenate(whose)), axis=1)[order]
    state.count[tables.EVENTS] = len(changes)
    state.count[tables.SERIAL] = len(changes) + num_links + num_flows


def _grown(state: Any, tables: Any) -> Any:
    """Twice the room for q-datagrams and events."""
    rows = state.real.shape[0]
    real = np.concatenate((state.real, np.zeros_like(state.real)))
    whole = np.concatenate((state.whole, np.zeros_like(state.whole)))
    whole[rows:, tables.NEXT] = np.arange(rows + 1, 2 * rows + 1)
    whole[2 * rows - 1, tables.NEXT] = state.count[tables.FREE]
    state.count[tables.FREE] = rows
    state.count[tables.NUM_FREE] += rows
    longer = {
        name: np.concatenate((getattr(state, name), np.zeros_like(getattr(state, name))[:rows]))
        for name in ("time", "serial", "code")
    }
    return state._replace(real=real, whole=whole, **longer)
