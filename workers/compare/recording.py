"""What really happens when a program runs on a backend: each pair is run once or a few times and written down.

A file of JSON lines that only grows. A line says how a program fits a backend, or how one run of one pair went, under a
key of everything that it depends on: program, shots, options, target, versions, number of the run. What is known is not
done again, so an interrupted recording goes on, and several comparisons share one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from backends.backend import Device
from circuits.seeds import derive
from orchestrator import measure
from orchestrator.cost_model.prior import prior
from orchestrator.errors import ConfigurationError, PlacementError
from orchestrator.job import Assignment, Job, JobSpec, JobState, Measurement, Times
from orchestrator.placement import ruled_out
from orchestrator.preparation import Fit, ProgramFacts, digest, fit_key, preparation_key
from orchestrator.preparer import Known
from orchestrator.records import from_json, to_json
from orchestrator.runtime import Leash, Prepared, PrepareWork, Runtime, RuntimeFailure, work_of
from orchestrator.settings import Settings

REPEATS = 3
"""Runs of a pair: the first also transpiles."""

REPEATED_BELOW_S = 1.0
"""A pair that takes longer is run once (ours): long runs are less noisy, and would take most of the time."""

Advance = Callable[[str, int, int], object]
"""Called with what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True)
class Line:
    """One line: how a program fits, or how a run went, or why it cannot."""

    key: str
    backend: str = ""
    repeat: int = 0
    prepared: Prepared | None = None
    measured: Measurement | None = None
    failure: str = ""


