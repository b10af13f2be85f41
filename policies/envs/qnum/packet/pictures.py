"""Pictures of the packet network: rates and fidelities over time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from policies.envs.qnum.packet import record as rec
from policies.envs.qnum.packet.record import Record
from policies.envs.qnum.werner import fidelity
from policies.pictures import TONES, picture


def over_time(record: Record, path: Path, most: int = 12) -> None:
    """Delivered pairs per second, their mean fidelity, and queues, in bins; changes as dashed lines.

    Args:
        most: flows and links that are drawn, the first flows and the links with the longest queues.

    Raises:
        DependencyNotInstalled: matplotlib is missing.
    """
    run = record.run
    times_s = (np.arange(run.num_bins) + 0.5) * run.bin_s
    delivered = record.flows[:, rec.DELIVERED]
    with np.errstate(invalid="ignore"):
        good = fidelity(record.flows[:, rec.WERNER] / delivered)
    waiting = record.links[:, rec.QUEUE] / np.maximum(record.links[:, rec.TICKS], 1.0)
    longest = np.argsort(-waiting.mean(axis=0))[:most]
    panels = (
        ("pairs/s", delivered / run.bin_s, range(min(most, delivered.shape[1])), "flow"),
        ("fidelity", good, range(min(most, delivered.shape[1])), ""),
        ("waiting requests", waiting, longest.tolist(), "link"),
    )
    with picture(path, 3, 1, (8.4, 8.0), sharex=True) as (_, axes):
        for axis, (title, values, columns, name) in zip(axes[:, 0], panels, strict=True):
            for place, column in enumerate(columns):
                label = f"{name} {column}" if name else None
                axis.plot(times_s, values[:, column], color=TONES[place % len(TONES)], linewidth=1.0, label=label)
            for change in run.changes:
                axis.axvline(change.at_s, color="#6b7683", linestyle="--", linewidth=0.8)
            axis.set_ylabel(title)
            axis.grid(color="#ececec", linewidth=0.6)
            if name:
                axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        axes[-1, 0].set_xlabel("simulated time, s")
