"""A packet run while it goes on: each flow's pairs per second and fidelity in a terminal, with how far it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from policies.envs.qnum.packet import record as rec
from policies.envs.qnum.packet.record import Floats, Tell
from policies.envs.qnum.packet.settings import Run
from policies.envs.qnum.werner import fidelity

_SHOWN = 12
"""Flows, the first ones."""
_BINS = 24
"""Of a curve: the latest."""
_BLOCKS = " ▁▂▃▄▅▆▇█"


@contextmanager
def watched(run: Run, console: Console, *, curves: bool) -> Iterator[Tell]:
    """What to call while a run goes on.

    Args:
        run: that is played.   console: a terminal; on any other nothing is drawn.
        curves: whether flows are drawn, or only how far the run is.
    """
    columns = (TextColumn("simulating"), BarColumn(), TextColumn("{task.completed:.0f} s"), TimeRemainingColumn())
    bar = Progress(*columns, console=console)
    task = bar.add_task("", total=run.duration_s)
    bins: deque[Floats] = deque(maxlen=_BINS)
    with Live(bar, console=console, transient=True, refresh_per_second=5) as live:

        def tell(now_s: float, sums: Floats) -> None:
            bar.update(task, completed=now_s)
            if curves:
                bins.append(sums[:, :_SHOWN].copy())
                live.update(Group(drawn(np.array(bins), run.bin_s), bar))

        yield tell


def drawn(bins: Floats, bin_s: float) -> Table:
    """Curves of flows.

    Args:
        bins: sums of the latest bins, as in :class:`policies.envs.qnum.packet.record.Record`.   float64 (B, 10, N)
    """
    table = Table("flow", "pairs/s", "latest bins", "fidelity", "latest bins", box=None)
    delivered = bins[:, rec.DELIVERED]
    good = fidelity(bins[:, rec.WERNER] / np.maximum(delivered, 1.0)) * (delivered > 0)
    for flow in range(bins.shape[2]):
        rates_hz = delivered[:, flow] / bin_s
        now = (f"{rates_hz[-1]:.1f}", curve(rates_hz), f"{good[-1, flow]:.4f}", curve(good[:, flow], 0.25, 1.0))
        table.add_row(str(flow), *now)
    return table


def curve(values: Sequence[float] | Floats, low: float = 0.0, high: float | None = None) -> str:
    """Numbers as blocks between ``low`` and ``high``, by default the largest of them."""
    top = max(values) if high is None else high
    steps = (np.asarray(values) - low) / max(top - low, 1e-300) * (len(_BLOCKS) - 1)
    return "".join(_BLOCKS[int(step)] for step in np.clip(np.round(steps), 0, len(_BLOCKS) - 1))
