"""A transpiled circuit on the few qubits it uses, with what happens to them between its gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backends.schedule import Schedule, Wait, schedule

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.circuit import CircuitInstruction

    from backends.calibration import Calibration
    from backends.virtual.truth import Truth

DENSITY_MATRIX_QUBITS = 10
"""Widest circuit run as a density matrix: at 10 qubits it beats a thousand trajectories, at 12 it does not (ours)."""
TRAJECTORY_QUBITS = 14
"""Widest circuit of which every shot follows a trajectory of its own."""
DENSITY_MATRIX, TRAJECTORIES, REALISATIONS = "density_matrix", "trajectories", "pauli_realisations"


Insertions = Mapping[int, Sequence["CircuitInstruction"]]
"""What happens before or after instructions, by their number."""


@dataclass(frozen=True)
class Slice:
    """A transpiled circuit on the qubits it uses.

    Attributes:
        circuit: relabelled to 0..k-1; for the exact engines with what waiting and the truth do written in.
        qubits: the device's qubit behind each of them.
        method: "density_matrix", "trajectories" or "pauli_realisations".
        duration_s: of one shot on the device, as scheduled.
        waits: idle intervals that are not written in.
        after: what the truth does that is not written in.
    """

    circuit: QuantumCircuit
    qubits: tuple[int, ...]
    method: str
    duration_s: float
    waits: tuple[Wait, ...] = ()
    after: Insertions = field(default_factory=dict)


def cut_slice(circuit: QuantumCircuit, calibration: Calibration, truth: Truth | None = None) -> Slice:
    """Relabel a transpiled circuit to its active qubits and add what waiting, and the truth, do to them.

    Dynamic circuits do not relax while they wait: when they do depends on the outcomes.
    """
    from circuits.structure import drop_idle_qubits, is_dynamic

    small = drop_idle_qubits(circuit)
    index = {bit: position for position, bit in enumerate(circuit.qubits)}
    qubits = tuple(index[bit] for bit in small.qubits)
    plan = schedule(small, calibration, qubits)
    after = {} if truth is None else truth.after(small, plan, qubits)
    if is_dynamic(small):
        whole = small if truth is None else truth.inside(small, qubits)
        return Slice(woven(whole, {}, after), qubits, TRAJECTORIES, plan.duration_s)
    if len(qubits) > TRAJECTORY_QUBITS:
        return Slice(small, qubits, REALISATIONS, plan.duration_s, plan.waits, after)
    method = DENSITY_MATRIX if len(qubits) <= DENSITY_MATRIX_QUBITS else TRAJECTORIES
    relaxing = _relaxing(small, plan, calibration, qubits, exact=method == DENSITY_MATRIX)
    return Slice(woven(small, relaxing, after), qubits, method, plan.duration_s)


def _relaxing(
    circuit: QuantumCircuit, plan: Schedule, calibration: Calibration, qubits: Sequence[int], *, exact: bool
) -> Insertions:
    from qiskit.circuit import CircuitInstruction

    from backends.noise import relaxation

    before: dict[int, list[CircuitInstruction]] = {}
    for wait in plan.waits:
        decay = relaxation(calibration.qubits[qubits[wait.qubit]], wait.duration_s, exact=exact)
        before.setdefault(wait.before, []).append(CircuitInstruction(decay, (circuit.qubits[wait.qubit],)))
    return before


def woven(circuit: QuantumCircuit, before: Insertions, after: Insertions) -> QuantumCircuit:
    """The circuit with insertions, and without delays, whose time is in them."""
    from qiskit.circuit.library import UnitaryGate

    if not before and not after and circuit.count_ops().keys().isdisjoint(("delay", "sqrt_iswap")):
        return circuit
    whole = circuit.copy_empty_like()
    for number, item in enumerate(circuit.data):
        for more in before.get(number, ()):
            whole._append(more)
        if item.name == "sqrt_iswap":  # which Aer knows as a matrix alone, and whose noise finds it by its label
            whole.append(UnitaryGate(item.operation.to_matrix(), label="sqrt_iswap"), item.qubits)
        elif item.name != "delay":
            whole._append(item)
        for more in after.get(number, ()):
            whole._append(more)
    return whole
