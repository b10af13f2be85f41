"""What an episode was and what happened in it, as files in a folder: enough to play it again without the policy.

``setting.json`` and ``nodes``, ``links``, ``pairs``, ``requests``, ``jobs``, ``faults`` (parquet) are the episode;
``run.json``, ``decisions``, ``shares`` and ``events`` what was done and what came of it, ``forecast`` and
``announced``, where there were such, what was expected of links. Column names are those of the classes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from circuits.errors import InvalidParameter
from circuits.parameters import short
from policies.envs.entanglement import state as states
from policies.envs.entanglement import tables
from policies.envs.entanglement.demand import Jobs, Requests, asking
from policies.envs.entanglement.episode import Episode, build
from policies.envs.entanglement.faults import KINDS, Fault, Faults
from policies.envs.entanglement.metrics import metrics
from policies.envs.entanglement.play import Run
from policies.envs.entanglement.setting import EntanglementSetting
from policies.envs.entanglement.topology import Topology

Table = dict[str, type]
NODES: Table = dict.fromkeys(("x_km", "y_km", "generation_hz", "swap_hz"), float)
LINKS: Table = {"one": int, "other": int, "length_km": float, "fidelity": float}
PAIRS: Table = {"source": int, "target": int, "weight": float}
REQUESTS: Table = {item.name: float if item.name == "min_fidelity" else int for item in fields(Requests)}
JOBS: Table = {item.name: int for item in fields(Jobs)}
FAULTS: Table = dict.fromkeys(("begin", "end", "kind", "number"), int)
DECISIONS: Table = {
    **dict.fromkeys(("slot", "request", "node", "action", "blocked", "harmed", "usable"), int),
    "log_prob": float,
}
SHARES: Table = {"slot": int, "place": int, "share": float}
EVENTS: Table = {**dict.fromkeys(("slot", "request", "kind", "link"), int), "value": float}
FORECAST: Table = {"decision": int, "link": int, "expected_hz": float}
EVENT_KINDS = ("arrive", "deliver", "block", "swap_fail", "purify_fail", "expire", "short")
"""What the numbers of events say, in their order; as in :mod:`policies.envs.entanglement.state`."""
PACKAGES = ("numpy", "numba", "scipy", "pyarrow")


def write_episode(episode: Episode, folder: Path) -> dict[str, str]:
    """Files of an episode; their SHA-256 by name.

    Raises:
        DependencyNotInstalled: pyarrow is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    topology, demand = episode.topology, episode.demand
    (folder / "setting.json").write_text(json.dumps(episode.setting.document(), indent=1) + "\n")
    out = [(each.begin, each.end, KINDS.index(each.kind), each.number) for each in episode.faults.faults]
    files: dict[str, Mapping[str, Any]] = {
        "nodes": {name: getattr(topology, name) for name in NODES},
        "links": {
            "one": topology.ends[:, 0],
            "other": topology.ends[:, 1],
            "length_km": topology.length_km,
            "fidelity": topology.fidelity,
        },
        "pairs": {name: getattr(demand, name) for name in PAIRS},
        "requests": {name: getattr(episode.requests, name) for name in REQUESTS},
        "jobs": {name: getattr(demand.jobs, name) for name in JOBS},
        "faults": dict(zip(FAULTS, np.array(out, dtype=np.int64).reshape(-1, 4).T, strict=True)),
    }
    found = {name: tables.write(folder / f"{name}.parquet", columns) for name, columns in files.items()}
    return {"setting": tables.digest(folder / "setting.json"), **found}


