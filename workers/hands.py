"""The work itself, as it is done in the child: read, transpile, run, judge.

Parsed programs, live backends and transpiled circuits are kept, so that the next job of the same kind finds them warm.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

from qiskit import QuantumCircuit, qasm3

import backends
from backends import canary, clock
from backends.backend import Backend, Device, Execution, SeededBackend, TranspileOptions
from backends.calibration import survival
from backends.distributed import GATES_OF_A_PAIR, spread
from backends.errors import BackendError, CalibrationMissing, UnsupportedCircuit
from backends.meter import metered
from backends.pairs import put_aside
from backends.transpilation import rejection, transpile
from circuits.entanglement import bonds
from circuits.errors import CircuitError
from circuits.facts import NO_BONDS, Features, Judgement
from circuits.family import (
    AdaptiveFamily,
    CircuitFamily,
    Counts,
    DivisibleFamily,
    ForeseenFamily,
    Outcome,
    Run,
    SolvableFamily,
)
from circuits.features import features
from circuits.fidelity import ideal_distribution, judge, judge_outcome, mixture_fidelity
from circuits.program import Limits, Program, is_scored
from circuits.seeds import derive
from orchestrator.preparation import RUNS_AT, Fit, ProgramFacts
from orchestrator.records import from_json, to_json
from orchestrator.runtime import Executed, ExecuteWork, Judged, JudgeWork, Prepared, PrepareWork, Progress
from workers.foresight import foresee, outputs_of

log = logging.getLogger("qorch.child")

KEPT = 256
"""Programs and transpiled circuits that a child remembers."""


@lru_cache(maxsize=KEPT)
def family_of(program_json: str, limits: Limits) -> CircuitFamily:
    """The program as a family, read once."""
    return from_json(Program, program_json).load(limits)


@lru_cache(maxsize=KEPT)
def part_of(program_json: str, limits: Limits, items: tuple[int, int] | None) -> CircuitFamily:
    """What a share is to run of a program: these items of it, or all."""
    family = family_of(program_json, limits)
    return family.part(*items) if items is not None and isinstance(family, DivisibleFamily) else family


@cache
def backend(name: str) -> Backend:
    """The live backend; made once."""
    return backends.load(name)


@cache
def _seeded(name: str) -> SeededBackend | None:
    """The live backend, if it takes several seeds in one call."""
    found = backend(name)
    return found if isinstance(found, SeededBackend) else None


def transpiled(program_json: str, limits: Limits, name: str, options: TranspileOptions) -> tuple[QuantumCircuit, ...]:
    """A program's circuits for what the backend publishes at this moment: a calibration can be followed by another."""
    return _transpiled_to(program_json, limits, name, options, backend(name).device().target_version)


@lru_cache(maxsize=KEPT)
def _transpiled_to(
    program_json: str, limits: Limits, name: str, options: TranspileOptions, _target_version: str
) -> tuple[QuantumCircuit, ...]:
    family = family_of(program_json, limits)
    circuits = family.circuits() if isinstance(family, AdaptiveFamily) else [family.build()]
    return tuple(backend(name).prepare(circuits, options))


def prepare(work: PrepareWork) -> Prepared:
    """The program's facts, and how it fits each device.

    Raises:
        CircuitError: the program cannot be read.
    """
    family = family_of(to_json(work.program), work.limits)
    circuit = family.build()
    known = features(circuit)
    outputs = outputs_of(family, circuit)
    facts = ProgramFacts(
        group=work.program.family or "program",
        features=known,
        adaptive=isinstance(family, AdaptiveFamily),
        ideal=None if is_scored(family) else outputs,
        num_items=family.num_items if isinstance(family, DivisibleFamily) else 0,
        runs=tuple(map(family.expected_runs, RUNS_AT)) if isinstance(family, ForeseenFamily) else (),
    )
    fits = {device.name: _fit(family, circuit, known, outputs, device, work.options) for device in work.devices}
    return Prepared(facts, fits)


def _fit(
    family: CircuitFamily,
    circuit: QuantumCircuit,
    known: Features,
    outputs: dict[str, float] | None,
    device: Device,
    options: TranspileOptions,
) -> Fit:
    if device.kind == "cpu":
        if isinstance(family, SolvableFamily):
            return Fit(num_gates=family.num_operations, fidelity=1.0)
        return Fit(cannot=f"{device.name} runs no circuits, and this program knows no classical algorithm")
    cannot = rejection(device, known)
    if cannot is not None:
        return Fit(cannot=cannot)
    try:
        fitted = transpile(device, [circuit], options)[0]
    except (UnsupportedCircuit, CalibrationMissing) as error:  # this device's trouble is not that of the others
        return Fit(cannot=str(error))
    if device.network is not None:
        return _distributed_fit(family, fitted, device, options, outputs)
    there = features(fitted)
    lives = survival(fitted, device)
    foreseen = foresee(family, fitted, device, lives, outputs)
    return Fit(
        num_qubits=there.num_qubits,
        num_gates=there.num_gates,
        fidelity=foreseen.fidelity,
        duration_s=lives.duration_s,
        branching=foreseen.branching,
        bonds=bonds(fitted) if device.cost_curve is not None and device.cost_curve.sees_bonds else NO_BONDS,
    )


