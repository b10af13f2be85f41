"""The log of decisions with what came of them: of a store, or of the folder of an export."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from orchestrator.cost_model.model import FOLD_VERSION, CostModel
from orchestrator.decision import Decision, Situation
from orchestrator.errors import ConfigurationError
from orchestrator.hindsight import Devices, anew
from orchestrator.job import Estimate, Interval, Intervals, JobSpec, Measurement
from orchestrator.placement import Candidate, Lane, Queued, Request, Scales
from orchestrator.records import from_json, from_plain
from orchestrator.settings import Settings
from orchestrator.sql.archive import Wanted
from orchestrator.sql.store import SqlStore
from policies.evaluation import said_then
from policies.replay import Refold

RESULTS_AT_ONCE = 200

FIGURES = ("elapsed_s", "fidelity", "energy_j", "cost_usd")
ESTIMATED = ("service_s", "fidelity", "energy_j", "cost_usd", "queue_s", "device_s")


@dataclass(frozen=True)
class DecisionLog:
    """A log that can be read several times.

    Attributes:
        decisions: reads it from its beginning.
        measured: decision -> what its job came to, of jobs that are done and went to one backend as a whole.
        now: what the cost model says now of a decision's candidates; where it says nothing, what it said then.
        refold: checks estimates against the log of measurements; None where there is none.
        source: in words.
    """

    decisions: Callable[[], Iterator[Decision]]
    measured: Callable[[], dict[int, Measurement]]
    now: Callable[[Decision], Mapping[str, Estimate]]
    refold: Refold | None
    source: str


# ── of a store ────────────────────────────────────────────────────────────────────────────────────────────────────────
def of_store(store: SqlStore, wanted: Wanted, job_ids: Sequence[str], settings: Settings) -> DecisionLog:
    """The log of a store, and its cost model with everything folded in."""
    devices = _devices(store, settings)
    stored = store.snapshot(FOLD_VERSION)
    snapshot = CostModel() if stored is None else CostModel.from_json(stored)
    first = store.observations(after=0, limit=1)
    begins_whole = not first or first[0][0] == 1
    model = snapshot
    while fresh := store.observations(after=model.cursor):
        model = model.fold(fresh)

    def read() -> Iterator[Decision]:
        return store.decision_log(wanted, job_ids)

    return DecisionLog(
        decisions=read,
        measured=lambda: _measured(store, read()),
        now=lambda decision: {**said_then(decision), **anew(decision, model, devices)},
        refold=Refold(
            lambda after, limit: store.observations(after=after, limit=limit),
            CostModel() if begins_whole else snapshot,
            devices,
        ),
        source="the store",
    )


def _devices(store: SqlStore, settings: Settings) -> Devices:
    """What is served now; where nobody serves anything, what an embedded client would."""
    roll = store.roll(silent_s=settings.silent_s)
    if not roll:
        from workers.local import would_serve

        roll = would_serve(settings)
    return {one.backend: one.device for one in roll}


def _measured(store: SqlStore, decisions: Iterator[Decision]) -> dict[int, Measurement]:
    found = {}
    while some := list(islice(decisions, RESULTS_AT_ONCE)):
        results = store.results(sorted({one.job_id for one in some}))
        for one in some:
            result = results.get(one.job_id)
            if result is not None and result.placement.decision == one.id and len(result.placement.shares) == 1:
                found[one.id] = result.measurement
    return found


# ── of an export ──────────────────────────────────────────────────────────────────────────────────────────────────────
def of_export(folder: Path) -> DecisionLog:
    """The log in a folder that `qorch export` wrote. All of it is held in memory, and programs are not in it.

    Raises:
        ConfigurationError: no whole export is there, one of an earlier version, or Parquet cannot be read here.
    """
    manifest = _manifest(folder)
    parts = {name: _rows(folder, manifest, name) for name in ("questions", "decisions", "results")}
    by_decision = groupby(parts["decisions"], key=lambda row: row["decision_id"])
    candidates = {number: list(rows) for number, rows in by_decision}
    decisions = [_decision(row, candidates[row["decision_id"]]) for row in parts["questions"]]
    decisions.sort(key=lambda one: one.id)
    measured = {row["decision_id"]: _measurement(row) for row in parts["results"] if row["num_shares"] == 1}
    return DecisionLog(lambda: iter(decisions), lambda: measured, said_then, None, str(folder))


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        if "questions" in manifest["tables"]:
            return manifest
        why = "an earlier version wrote it, without what replaying needs: export again"
    except (OSError, ValueError, KeyError, TypeError):
        why = "it has no manifest.json that can be read: name the folder that `qorch export` wrote"
    raise ConfigurationError(f"{folder} is no whole export: {why}")


def _rows(folder: Path, manifest: dict[str, Any], name: str) -> list[dict[str, Any]]:
    path = folder / f"{name}.{manifest['format']}"
    try:
        if manifest["format"] == "jsonl":
            with path.open(encoding="utf-8") as lines:
                return [json.loads(line) for line in lines]
        import pyarrow.parquet as pq

        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    except ImportError as error:
        raise ConfigurationError(
            "Parquet needs 'pyarrow', which is not installed: pip install 'qorch[export]', or export as jsonl"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error


def _decision(row: dict[str, Any], options: list[dict[str, Any]]) -> Decision:
    first = options[0]
    situation = Situation(
        id=row["situation_id"],
        policy=row["answered_by"],
        num_asked=row["num_asked"],
        lanes=from_json(tuple[Lane, ...], row["lanes"]),
        load_s=from_json(dict[str, float], row["load_s"]),
        warm_up_s=from_json(dict[str, float], row["warm_up_s"]),
        scales=from_json(Scales, row["scales"]),
        fold_version=row["fold_version"],
        instead=row["instead"],
        queue=from_json(tuple[Queued, ...], row.get("queue") or "[]"),  # older exports have none
    )
    spec = replace(from_json(JobSpec, row["spec"]), shots=first["shots"])
    told = tuple(_candidate(option) for option in options)
    items = from_json(tuple[tuple[int, int], ...], row.get("items") or "[]")  # older exports have none
    return Decision(
        job_id=row["job_id"],
        policy=first["policy"],
        at=_seconds(first["decided_at"]),
        cursor=first["model_cursor"],
        batch=first["batch"],
        load_s=situation.load_s,
        request=Request(row["job_id"], row["seq"], spec, row["rank"], row["waited_s"], told, row["num_parts"], items),
        choice={option["backend"]: option["share"] for option in options if option["share"]},
        decide_s=first["decide_s"],
        id=row["decision_id"],
        group=row["group"],
        situation=situation,
        sooner_s=row.get("sooner_s") or 0.0,
    )


def _candidate(row: dict[str, Any]) -> Candidate:
    prior, estimate = (
        Estimate(**{name: row[f"{prefix}_{name}"] for name in ESTIMATED}) for prefix in ("prior", "estimate")
    )
    estimate = replace(estimate, num_observations=row["estimate_num_observations"], intervals=_intervals(row))
    why = tuple(json.loads(row["rejections"]))
    return Candidate(row["backend"], prior, estimate, row["expected_wait_s"], row["target_version"], why)


def _intervals(row: dict[str, Any]) -> Intervals | None:
    ends = [(row[f"estimate_{name}_low"], row[f"estimate_{name}_high"]) for name in FIGURES]
    if any(low is None for low, _ in ends):
        return None
    elapsed_s, fidelity, energy_j, cost_usd = (Interval(low, high) for low, high in ends)
    return Intervals(elapsed_s, fidelity, energy_j, cost_usd)


def _measurement(row: dict[str, Any]) -> Measurement:
    told = {field.name: row[field.name] for field in fields(Measurement) if field.name in row}
    return from_plain(Measurement, told)


def _seconds(at: Any) -> float:
    from datetime import datetime

    return (datetime.fromisoformat(at) if isinstance(at, str) else at).timestamp()