def read_episode(folder: Path, digests: Mapping[str, str] | None = None) -> Episode:
    """From :func:`write_episode`.

    Args:
        digests: that files must have.

    Raises:
        InvalidParameter: a file is missing or damaged, or holds what it may not; the message names file and field.
    """
    known = digests or {}
    setting = EntanglementSetting.read(_document(folder / "setting.json", known.get("setting")))
    nodes, links, pairs, requests, jobs, faults = (
        tables.read(folder / f"{name}.parquet", wanted, known.get(name))
        for name, wanted in (
            ("nodes", NODES),
            ("links", LINKS),
            ("pairs", PAIRS),
            ("requests", REQUESTS),
            ("jobs", JOBS),
            ("faults", FAULTS),
        )
    )
    ends = np.stack((links.pop("one"), links.pop("other")), axis=1)
    topology = Topology(**nodes, ends=ends, **links)
    demand = asking(setting, topology, pairs["source"], pairs["target"], pairs["weight"])
    for name, below in (("pair", demand.num_pairs), ("request", requests["pair"].size)):
        if not ((jobs[name] >= 0) & (jobs[name] < below)).all():
            raise InvalidParameter(f"jobs.parquet.{name}: wanted integers in [0, {below}), got others")
    kinds = faults["kind"].tolist()
    if any(not 0 <= kind < len(KINDS) for kind in kinds):
        raise InvalidParameter(f"faults.parquet.kind: wanted integers in [0, {len(KINDS)}), got another")
    rows = zip(faults["begin"].tolist(), faults["end"].tolist(), kinds, faults["number"].tolist(), strict=True)
    out = Faults(tuple(Fault(begin, end, KINDS[kind], number) for begin, end, kind, number in rows))
    return build(
        setting, topology=topology, demand=replace(demand, jobs=Jobs(**jobs)), requests=Requests(**requests), faults=out
    )


def write_run(run: Run, folder: Path, policy: Mapping[str, Any]) -> Path:
    """An episode as it was played, with ``record=1`` at least; events only if it was traced.

    Args:
        policy: what is to be remembered of who decided (name, hash of its weights, …); JSON.

    Raises:
        InvalidParameter: decisions were not recorded.
    """
    if run.plan.record == 0:
        raise InvalidParameter("record: wanted 1 or 2 to write a run, got 0")
    digests = write_episode(run.episode, folder)
    count, state = run.state.count, run.state
    decided, shared = (
        state.decisions[: count[states.NUM_DECISIONS]],
        state.share_log[: count[states.NUM_SHARES]],
    )
    size = state.shares.size
    events = [np.concatenate(each) for each in zip(*run.traced, strict=True)] or [np.zeros((0, 4), int), np.zeros(0)]
    files: dict[str, Mapping[str, Any]] = {
        "decisions": {
            **dict(zip(DECISIONS, decided.T, strict=False)),
            "log_prob": state.log_prob[: len(decided)],
        },
        "shares": {
            "slot": np.repeat(state.share_slot[: len(shared)], size),
            "place": np.tile(np.arange(size), len(shared)),
            "share": shared.reshape(-1),
        },
        "events": {**dict(zip(EVENTS, events[0].T, strict=False)), "value": events[1]},
    }
    for name, expected in (("forecast", run.rule.forecast), ("announced", run.rule.announced)):
        if expected.shape[0]:
            decision, link = np.indices(expected.shape)
            values = (decision.ravel(), link.ravel(), expected.ravel())
            files[name] = dict(zip(FORECAST, values, strict=True))
    digests |= {name: tables.write(folder / f"{name}.parquet", columns) for name, columns in files.items()}
    document = {
        "world": "Entanglement-v1",
        "slots": run.slot,
        "event_kinds": EVENT_KINDS,
        "policy": dict(policy),
        "metrics": metrics(run).document(),
        "versions": {name: version(name) for name in ("qorch", *PACKAGES)},
        "sha256": digests,
    }
    (folder / "run.json").write_text(json.dumps(document, indent=1) + "\n")
    return folder


def read_run(folder: Path) -> dict[str, Any]:
    """``run.json`` of a folder.

    Raises:
        InvalidParameter: it is missing or damaged.
    """
    document = _document(folder / "run.json")
    for name, kind in (("slots", int), ("metrics", dict), ("sha256", dict)):
        if not isinstance(document.get(name), kind):
            raise InvalidParameter(f"run.json.{name}: wanted {kind.__name__}, got {short(document.get(name))}")
    return document


def _document(file: Path, expected: str | None = None) -> dict[str, Any]:
    if not file.is_file():
        raise InvalidParameter(f"{file.name}: wanted this file, got none in {file.parent}")
    if expected is not None and tables.digest(file) != expected:
        raise InvalidParameter(f"{file.name}: wanted the file as it was written, got one that has changed since")
    try:
        document = json.loads(file.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParameter(f"{file.name}: wanted JSON, got what cannot be read: {error}") from None
    if not isinstance(document, dict):
        raise InvalidParameter(f"{file.name}: wanted an object, got {short(document)}")
    return document
