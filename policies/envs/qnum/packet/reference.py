"""The packet network in clear Python: a heap of events, q-datagrams that carry a pair along, queues, ACKs.

A source emits q-datagrams as a Poisson process of its rate (or as its window allows). A link serves requests in the
order in which they came, from both directions, and makes pairs only while some wait: exponential times of mean 1/c, c
as it is when it begins (ours, for a geometric number of short attempts). The first pair of a route waits for nobody;
later ones are swapped with the pair that has waited in memory since its q-datagram came. At the destination an ACK goes
back over the same fibres. On-demand pairs, swapping in order and dropping the oldest are related work's
(QTCP); everything is exact in continuous time.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from typing import Any

import numpy as np

from policies.envs.qnum.packet import record as rec
from policies.envs.qnum.packet.controllers import Facts, LinkController, Source
from policies.envs.qnum.packet.draws import Draws, threshold
from policies.envs.qnum.packet.laws import UTILITY_CODES
from policies.envs.qnum.packet.record import ACK, ARRIVE, CHANGE, EMIT, FLOW, LINK, READY, Record, Tell
from policies.envs.qnum.packet.settings import FLOW_OFF, FLOW_ON, LINK_DOWN, LINK_UP, Run, latencies

SWAP, OVERFLOW, CUTOFF, FAILURE, CLASSICAL = range(rec.LOST, rec.LOST + 5)


class Datagram:
    """A q-datagram, and then its ACK: the header and the pair that it stands for."""

    __slots__ = (
        *("flow", "seq", "hop", "born", "since", "werner", "price", "log_w", "marked"),
        *("rate_hz", "slope", "marginal"),
    )

    def __init__(self, flow: Flow, now: float) -> None:
        source = flow.source
        self.flow, self.seq, self.hop, self.born, self.since = flow, source.sent, 0, now, now
        self.werner, self.price, self.log_w, self.marked = 1.0, 0.0, 0.0, False
        self.rate_hz, self.slope, self.marginal = source.stated_hz, source.slope, source.marginal


class Flow:
    """A source with its route."""

    __slots__ = ("back_s", "facts", "number", "pending", "route", "source")

    def __init__(self, source: Source, route: list[Port], back_s: float) -> None:
        self.source, self.facts, self.number = source, source.facts, source.facts.flow
        self.route, self.back_s, self.pending = route, back_s, -1


class Port:
    """A link with its queue."""

    __slots__ = ("control", "decay", "latency_s", "number", "pending", "queue", "served_w", "up")

    def __init__(self, number: int, control: LinkController) -> None:
        self.number, self.control, self.latency_s = number, control, control.latency_s
        self.decay = math.exp(-control.decay_hz * control.latency_s)
        self.queue: deque[Datagram] = deque()
        self.pending, self.served_w, self.up = -1, 0.0, True


def simulate(run: Run, tell: Tell | None = None, *, trace: bool = False) -> Record:
    """Play a run from beginning to end.

    Args:
        tell: see :data:`policies.envs.qnum.packet.record.Tell`.   trace: whether every event is recorded.
    """
    return _Reference(run, trace).play(tell)


class _Reference:
    """State of a run, and what happens at each event."""

    def __init__(self, run: Run, trace: bool) -> None:
        network, physics, law = run.network, run.physics, run.law
        self.run, self.law, self.physics = run, law, physics
        self.draw = Draws(run.seed).one_by_one()
        self.decay_hz, self.storage, self.cutoff = physics.decay_hz, physics.storage, physics.cutoff
        self.swap_above, self.swap_werner = threshold(physics.swap_success), physics.swap_werner
        self.lose_above, self.mute_above = threshold(physics.datagram_loss), threshold(physics.ack_loss)
        self.ports = [
            Port(number, LinkController(law, link.d_hz, latency_s, self.decay_hz, w))
            for number, (link, latency_s, w) in enumerate(
                zip(network.links, latencies(network, physics), run.start_werner().tolist(), strict=True)
            )
        ]
        self.flows = self._flows()
        self.heap: list[tuple[float, int, int, Any]] = []
        self.serial = 0
        flows, links, waiting = rec.empty(run)
        self.flow_sums, self.link_sums, self.most_waiting = flows.tolist(), links.tolist(), waiting.tolist()
        self.num_events = self.num_acks = self.under_way = 0
        self.bin = 0
        self.trace: list[tuple[float, int, int, float]] | None = [] if trace else None

    def _flows(self) -> list[Flow]:
        network = self.run.network
        rates, most = self.run.start_rates().tolist(), network.most_hz.tolist()
        found = []
        for number, flow in enumerate(network.flows):
            facts = Facts(
                number,
                len(flow.route),
                UTILITY_CODES.index(flow.utility),
                flow.weight,
                flow.weight * flow.theta,
                flow.alpha,
                float(network.log_w_min[number]),
                most[number],
            )
            route = [self.ports[link] for link in flow.route]
            back_s = math.fsum(port.latency_s for port in route)
            found.append(Flow(Source(facts, self.law, rates[number]), route, back_s))
        return found

    def play(self, tell: Tell | None) -> Record:
        """All events in the order of time, and of their making among equals."""
        run, heap = self.run, self.heap
        self._begin()
        handlers = (self.emit, self.ready, self.arrive, self.ack, self.update_link, self.update_flow, self.change)
        duration_s, bin_s, last_bin = run.duration_s, run.bin_s, run.num_bins - 1
        pop = heapq.heappop
        while heap:
            now, serial, kind, whom = pop(heap)
            if now >= duration_s:
                break
            place = min(int(now / bin_s), last_bin)
            if place != self.bin:
                if tell is not None:
                    tell(now, np.array(self.flow_sums[self.bin]))
                self.bin = place
            if kind in {READY, EMIT} and whom.pending != serial:
                continue
            self.num_events += 1
            handlers[kind](now, whom)
        return self._record()

    def _begin(self) -> None:
        period_s = self.law.period_s
        for number, event in enumerate(self.run.events()):
            self.push(event[0], CHANGE, (number, *event[1:]))
        for number, port in enumerate(self.ports):
            self.push(period_s * (number + 1) / (len(self.ports) + 1), LINK, port)
        for number, flow in enumerate(self.flows):
            self.push(period_s * (number + 1) / (len(self.flows) + 1), FLOW, flow)

    def push(self, at: float, kind: int, whom: Any) -> int:
        """Let something happen later; the number of that event."""
        self.serial += 1
        heapq.heappush(self.heap, (at, self.serial, kind, whom))
        return self.serial

    def seen(self, now: float, kind: int, number: int, value: float) -> None:
        """An event, for the trace."""
        if self.trace is not None:
            self.trace.append((now, kind, number, value))

    def emit(self, now: float, flow: Flow) -> None:
        """A q-datagram, and the time of the next one."""
        rate_hz = flow.source.rate_hz
        flow.pending = self.push(now + self.draw() / rate_hz, EMIT, flow)
        self.seen(now, EMIT, flow.number, rate_hz)
        self.send(now, flow)

    def send(self, now: float, flow: Flow) -> None:
        """A q-datagram joins the first queue of its route."""
        flow.source.sent += 1
        self.under_way += 1
        self.flow_sums[self.bin][rec.EMITTED][flow.number] += 1
        self.join(now, Datagram(flow, now), flow.route[0])

    def fill_window(self, now: float, flow: Flow) -> None:
        """As many q-datagrams as the window allows."""
        source = flow.source
        while source.active and source.sent - source.acked < int(source.window):
            self.send(now, flow)

    def join(self, now: float, datagram: Datagram, port: Port) -> None:
        """A request for a pair of this link."""
        if not port.up:
            self.lose(datagram, FAILURE)
            return
        control, queue = port.control, port.queue
        first = datagram.hop == 0
        control.declare(now, datagram.flow.facts, first, datagram.rate_hz, datagram.slope, datagram.marginal)
        if control.mark > 0.0 and self.draw() > control.mark_above:
            datagram.marked = True
        if len(queue) >= self.storage:
            self.lose(queue.popleft(), OVERFLOW)
        datagram.since = now
        queue.append(datagram)
        most = self.most_waiting[self.bin]
        if len(queue) > most[port.number]:
            most[port.number] = len(queue)
        if port.pending < 0:
            self.attempt(now, port)

    def attempt(self, now: float, port: Port) -> None:
        """Begin to make a pair with the link's present setting."""
        control = port.control
        port.served_w = control.w
        port.pending = self.push(now + self.draw() / (control.d_hz * (1.0 - control.w)), READY, port)

    def ready(self, now: float, port: Port) -> None:
        """A pair for the oldest request: swap it, stamp the header, send it on."""
        datagram = port.queue.popleft()
        port.pending = -1
        control = port.control
        datagram.price += control.stamp
        later = datagram.hop > 0
        if later:
            datagram.log_w += control.later_quality
            datagram.werner *= port.served_w * self.swap_werner * math.exp(-self.decay_hz * (now - datagram.since))
        else:
            datagram.log_w = control.first_quality
            datagram.werner = port.served_w
        self.seen(now, READY, port.number, datagram.werner)
        if later and self.swap_above > 0.0 and self.draw() <= self.swap_above:
            self.lose(datagram, SWAP)
        elif datagram.werner < self.cutoff:
            self.lose(datagram, CUTOFF)
        elif self.lose_above < math.inf and self.draw() > self.lose_above:
            self.lose(datagram, CLASSICAL)
        else:
            datagram.werner *= port.decay
            self.push(now + port.latency_s, ARRIVE, datagram)
        if port.queue:
            self.attempt(now, port)

    def lose(self, datagram: Datagram, cause: int) -> None:
        """The pair is gone, and nobody is told."""
        self.under_way -= 1
        self.flow_sums[self.bin][cause][datagram.flow.number] += 1

    def arrive(self, now: float, datagram: Datagram) -> None:
        """At the next node: ask for a pair of the next link, or deliver."""
        flow = datagram.flow
        self.seen(now, ARRIVE, flow.number, datagram.werner)
        datagram.hop += 1
        if datagram.hop < flow.facts.hops:
            self.join(now, datagram, flow.route[datagram.hop])
            return
        werner = datagram.werner
        if self.physics.ack_decoherence:
            werner *= math.exp(-self.decay_hz * flow.back_s)
        sums, number = self.flow_sums[self.bin], flow.number
        self.under_way -= 1
        sums[rec.DELIVERED][number] += 1
        sums[rec.WERNER][number] += werner
        sums[rec.LATENCY][number] += now - datagram.born
        if not (self.mute_above < math.inf and self.draw() > self.mute_above):
            self.push(now + flow.back_s, ACK, datagram)

    def ack(self, now: float, datagram: Datagram) -> None:
        """News of the route for the source."""
        flow = datagram.flow
        self.num_acks += 1
        self.seen(now, ACK, flow.number, datagram.price)
        if flow.source.active:
            asked = datagram.rate_hz == 0.0
            flow.source.hear(now, datagram.seq, datagram.born, datagram.price, datagram.log_w, datagram.marked, asked)
            if self.law.window == 1:
                self.fill_window(now, flow)

    def update_link(self, now: float, port: Port) -> None:
        """A link's controller moves; what there is to see is sampled."""
        control, number, waiting = port.control, port.number, len(port.queue)
        control.update(now, waiting)
        sums = self.link_sums[self.bin]
        sums[rec.QUEUE][number] += waiting
        sums[rec.TICKS][number] += 1
        sums[rec.W][number] += control.w
        sums[rec.PRICE][number] += control.stamp
        self.seen(now, LINK, number, control.w)
        self.push(now + self.law.period_s, LINK, port)

    def update_flow(self, now: float, flow: Flow) -> None:
        """A source's clock."""
        source = flow.source
        source.update(now)
        if self.law.window == 1:
            self.fill_window(now, flow)
        self.flow_sums[self.bin][rec.RATE][flow.number] = source.rate_hz if source.active else 0.0
        self.seen(now, FLOW, flow.number, source.multiplier)
        self.push(now + self.law.period_s, FLOW, flow)

    def change(self, now: float, event: tuple[int, int, int]) -> None:
        """A link fails or comes back, a flow joins or leaves."""
        _, what, who = event
        self.seen(now, CHANGE, who, float(what))
        if what == LINK_DOWN:
            port = self.ports[who]
            port.up, port.pending = False, -1
            while port.queue:
                self.lose(port.queue.popleft(), FAILURE)
        elif what == LINK_UP:
            self.ports[who].up = True
        elif what == FLOW_OFF:
            self.flows[who].source.active, self.flows[who].pending = False, -1
        elif what == FLOW_ON:
            self._start(now, self.flows[who])

    def _start(self, now: float, flow: Flow) -> None:
        flow.source.active = True
        flow.source.join(now)
        if self.law.window == 1:
            self.fill_window(now, flow)
        else:
            flow.pending = self.push(now + self.draw() / flow.source.rate_hz, EMIT, flow)

    def _record(self) -> Record:
        sources = [flow.source for flow in self.flows]
        return Record(
            self.run,
            np.array(self.flow_sums),
            np.array(self.link_sums),
            np.array(self.most_waiting),
            num_events=self.num_events,
            num_inferred=sum(source.inferred for source in sources),
            num_timeouts=sum(source.timeouts for source in sources),
            num_acks=self.num_acks,
            under_way=self.under_way,
            trace=None if self.trace is None else np.array(self.trace),
        )
