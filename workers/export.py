"""Jobs and all that belongs to them as flat tables in files, for other tools: Parquet, or JSON line by line.

What a column is called, what it holds and of what type it is stands in one table each. Times are UTC; durations,
energies and prices have their unit in their name; counts and other nested values are JSON text. Single shots and
transpiled circuits are left out: `qorch result JOB --json` has them. Nothing is held but one page of jobs and the rows
that wait to be written, so memory does not grow with the number of jobs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import msgspec

from orchestrator.decision import Situation
from orchestrator.errors import ConfigurationError
from orchestrator.job import Assignment, Estimate, Event, Job, JobSpec, Measurement, Result
from orchestrator.placement import Candidate
from orchestrator.records import to_json
from orchestrator.sql.archive import Considered, Page, Wanted
from orchestrator.sql.store import SqlStore
from orchestrator.telemetry import Observation

SCHEMA_VERSION = 2
"""Raised when a column changes its name, type or meaning; new columns do not raise it."""

EPOCH = datetime.fromtimestamp(0, UTC)

ROWS_HELD = 10_000
CHARACTERS_HELD = 16_000_000
"""Rows wait for one another until there are so many, or so much text: larger groups are read faster."""

Kind = str
"""Of a column: "text", "whole", "number", "truth", "time" or "json"."""

Columns = Mapping[str, tuple[Kind, Callable[[Any], Any]]]


def _estimate(prefix: str, of: Callable[[Any], Estimate]) -> dict[str, tuple[Kind, Callable[[Any], Any]]]:
    return {
        f"{prefix}_service_s": ("number", lambda row: of(row).service_s),
        f"{prefix}_fidelity": ("number", lambda row: of(row).fidelity),
        f"{prefix}_energy_j": ("number", lambda row: of(row).energy_j),
        f"{prefix}_cost_usd": ("number", lambda row: of(row).cost_usd),
        f"{prefix}_queue_s": ("number", lambda row: of(row).queue_s),
        f"{prefix}_device_s": ("number", lambda row: of(row).device_s),
    }


def _intervals(of: Callable[[Any], Estimate]) -> dict[str, tuple[Kind, Callable[[Any], Any]]]:
    """Ends of an estimate's intervals; null where it has none."""

    def end(figure: str, side: str) -> Callable[[Any], Any]:
        def get(row: Any) -> float | None:
            told = of(row).intervals
            return None if told is None else getattr(getattr(told, figure), side)

        return get

    return {
        f"estimate_{figure}_{side}": ("number", end(figure, side))
        for figure in ("elapsed_s", "fidelity", "energy_j", "cost_usd")
        for side in ("low", "high")
    }


def _measurement(of: Callable[[Any], Measurement]) -> dict[str, tuple[Kind, Callable[[Any], Any]]]:
    return {
        "wait_s": ("number", lambda row: of(row).wait_s),
        "prepare_s": ("number", lambda row: of(row).prepare_s),
        "run_s": ("number", lambda row: of(row).run_s),
        "service_s": ("number", lambda row: of(row).service_s),
        "latency_s": ("number", lambda row: of(row).latency_s),
        "fidelity": ("number", lambda row: of(row).fidelity),
        "fidelity_kind": ("text", lambda row: of(row).fidelity_kind),
        "fidelity_floor": ("number", lambda row: of(row).fidelity_floor),
        "score": ("number", lambda row: of(row).score),
        "energy_j": ("number", lambda row: of(row).energy_j),
        "cost_usd": ("number", lambda row: of(row).cost_usd),
        "method": ("text", lambda row: of(row).method),
        "approximate": ("truth", lambda row: of(row).approximate),
        "device_s": ("number", lambda row: of(row).device_s),
        "queue_s": ("number", lambda row: of(row).queue_s),
        "experiment_at": ("time", lambda row: of(row).at),
        "times": ("text", lambda row: of(row).times.value),
        "energy_model": ("text", lambda row: of(row).energy_model),
    }


@dataclass(frozen=True)
class Option:
    """One candidate of one decision."""

    number: int
    decision: Considered
    candidate: Candidate


@dataclass(frozen=True)
class Question:
    """What a policy was told for one decision; the job's shots are those that it has in all."""

    number: int
    decision: Considered
    situation: Situation
    spec: JobSpec


@dataclass(frozen=True)
class Seen:
    """One measurement and its number in the log."""

    number: int
    observation: Observation


