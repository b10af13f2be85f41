"""What a run leaves behind, in bins of time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.envs.qnum.packet.settings import CAUSES, Run

Floats = NDArray[np.float64]
FLOW_SUMS = ("emitted", "delivered", "werner", "latency_s", "rate_hz", *CAUSES)
LINK_SUMS = ("queue", "ticks", "w", "price")
EMITTED, DELIVERED, WERNER, LATENCY, RATE, LOST = range(6)
QUEUE, TICKS, W, PRICE = range(4)
EMIT, READY, ARRIVE, ACK, LINK, FLOW, CHANGE = range(7)
EVENTS = ("emit", "ready", "arrive", "ack", "link", "flow", "change")
"""Kinds of events: a source emits, a link has made a pair, a q-datagram or an ACK arrives, a controller updates."""


Tell = Callable[[float, Floats], object]
"""Called at the end of each bin with the simulated time and the bin's sums of flows, float64 (10, N)."""


@dataclass(frozen=True)
class Record:
    """Sums of each bin.

    Attributes:
        flows: by bin, :data:`FLOW_SUMS` and flow; ``rate_hz`` is the source's last one.    float64 (B, 10, N)
        links: by bin, :data:`LINK_SUMS` and link, sampled at its updates.    float64 (B, 4, L)
        most_waiting: longest queue by bin and link.    float64 (B, L)
        num_events: that happened.   num_inferred: losses that sources inferred from gaps.   num_timeouts: of sources.
        num_acks: that arrived.   under_way: q-datagrams that had not ended.
        trace: (time, kind, flow or link, value) of every event if asked for.    float64 (num_events, 4)
    """

    run: Run
    flows: Floats
    links: Floats
    most_waiting: Floats
    num_events: int
    num_inferred: int
    num_timeouts: int
    num_acks: int
    under_way: int
    trace: Floats | None = None


def empty(run: Run) -> tuple[Floats, Floats, Floats]:
    """Zeros in the shapes of flows, links and most_waiting."""
    bins, flows, links = run.num_bins, run.network.num_flows, run.network.num_links
    shapes = (bins, len(FLOW_SUMS), flows), (bins, len(LINK_SUMS), links), (bins, links)
    sums: list[Any] = [np.zeros(shape) for shape in shapes]
    return sums[0], sums[1], sums[2]
