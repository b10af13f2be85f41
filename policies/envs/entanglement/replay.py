"""Playing a logged run again from its recorded decisions and shares, without the policy; every metric is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from circuits.errors import InvalidParameter
from policies.envs.entanglement import logs, tables
from policies.envs.entanglement import state as states
from policies.envs.entanglement.metrics import metrics
from policies.envs.entanglement.play import Run, advance, begin


def replay(folder: Path) -> tuple[Run, dict[str, Any]]:
    """The run again, and what its metrics were when it was written.

    Raises:
        InvalidParameter: a file is missing or damaged, or decides what there is not; the message names file and field.
    """
    document = logs.read_run(folder)
    digests = document["sha256"]
    episode = logs.read_episode(folder, digests)
    run = begin(episode, states.rule(states.REPLAYED, states.S_REPLAYED))
    decided = tables.read(folder / "decisions.parquet", logs.DECISIONS, digests.get("decisions"))
    shared = tables.read(folder / "shares.parquet", logs.SHARES, digests.get("shares"))
    run.state = run.state._replace(**_decisions(run, decided), **_shares(run, shared))
    return advance(run, document["slots"]), document["metrics"]


def same(run: Run, recorded: dict[str, Any]) -> list[str]:
    """Metrics that differ, in any bit, from those that were recorded."""
    now = metrics(run).document()
    return [name for name in {**recorded, **now} if recorded.get(name) != now.get(name)]


def _decisions(run: Run, columns: tables.Columns) -> dict[str, Any]:
    most = run.plan.num_paths * (run.plan.most_rounds + 1)
    for name, low, high in (("request", 0, run.episode.requests.num), ("action", states.WAIT, most)):
        if not ((columns[name] >= low) & (columns[name] < high)).all():
            raise InvalidParameter(f"decisions.parquet.{name}: wanted integers in [{low}, {high}), got others")
    if (np.diff(columns["slot"]) < 0).any():
        raise InvalidParameter("decisions.parquet.slot: wanted slots in order, got others")
    names = [name for name in logs.DECISIONS if name != "log_prob"]
    return {"decisions": np.ascontiguousarray(np.stack([columns[name] for name in names], axis=1))}


def _shares(run: Run, columns: tables.Columns) -> dict[str, Any]:
    size = run.state.shares.size
    if columns["share"].size % size or (columns["place"] != np.arange(columns["place"].size) % size).any():
        raise InvalidParameter(f"shares.parquet.place: wanted 0 … {size - 1} again and again, got others")
    if not ((columns["share"] >= 0.0) & (columns["share"] <= 1.0)).all():
        raise InvalidParameter("shares.parquet.share: wanted numbers in [0, 1], got others")
    return {"share_slot": columns["slot"][::size].copy(), "share_log": columns["share"].reshape(-1, size)}
