"""Small worlds of made-up runs, for tests of the arena and the oracle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import backends
from backends.backend import CostCurve, Device
from circuits.facts import Features
from circuits.program import Program
from orchestrator.cost_model.prior import CONVERSATION_S, PREPARE_S
from orchestrator.fleet import Fleet
from orchestrator.job import JobSpec, Measurement, Objective
from orchestrator.placement import Lane
from orchestrator.preparation import Fit, ProgramFacts
from policies.arena import Task, World

LATENCY = Objective(latency=1.0, fidelity=0.0, price=0.0)
PROGRAM = Program("openqasm2", text="")
FLIP = Features(
    num_qubits=1,
    width=1,
    depth=2,
    two_qubit_depth=0,
    num_gates=1,
    num_1q=1,
    num_2q=0,
    num_multi=0,
    num_measurements=1,
    num_clbits=1,
    num_parameters=0,
    dynamic=False,
    clifford=True,
)


def device(name: str, expected_s: float = 1.0) -> Device:
    """A simulator whose calibration foretells that every run takes so long."""
    like = backends.load("aer_statevector").device()
    return replace(like, name=name, cost_curve=CostCurve(expected_s - CONVERSATION_S - PREPARE_S, 0.0, 0.0, 0.0))


def run(service_s: float, **figures: Any) -> Measurement:
    """What was measured of one run."""
    known: dict[str, Any] = {"fidelity": 1.0, "fidelity_floor": 1.0, "energy_j": 0.0, "cost_usd": 0.0}
    return Measurement(
        wait_s=0.0,
        prepare_s=0.0,
        run_s=service_s,
        service_s=service_s,
        latency_s=service_s,
        fidelity_kind="counts",
        score=None,
        **(known | figures),
    )


def task(at_s: float, runs: Mapping[str, float | Measurement], names: Sequence[str] = (), **spec: Any) -> Task:
    """A job that arrives then; ``names`` are backends where it cannot run."""
    facts = ProgramFacts("program", FLIP, adaptive=False, ideal=None)
    fits = {name: Fit(num_qubits=1, fidelity=1.0) for name in runs} | {name: Fit(cannot="no run") for name in names}
    measured = {name: one if isinstance(one, Measurement) else run(one) for name, one in runs.items()}
    return Task(at_s, JobSpec(PROGRAM, **{"shots": 100, "objective": LATENCY, **spec}), (facts, fits), measured)


def world(tasks: Sequence[Task], lanes: Sequence[Lane], expected_s: Mapping[str, float], look_s: float = 0.5) -> World:
    """A world of simulators with what calibration says of them."""
    devices = {name: device(name, time_s) for name, time_s in sorted(expected_s.items())}
    return World(Fleet(devices, tuple(lanes), frozenset()), tuple(tasks), look_s=look_s)


def alone(*names: str) -> list[Lane]:
    """A lane of its own for each."""
    return [Lane(name, 1, (name,)) for name in names]
