"""A run in figures: rates, quality, queues, losses, overhead, and how near it comes to an optimum.

Metrics are ours, as in :mod:`policies.envs.qnum.problem`: G = exp((U - U*)/Σω), here of delivered pairs per second and
of the mean Werner parameter with which they were delivered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from policies.envs.qnum.packet import record as rec
from policies.envs.qnum.packet.record import Floats, Record
from policies.envs.qnum.packet.settings import CAUSES, Law
from policies.envs.qnum.problem import utilities
from policies.envs.qnum.werner import fidelity

FLOAT_BYTE = 8
"""Of one number in a header (ours)."""


@dataclass(frozen=True)
class Summary:
    """Figures of a stretch of a run.

    Attributes:
        rates_hz, werner, latency_s: of delivered pairs, by flow; NaN where none was.    float64 (N,)
        utilities: of each flow, minus infinity for nothing.    float64 (N,)
        mean_queue, most_waiting: by link; most_waiting over the whole stretch.    float64 (L,)
        link_werner, prices: by link, averaged over its updates.    float64 (L,)
        lost: pairs by cause.   overhead_byte: control bytes for each delivered pair, of the whole run.
        jain: of the rates.
    """

    rates_hz: Floats
    werner: Floats
    latency_s: Floats
    utilities: Floats
    mean_queue: Floats
    most_waiting: Floats
    link_werner: Floats
    prices: Floats
    lost: dict[str, int]
    overhead_byte: float
    jain: float

    @property
    def utility(self) -> float:
        """Σ U."""
        return float(self.utilities.sum())

    @property
    def fidelities(self) -> Floats:
        """(1 + 3 W)/4."""
        return fidelity(self.werner)


def header_byte(law: Law) -> tuple[int, int]:
    """Control bytes of a q-datagram and of an ACK, beside flow and number, which any network needs.

    Prices need rate, its slope, marginal quality, running quality and running price, and bring back the last two; with
    quality taken locally the marginal and the running quality stay at home. Marks are one byte.
    """
    if law.window == 1:
        return 1, 1
    if law.frozen == 1:
        return 0, 0
    return (3 * FLOAT_BYTE, FLOAT_BYTE) if law.local == 1 else (5 * FLOAT_BYTE, 2 * FLOAT_BYTE)


def summary(record: Record, begin_s: float = 0.0, end_s: float = math.inf) -> Summary:
    """Figures of the bins that lie in [begin_s, end_s)."""
    run = record.run
    begin, end = round(begin_s / run.bin_s), min(run.num_bins, math.floor(min(end_s, 1e9) / run.bin_s + 1e-9))
    flows, links = record.flows[begin:end].sum(axis=0), record.links[begin:end].sum(axis=0)
    seconds = min(end * run.bin_s, run.duration_s) - begin * run.bin_s
    delivered = flows[rec.DELIVERED]
    rates_hz = delivered / seconds
    with np.errstate(invalid="ignore"):
        werner, latency_s = flows[rec.WERNER] / delivered, flows[rec.LATENCY] / delivered
    worth = np.full(rates_hz.size, -math.inf)
    some = delivered > 0
    worth[some] = utilities(run.network, np.maximum(rates_hz, 1e-12), np.nan_to_num(werner))[some]
    emitted, total = record.flows[:, rec.EMITTED].sum(), record.flows[:, rec.DELIVERED].sum()
    there, back = header_byte(run.law)
    ticks = np.maximum(links[rec.TICKS], 1.0)
    return Summary(
        rates_hz=rates_hz,
        werner=werner,
        latency_s=latency_s,
        utilities=worth,
        mean_queue=links[rec.QUEUE] / ticks,
        most_waiting=record.most_waiting[begin:end].max(axis=0),
        link_werner=links[rec.W] / ticks,
        prices=links[rec.PRICE] / ticks,
        lost={cause: int(flows[rec.LOST + place].sum()) for place, cause in enumerate(CAUSES)},
        overhead_byte=float((there * emitted + back * record.num_acks) / max(total, 1.0)),
        jain=float(rates_hz.sum() ** 2 / max(rates_hz.size * (rates_hz**2).sum(), 1e-300)),
    )


def as_json(value: Any) -> Any:
    """Arrays as lists, what is not finite as None."""
    if isinstance(value, dict):
        return {key: as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [as_json(each) for each in np.asarray(value).tolist()] if len(value) else []
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