TABLES: dict[str, Columns] = {
    "jobs": {
        "job_id": ("text", lambda job: job.id),
        "seq": ("whole", lambda job: job.seq),
        "project": ("text", lambda job: job.project),
        "state": ("text", lambda job: job.state.value),
        "submitted_at": ("time", lambda job: job.submitted_at),
        "finished_at": ("time", lambda job: job.finished_at),
        "program_hash": ("text", lambda job: job.spec.program.content_hash()),
        "language": ("text", lambda job: job.spec.program.language),
        "family": ("text", lambda job: job.spec.program.family or None),
        "parameters": ("json", lambda job: job.spec.program.parameters),
        "shots": ("whole", lambda job: job.spec.shots),
        "policy": ("text", lambda job: job.spec.policy),
        "pin": ("json", lambda job: job.spec.pin),
        "priority": ("whole", lambda job: job.spec.priority),
        "seed": ("whole", lambda job: job.spec.seed),
        "weight_latency": ("number", lambda job: job.spec.objective.latency),
        "weight_energy": ("number", lambda job: job.spec.objective.energy),
        "weight_fidelity": ("number", lambda job: job.spec.objective.fidelity),
        "weight_price": ("number", lambda job: job.spec.objective.price),
        "min_fidelity": ("number", lambda job: job.spec.limits.min_fidelity),
        "deadline_s": ("number", lambda job: job.spec.limits.deadline_s),
        "max_cost_usd": ("number", lambda job: job.spec.limits.max_cost_usd),
        "timeout_s": ("number", lambda job: job.spec.limits.timeout_s),
        "max_qpu_s": ("number", lambda job: job.spec.limits.max_qpu_s),
        "canary": ("number", lambda job: job.spec.canary),
        "tags": ("json", lambda job: job.spec.tags),
        "after": ("json", lambda job: job.spec.after),
        "cancel_requested": ("truth", lambda job: job.cancel_requested),
        "num_placements": ("whole", lambda job: job.num_placements),
        "failure_stage": ("text", lambda job: job.failure and job.failure.stage),
        "failure_kind": ("text", lambda job: job.failure and job.failure.kind),
        "failure_message": ("text", lambda job: job.failure and job.failure.message),
    },
    "assignments": {
        "assignment_id": ("text", lambda part: part.id),
        "job_id": ("text", lambda part: part.job_id),
        "decision_id": ("whole", lambda part: part.decision),
        "backend": ("text", lambda part: part.backend),
        "target_version": ("text", lambda part: part.target_version),
        "shots": ("whole", lambda part: part.shots),
        "state": ("text", lambda part: part.state.value),
        "attempt": ("whole", lambda part: part.attempt),
        "num_failures": ("whole", lambda part: part.num_failures),
        "owner": ("text", lambda part: part.owner),
        "placed_at": ("time", lambda part: part.placed_at),
        "started_at": ("time", lambda part: part.started_at),
        "finished_at": ("time", lambda part: part.finished_at),
        "expected_wait_s": ("number", lambda part: part.wait_s),
        **_estimate("prior", lambda part: part.prior),
        **_estimate("estimate", lambda part: part.estimate),
        "estimate_num_observations": ("number", lambda part: part.estimate.num_observations),
        **_intervals(lambda part: part.estimate),
        "failure_stage": ("text", lambda part: part.failure and part.failure.stage),
        "failure_kind": ("text", lambda part: part.failure and part.failure.kind),
        "failure_message": ("text", lambda part: part.failure and part.failure.message),
    },
    "results": {
        "job_id": ("text", lambda result: result.job_id),
        "decision_id": ("whole", lambda result: result.placement.decision),
        "num_shares": ("whole", lambda result: len(result.placement.shares)),
        "counts": ("json", lambda result: result.counts),
        "outcome": ("json", lambda result: result.outcome),
        **_estimate("estimate", lambda result: result.estimate),
        **_measurement(lambda result: result.measurement),
    },
    "measurements": {
        "number": ("whole", lambda seen: seen.number),
        "assignment_id": ("text", lambda seen: seen.observation.assignment_id),
        "job_id": ("text", lambda seen: seen.observation.job_id),
        "backend": ("text", lambda seen: seen.observation.backend),
        "target_version": ("text", lambda seen: seen.observation.target_version),
        "group": ("text", lambda seen: seen.observation.group),
        "program_hash": ("text", lambda seen: seen.observation.program_hash),
        "num_qubits": ("whole", lambda seen: seen.observation.num_qubits),
        "num_gates": ("whole", lambda seen: seen.observation.num_gates),
        "shots": ("whole", lambda seen: seen.observation.shots),
        "measured_at": ("time", lambda seen: seen.observation.at),
        "expected_wait_s": ("number", lambda seen: seen.observation.predicted_wait_s),
        **_estimate("prior", lambda seen: seen.observation.prior),
        **_estimate("estimate", lambda seen: seen.observation.estimate),
        **_intervals(lambda seen: seen.observation.estimate),
        **_measurement(lambda seen: seen.observation.measurement),
    },
    "decisions": {
        "decision_id": ("whole", lambda option: option.number),
        "job_id": ("text", lambda option: option.decision.job_id),
        "policy": ("text", lambda option: option.decision.policy),
        "decided_at": ("time", lambda option: option.decision.at),
        "model_cursor": ("whole", lambda option: option.decision.cursor),
        "batch": ("text", lambda option: option.decision.batch),
        "decide_s": ("number", lambda option: option.decision.decide_s),
        "shots": ("whole", lambda option: option.decision.shots),
        "backend": ("text", lambda option: option.candidate.backend),
        "target_version": ("text", lambda option: option.candidate.target_version),
        "share": ("number", lambda option: option.decision.choice.get(option.candidate.backend, 0.0)),
        "feasible": ("truth", lambda option: not option.candidate.rejections),
        "rejections": ("json", lambda option: option.candidate.rejections),
        "expected_wait_s": ("number", lambda option: option.candidate.wait_s),
        **_estimate("prior", lambda option: option.candidate.prior),
        **_estimate("estimate", lambda option: option.candidate.estimate),
        "estimate_num_observations": ("number", lambda option: option.candidate.estimate.num_observations),
        **_intervals(lambda option: option.candidate.estimate),
    },
    "questions": {
        "decision_id": ("whole", lambda asked: asked.number),
        "job_id": ("text", lambda asked: asked.decision.job_id),
        "seq": ("whole", lambda asked: asked.decision.request.seq),
        "rank": ("number", lambda asked: asked.decision.request.rank),
        "sooner_s": ("number", lambda asked: asked.decision.sooner_s),
        "waited_s": ("number", lambda asked: asked.decision.request.waited_s),
        "num_parts": ("whole", lambda asked: asked.decision.request.num_parts),
        "items": ("json", lambda asked: asked.decision.request.items),
        "group": ("text", lambda asked: asked.decision.group),
        "spec": ("json", lambda asked: asked.spec),
        "situation_id": ("text", lambda asked: asked.situation.id),
        "answered_by": ("text", lambda asked: asked.situation.policy),
        "instead": ("text", lambda asked: asked.situation.instead),
        "num_asked": ("whole", lambda asked: asked.situation.num_asked),
        "lanes": ("json", lambda asked: asked.situation.lanes),
        "load_s": ("json", lambda asked: asked.situation.load_s),
        "warm_up_s": ("json", lambda asked: asked.situation.warm_up_s),
        "queue": ("json", lambda asked: asked.situation.queue),
        "scales": ("json", lambda asked: asked.situation.scales),
        "fold_version": ("whole", lambda asked: asked.situation.fold_version),
    },
    "events": {
        "job_id": ("text", lambda event: event.job_id),
        "seq": ("whole", lambda event: event.seq),
        "kind": ("text", lambda event: event.kind),
        "at": ("time", lambda event: event.at),
        "data": ("json", lambda event: event.data),
    },
}
"""What is exported. The rows of "decisions" are candidates: each decision has as many as there were backends. Those of
"questions" are what its policy was told beside them, so that `qorch replay` can ask it again; programs are left out."""