class Recording:
    """The file and what stands in it."""

    def __init__(self, path: Path) -> None:
        """Open it, or begin it. A last line that was cut off is removed.

        Raises:
            ConfigurationError: it holds something else.
        """
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        whole, _, torn = (path.read_bytes() if path.exists() else b"").rpartition(b"\n")
        if torn:
            path.write_bytes(whole + b"\n" if whole else b"")
        try:
            self._lines = {line.key: line for text in whole.splitlines() for line in [from_json(Line, text)]}
        except ValueError as error:
            raise ConfigurationError(f"{path} is no recording: {error}; move it away or name another folder") from error

    def get(self, key: str) -> Line | None:
        """What is known under a key."""
        return self._lines.get(key)

    def add(self, line: Line) -> Line:
        """Write one line down."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(to_json(line) + "\n")
        self._lines[line.key] = line
        return line


@dataclass(frozen=True)
class Recorded:
    """What is known of one job's program and shots.

    Attributes:
        known: facts and fits; a backend where the program could not be run or judged cannot take it.
        runs: backend -> what was measured there; the transpiling run stands alone or not at all.
    """

    known: Known
    runs: Mapping[str, tuple[Measurement, ...]]


def recorded(
    specs: Iterable[JobSpec],
    devices: Mapping[str, Device],
    recording: Recording,
    runtime: Runtime,
    settings: Settings,
    advance: Advance = lambda *_: None,
    *,
    repeats: int = REPEATS,
    most_s: float = math.inf,
) -> dict[tuple[str, int], Recorded]:
    """Run what is not yet known of these jobs on every backend that they may go to.

    Args:
        devices: as they are announced, emulated ones with the cost curve of their simulation.
        repeats: runs of a pair that takes less than `REPEATED_BELOW_S`.
        most_s: of a pair; what is expected to take longer is left out.

    Returns:
        By :func:`work_key`.
    """
    works: dict[tuple[str, int], JobSpec] = {}
    allowed: dict[tuple[str, int], set[str]] = {}
    for spec in specs:
        works.setdefault(work_key(spec), replace(spec, allow=(), seed=derive(spec.shots, spec.program.content_hash())))
        names = {name for name in devices if not any(ruled_out(spec, name))}
        allowed[work_key(spec)] = allowed.get(work_key(spec), set()) | names
    known: dict[tuple[str, int], Known] = {}
    for done, (work, spec) in enumerate(works.items()):
        advance("prepare", done, len(works))
        known[work] = _affordable(_prepared(spec, devices, recording, runtime, settings), spec, devices, most_s)
    pairs = [
        (work, name) for name in devices for work in works if name in allowed[work] and not known[work][1][name].cannot
    ]
    runs: dict[tuple[str, int], dict[str, tuple[Measurement, ...]]] = {work: {} for work in works}
    for done, (work, name) in enumerate(pairs):
        advance("record", done, len(pairs))
        lines = list(_runs(works[work], known[work], devices[name], recording, runtime, settings, repeats))
        why = next((why for line in lines if (why := _unusable(line))), "")
        measured = tuple(line.measured for line in lines[1:] or lines if line.measured is not None)
        if why:
            known[work][1][name] = Fit(cannot=why)
        else:
            runs[work][name] = measured
    advance("record", len(pairs), len(pairs))
    return {work: Recorded(known[work], runs[work]) for work in works}


def _affordable(known: Known, spec: JobSpec, devices: Mapping[str, Device], most_s: float) -> Known:
    """The fits without those whose run would take too long to record."""
    facts, fits = known
    num_outcomes, num_runs = facts.num_outcomes, facts.num_runs(spec.shots)
    expected_s = {
        name: prior(devices[name], fit, spec.shots, num_outcomes=num_outcomes, num_runs=num_runs).service_s
        for name, fit in fits.items()
        if not fit.cannot
    }
    why = "its recording would take about {:.0f} s, more than the {:g} s that are allowed"
    dear = {name: Fit(cannot=why.format(time_s, most_s)) for name, time_s in expected_s.items() if time_s > most_s}
    return facts, {**fits, **dear}


def work_key(spec: JobSpec) -> tuple[str, int]:
    """What decides how a job runs, apart from its seed."""
    return digest(spec.program.content_hash(), spec.transpile), spec.shots


def _prepared(
    spec: JobSpec, devices: Mapping[str, Device], recording: Recording, runtime: Runtime, settings: Settings
) -> Known:
    """Facts and fits. One device at a time: what fails on one says nothing of the others.

    Raises:
        PlacementError: it fails on all.
    """
    facts: ProgramFacts | None = None
    fits: dict[str, Fit] = {}
    for name, device in devices.items():
        key = digest("fit", preparation_key(spec.program), fit_key(device, spec.transpile))
        line = recording.get(key)
        if line is None:
            work = PrepareWork(spec.program, settings.program_limits, (device,), spec.transpile)
            try:
                line = Line(key, name, prepared=runtime.prepare(work, Leash(settings.prepare_timeout_s)))
            except RuntimeFailure as failed:
                line = Line(key, name, failure=failed.failure.message)
            recording.add(line)
        if line.prepared is None:
            fits[name] = Fit(cannot=f"it could not be prepared: {line.failure}")
        else:
            facts, fits[name] = line.prepared.facts, line.prepared.fits[name]
    if facts is None:
        why = next((fit.cannot for fit in fits.values() if fit.cannot), "there is no backend")
        raise PlacementError(f"{', '.join(spec.tags) or 'a program'}: {why}")
    return facts, fits


def _runs(
    spec: JobSpec,
    known: Known,
    device: Device,
    recording: Recording,
    runtime: Runtime,
    settings: Settings,
    repeats: int,
) -> Iterator[Line]:
    """The runs of a pair, those that are written down and then the others."""
    for repeat in range(repeats):
        key = digest(
            "run",
            preparation_key(spec.program),
            fit_key(device, spec.transpile),
            device.sdk_version,
            spec.shots,
            repeat,
        )
        line = recording.get(key)
        if line is None:
            line = recording.add(_run(key, repeat, spec, known, device, runtime, settings))
        yield line
        if line.measured is None or line.measured.service_s > REPEATED_BELOW_S:
            return


def _run(
    key: str, repeat: int, spec: JobSpec, known: Known, device: Device, runtime: Runtime, settings: Settings
) -> Line:
    """Run it as a worker does, and measure it as the trip does."""
    facts, fits = known
    now = time.time()
    fit, num_outcomes, num_runs = fits[device.name], facts.num_outcomes, facts.num_runs(spec.shots)
    expected = prior(device, fit, spec.shots, Times.EMULATED, num_outcomes=num_outcomes, num_runs=num_runs)
    job = Job("", 0, spec, JobState.RUNNING, now)
    part = Assignment(
        f"-{repeat}", "", device.name, spec.shots, 0.0, expected, expected, 0.0, 0, "", now, started_at=now
    )
    work = work_of(job, part, facts, settings.program_limits, now)
    leash = Leash(spec.limits.timeout_s or settings.default_timeout_s)
    begun = time.perf_counter()
    try:
        executed = runtime.execute(work, leash, lambda _: None)
    except RuntimeFailure as failed:
        return Line(key, device.name, repeat, failure=failed.failure.message)
    service_s = time.perf_counter() - begun - executed.warm_up_s
    measured = measure.of_assignment(job, part, device, executed, service_s=service_s, now=now, times=Times.EMULATED)
    return Line(key, device.name, repeat, measured=measured)


def _unusable(line: Line) -> str:
    """Why a run says nothing of what a job would get there."""
    if line.measured is None:
        return f"its recorded run failed: {line.failure}"
    if line.measured.approximate:
        return f"its run is emulated only approximately ({line.measured.method})"
    if line.measured.fidelity is None:
        return "nobody can judge its result, so its cost cannot be compared"
    return ""


def noise(found: Iterable[Recorded]) -> dict[str, float | None]:
    """How much repeated runs of a pair differ: medians over the pairs that were repeated, by what is measured.

    Returns:
        "service_s": coefficient of variation; "fidelity": standard deviation; "num_pairs". None where nothing was.
    """
    import numpy as np

    def median(values: Sequence[float]) -> float | None:
        return float(np.median(values)) if values else None

    repeated = [runs for one in found for runs in one.runs.values() if len(runs) > 1]
    times_s = [np.array([run.service_s for run in runs]) for runs in repeated]
    fidelities = [np.array([run.fidelity or 0.0 for run in runs]) for runs in repeated]
    return {
        "service_s": median([float(mine.std(ddof=1) / mine.mean()) for mine in times_s]),
        "fidelity": median([float(mine.std(ddof=1)) for mine in fidelities]),
        "num_pairs": float(len(repeated)),
    }