def _distributed_fit(
    family: CircuitFamily,
    fitted: QuantumCircuit,
    device: Device,
    options: TranspileOptions,
    outputs: dict[str, float] | None,
) -> Fit:
    """The program over the device's QPUs: what waits for pairs and what their errors do."""
    try:
        found = spread(device, fitted, options, ideal_distribution)
    except UnsupportedCircuit as error:
        return Fit(cannot=str(error))
    judged = is_scored(family) or outputs is None
    there = features(fitted)
    return Fit(
        num_qubits=there.num_qubits,
        num_gates=there.num_gates + GATES_OF_A_PAIR * len(found.pairs.fidelities),
        fidelity=expected(family, found.clean, outputs, fitted.num_clbits) if judged else found.fidelity,
        duration_s=found.duration_s,
        pairs_s=found.pairs.wait_s,
        pairs_sd_s=found.pairs.wait_sd_s,
        pairs=found.pairs.needs,
    )


def expected(family: CircuitFamily, weight: float, ideal: Mapping[str, float] | None, num_clbits: int) -> float:
    """The fidelity to expect if that share of the shots is without error; the share itself where no ideal is known."""
    predicted = mixture_fidelity(family, weight, ideal, num_clbits)
    return weight if predicted is None else predicted


def execute(work: ExecuteWork, progress: Progress) -> Executed:
    """Run a share of a job and judge what came out. The backend has been warmed up before.

    Raises:
        CircuitError, BackendError: in their own words.
    """
    with metered() as spent, clock.at(work.at), put_aside(work.stored):
        executed = _execute(work, progress)
    return replace(executed, cpu_s=spent.cpu_s, rapl_j=spent.rapl_j)


def _execute(work: ExecuteWork, progress: Progress) -> Executed:
    program_json = to_json(work.program)
    family = part_of(program_json, work.limits, work.items)
    begun = time.perf_counter()
    if isinstance(family, SolvableFamily) and backend(work.backend).device().kind == "cpu":
        return _solved(family, begun)
    prepared = transpiled(program_json, work.limits, work.backend, work.options)
    prepare_s = time.perf_counter() - begun
    compiled = tuple(qasm3.dumps(circuit) for circuit in prepared) if work.return_compiled else None
    if isinstance(family, AdaptiveFamily):
        return _search(family, prepared, work, prepare_s, compiled, progress)
    execution = _run_seeded(prepared, [work])
    executed = executed_of(family, work, execution, 0, prepare_s=prepare_s, run_s=execution.run_s, compiled=compiled)
    unjudged = executed.judgement.fidelity is None
    return _with_canaries(executed, work, prepared[0]) if work.canary and unjudged else executed


def _with_canaries(executed: Executed, work: ExecuteWork, circuit: QuantumCircuit) -> Executed:
    """Judged by canaries that run right behind it, if there are any; what they take is a part of what it took."""
    there = backend(work.backend)
    device = there.device()
    shots, seed = canary.num_shots(device, work.canary, work.shots), derive(work.seed, "canary")
    if not shots or device.calibration is None:
        return executed
    try:
        made = canary.canaries(circuit, device.calibration, seed=seed)
        if not made:
            return executed
        runs = canary.runs(made, shots)
        beside = there.run([one.circuit for one in made], runs, seed=seed)
    except (BackendError, CircuitError) as error:  # the counts are there: they are not lost because nobody judges them
        log.warning("no canary could be run beside it: %s", error)
        return executed
    return replace(
        executed,
        judgement=Judgement(canary.judged(made, beside.counts), "canary"),
        run_s=executed.run_s + beside.run_s,
        device_s=None if executed.device_s is None else executed.device_s + (beside.device_s or 0.0),
        num_tasks=executed.num_tasks + len(runs),
        num_shots=executed.num_shots + sum(run.shots for run in runs),
    )


def _solved(family: SolvableFamily, begun: float) -> Executed:
    """The classical algorithm's answer."""
    outcome = family.solve()
    run_s = time.perf_counter() - begun
    judgement = judge_outcome(family, outcome)
    return Executed(
        {}, judgement, 0.0, 0.0, run_s, num_tasks=1, num_shots=0, method="classical", outcome=_plain(outcome)
    )


def alike(works: Sequence[ExecuteWork]) -> list[range]:
    """Indices of these pieces, those that stand together and differ in seed, shots and owner alone in one range."""
    ranges: list[range] = []
    for index, work in enumerate(works):
        if ranges and replace(work, **_own(works[ranges[-1].start])) == works[ranges[-1].start]:
            ranges[-1] = range(ranges[-1].start, index + 1)
        else:
            ranges.append(range(index, index + 1))
    return ranges


def _own(work: ExecuteWork) -> dict[str, Any]:
    """What may differ between pieces that are alike."""
    return {"seed": work.seed, "shots": work.shots, "job_id": work.job_id}