def _rows(page: Page) -> dict[str, Iterable[Job | Assignment | Result | Seen | Option | Question | Event]]:
    specs = {job.id: replace(job.spec, program=replace(job.spec.program, text="")) for job in page.jobs}
    return {
        "jobs": page.jobs,
        "assignments": page.assignments,
        "results": page.results,
        "measurements": (Seen(number, one) for number, one in page.observations),
        "decisions": (
            Option(number, decision, candidate)
            for number, decision in page.decisions
            for candidate in decision.request.candidates
        ),
        "questions": (
            Question(number, decision, page.situations[number], specs[decision.job_id])
            for number, decision in page.decisions
            if number in page.situations
        ),
        "events": page.events,
    }


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
class Writer(Protocol):
    """One file of one format."""

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Append rows; their values are in the order of the columns."""
        ...

    def close(self) -> None:
        """Complete the file."""
        ...


class JsonLines:
    """One JSON object a line; times as ISO 8601 in UTC, nested values as they are in the other formats: text."""

    ending = "jsonl"
    needs: tuple[str, ...] = ()

    def __init__(self, path: Path, columns: Columns) -> None:
        self._kinds = [(name, kind) for name, (kind, _) in columns.items()]
        self._file = path.open("wb")

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        for row in rows:
            named = {name: _iso(v) if kind == "time" else v for (name, kind), v in zip(self._kinds, row, strict=True)}
            self._file.write(msgspec.json.encode(named) + b"\n")  # JSON has no NaN: it becomes null

    def close(self) -> None:
        self._file.close()


class Parquet:
    """Apache Parquet; times as microseconds in UTC."""

    ending = "parquet"
    needs = ("pyarrow",)

    def __init__(self, path: Path, columns: Columns) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        types = {
            "text": pa.string(),
            "json": pa.string(),
            "whole": pa.int64(),
            "number": pa.float64(),
            "truth": pa.bool_(),
            "time": pa.timestamp("us", tz="UTC"),
        }
        self._arrow = pa
        self._times = [kind == "time" for kind, _ in columns.values()]
        self._schema = pa.schema([pa.field(name, types[kind]) for name, (kind, _) in columns.items()])
        self._file = pq.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        arrays = []
        for values, is_time, field in zip(zip(*rows, strict=True), self._times, self._schema, strict=True):
            told = [None if value is None else _micros(value) for value in values] if is_time else list(values)
            arrays.append(self._arrow.array(told, type=field.type))
        self._file.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        self._file.close()


FORMATS: dict[str, type[Parquet] | type[JsonLines]] = {"parquet": Parquet, "jsonl": JsonLines}


def writer_of(form: str) -> type[Parquet] | type[JsonLines]:
    """The format of that name.

    Raises:
        ConfigurationError: no such format, or what it needs is not installed.
    """
    from importlib.util import find_spec

    if form not in FORMATS:
        raise ConfigurationError(f"an export can be {' or '.join(FORMATS)}; got {form[:80]!r}")
    if any(find_spec(name) is None for name in FORMATS[form].needs):
        raise ConfigurationError(
            "Parquet needs 'pyarrow', which is not installed: pip install 'qorch[export]', or take --format jsonl"
        )
    return FORMATS[form]


def export(
    store: SqlStore,
    folder: Path,
    wanted: Wanted,
    form: type[Parquet] | type[JsonLines],
    *,
    tell: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Write the tables and then ``manifest.json``: a folder that has one is complete.

    Args:
        folder: it is made; files appear in it under their names only when they are whole.
        tell: is told how many jobs have been read.

    Returns:
        The manifest: versions, what was asked for, and of each table its file, number of rows and columns.

    Raises:
        ConfigurationError: the folder holds something.   OSError: it cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ConfigurationError(f"{folder} is not empty; name a new folder, so that no two exports are mixed")
    began_at = store.now()
    with ExitStack() as stack:
        sinks = {name: stack.enter_context(_Sink(folder, name, form)) for name in TABLES}
        num_jobs = 0
        for page in store.pages(wanted):
            for name, records in _rows(page).items():
                sinks[name].add(records)
            num_jobs += len(page.jobs)
            tell(num_jobs)
        for sink in sinks.values():
            sink.complete()
    manifest: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "format": form.ending,
        "versions": {"qorch": version("qorch")} | {name: version(name) for name in form.needs},
        "store": store.described,
        "exported_at": _iso(began_at),
        "filters": asdict(wanted) | {"since": _iso(wanted.since)},
        "tables": {name: sink.described for name, sink in sinks.items()},
    }
    part = folder / "manifest.json.part"
    part.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    part.rename(folder / "manifest.json")
    return manifest


class _Sink:
    """One table on its way to its file."""

    def __init__(self, folder: Path, name: str, form: type[Parquet] | type[JsonLines]) -> None:
        self._columns = TABLES[name]
        self._path = folder / f"{name}.{form.ending}"
        self._part = folder / f"{name}.{form.ending}.part"
        self._writer: Writer = form(self._part, self._columns)
        self._held: list[tuple[Any, ...]] = []
        self._num_characters = 0
        self._num_rows = 0

    def add(self, records: Iterable[Any]) -> None:
        """Take rows; they are written when there are enough."""
        for record in records:
            row = tuple(_values(self._columns, record))
            self._held.append(row)
            self._num_characters += sum(len(value) for value in row if isinstance(value, str))
            if len(self._held) >= ROWS_HELD or self._num_characters >= CHARACTERS_HELD:
                self._write()

    def complete(self) -> None:
        """Write the rest, and give the file its name."""
        self._write()
        self._writer.close()
        self._part.rename(self._path)

    @property
    def described(self) -> dict[str, Any]:
        """As the manifest has it."""
        kinds = {name: kind for name, (kind, _) in self._columns.items()}
        return {"file": self._path.name, "rows": self._num_rows, "columns": kinds}

    def _write(self) -> None:
        if self._held:
            self._writer.write(self._held)
        self._num_rows += len(self._held)
        self._held, self._num_characters = [], 0

    def __enter__(self) -> _Sink:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._part.unlink(missing_ok=True)


def _values(columns: Columns, record: Any) -> Iterator[Any]:
    for kind, get in columns.values():
        value = get(record)
        if kind == "json" and value is not None:
            value = to_json(value)
        elif kind == "number" and value is not None:
            value = float(value)
        yield value


def _iso(at: float | None) -> str | None:
    return None if at is None else (EPOCH + timedelta(microseconds=_micros(at))).isoformat(timespec="microseconds")


def _micros(at: float) -> int:
    return round(at * 1e6)