def execute_together(works: Sequence[ExecuteWork]) -> list[Executed] | None:
    """Run alike pieces in one call of their backend. None if they have to be run one by one, as by :func:`execute`."""
    if len(works) == 1 or _seeded(works[0].backend) is None or works[0].return_compiled or works[0].canary:
        return None
    with metered() as spent, clock.at(works[0].at):
        done = _execute_together(works)
    if done is None:
        return None
    cpu_s, rapl_j = spent.cpu_s / len(works), None if spent.rapl_j is None else spent.rapl_j / len(works)
    return [replace(one, cpu_s=cpu_s, rapl_j=rapl_j) for one in done]


def _execute_together(works: Sequence[ExecuteWork]) -> list[Executed] | None:
    work = works[0]
    program_json = to_json(work.program)
    begun = time.perf_counter()
    try:
        family = family_of(program_json, work.limits)
        if isinstance(family, AdaptiveFamily):
            return None
        prepared = transpiled(program_json, work.limits, work.backend, work.options)
        prepare_s = (time.perf_counter() - begun) / len(works)
        execution = _run_seeded(prepared, works)
    except (BackendError, CircuitError):  # whose fault it is will be seen when each runs alone
        return None
    run_s = execution.run_s / len(works)
    return [
        executed_of(family, one, execution, index, prepare_s=prepare_s, run_s=run_s, compiled=None)
        for index, one in enumerate(works)
    ]


def _run_seeded(prepared: Sequence[QuantumCircuit], works: Sequence[ExecuteWork]) -> Execution:
    """Run one circuit for these pieces; a backend that cannot do it for several gets one alone."""
    work, runs = works[0], [Run(one.shots) for one in works]
    seeded = _seeded(work.backend)
    if seeded is not None:
        return seeded.run_seeded(prepared, runs, [one.seed for one in works], memory=work.memory)
    return backend(work.backend).run(prepared, runs, seed=work.seed, memory=work.memory)


def executed_of(
    family: CircuitFamily,
    work: ExecuteWork,
    execution: Execution,
    index: int,
    *,
    prepare_s: float,
    run_s: float,
    compiled: tuple[str, ...] | None,
) -> Executed:
    """One piece's part of an execution."""
    counts = execution.counts[index]
    return Executed(
        counts=counts,
        judgement=judge(family, counts, work.ideal),
        warm_up_s=0.0,
        prepare_s=prepare_s,
        run_s=run_s,
        num_tasks=1,
        num_shots=work.shots,
        method=execution.method,
        device_s=execution.device_s,
        approximate=execution.approximate,
        queue_s=execution.queue_s,
        pair_fidelity=execution.pair_fidelity,
        links=execution.links,
        at=work.at,
        memory=execution.memory[index] if execution.memory else None,
        compiled=compiled,
    )


def _search(
    family: AdaptiveFamily,
    prepared: Sequence[QuantumCircuit],
    work: ExecuteWork,
    prepare_s: float,
    compiled: tuple[str, ...] | None,
    progress: Progress,
) -> Executed:
    """Step an adaptive family until it has its answer, telling every round."""
    executions: list[Execution] = []
    num_shots = 0
    rounds = family.rounds(work.shots, work.seed)
    answer: Sequence[Counts] | None = None
    while True:
        try:
            turn = next(rounds) if answer is None else rounds.send(answer)
        except StopIteration as stopped:
            outcome: Outcome = stopped.value
            break
        progress({"round": len(executions) + 1, "num_runs": len(turn.runs), "partial": turn.partial})
        execution = backend(work.backend).run(
            prepared, turn.runs, seed=derive(work.seed, "round", len(executions)), memory=work.memory
        )
        executions.append(execution)
        num_shots += sum(run.shots for run in turn.runs)
        answer = execution.counts
    memory: list[str] = [shot for e in executions for run in e.memory or () for shot in run]
    return Executed(
        counts=executions[-1].counts[-1] if executions else {},
        judgement=judge_outcome(family, outcome),
        warm_up_s=0.0,
        prepare_s=prepare_s,
        run_s=sum(execution.run_s for execution in executions),
        num_tasks=sum(len(execution.counts) for execution in executions),
        num_shots=num_shots,
        method="+".join(sorted({execution.method for execution in executions})),
        device_s=sum(times_s) if (times_s := [e.device_s for e in executions if e.device_s is not None]) else None,
        approximate=any(execution.approximate for execution in executions),
        queue_s=executions[0].queue_s if executions else None,  # the rounds share a session: it waits once
        pair_fidelity=executions[0].pair_fidelity if executions else None,
        links=executions[0].links if executions else (),
        at=work.at,
        outcome=_plain(outcome),
        memory=tuple(memory) if work.memory else None,
        compiled=compiled,
    )


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {"value": outcome.value, "score": outcome.score, "num_rounds": outcome.num_rounds}


def rejudge(work: JudgeWork) -> Judged:
    """Judge what came of several shares: their counts, which were merged, or their outcomes, which are merged here."""
    family = family_of(to_json(work.program), work.limits)
    if work.outcomes and isinstance(family, DivisibleFamily):
        outcome = family.merged([Outcome(**one) for one in work.outcomes])
        return Judged(judge_outcome(family, outcome), _plain(outcome))
    return Judged(judge(family, work.counts, work.ideal))
