"""Cutting instead of teleporting: gates between QPUs replaced by sums of local ones, paid for in shots.

A gate of overhead γ = Σ |c_i| over its local terms takes γ² times the shots for the same standard error: γ = 3, nine
times, of a CX (Mitarai and Fujii 2021; Piveteau and Sutter 2023). What comes out are expectation values and no counts.
The work is done by ``qiskit-addon-cutting``, an optional dependency.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qiskit import QuantumCircuit

from circuits.distributed.ebits import remote
from circuits.errors import DependencyNotInstalled, InvalidProgram

Sample = Callable[[Sequence[QuantumCircuit], int], Any]
"""Runs circuits, each with so many shots, and gives a sampler's ``PrimitiveResult`` (SamplerV2)."""


@dataclass(frozen=True)
class Cut:
    """A circuit in pieces.

    Attributes:
        experiments: of each QPU, what is to be run there.   coefficients: of each experiment, with the addon's kind.
        observables: of each QPU, by the addon.   gamma: Σ |c|: γ of all cuts together.
    """

    experiments: Mapping[int, Sequence[QuantumCircuit]]
    coefficients: Sequence[Any]
    observables: Mapping[int, Any]
    gamma: float

    @property
    def num_experiments(self) -> int:
        """On each QPU; they differ in what stands for the gates that were cut."""
        return max(len(mine) for mine in self.experiments.values())


def gamma(circuit: QuantumCircuit, parts: Sequence[int]) -> float:
    """γ of cutting every gate between QPUs by itself: Π (1 + 2 |sin φ|), φ the angle of the gate as exp(-i φ ZZ/2).

    Args:
        circuit: in the basis of :mod:`circuits.distributed.gates`, without free parameters.
    """
    found = 1.0
    for item in remote(circuit, parts):
        operation = item.operation
        angle = math.pi if operation.name == "cz" else float(operation.params[0])
        found *= 1.0 + 2.0 * abs(math.sin(angle if operation.name == "rzz" else 0.5 * angle))
    return found


def cut(circuit: QuantumCircuit, parts: Sequence[int], paulis: Sequence[str]) -> Cut:
    """All local terms of a circuit whose gates between QPUs are cut; measurements are left out.

    Args:
        circuit: without free parameters.   parts: QPU of each qubit.
        paulis: observables such as "ZIIZ", the first character for the last qubit, as Qiskit writes them.

    Raises:
        DependencyNotInstalled: the addon is missing.   InvalidProgram: a gate cannot be cut.
    """
    try:
        from qiskit_addon_cutting import generate_cutting_experiments, partition_problem
    except ImportError as error:
        raise DependencyNotInstalled("cutting a circuit", "qiskit_addon_cutting", "cutting") from error
    from qiskit.quantum_info import PauliList

    bare = circuit.remove_final_measurements(inplace=False)
    try:
        pieces = partition_problem(bare, partition_labels=list(parts), observables=PauliList(list(paulis)))
        experiments, coefficients = generate_cutting_experiments(
            circuits=pieces.subcircuits, observables=pieces.subobservables, num_samples=math.inf
        )
    except ValueError as error:
        raise InvalidProgram(f"circuit {circuit.name!r} cannot be cut: {error}") from error
    total = math.prod(float(basis.kappa) for basis in pieces.bases)
    return Cut(experiments, coefficients, pieces.subobservables, total)


def expectations(pieces: Cut, sample: Sample, shots: int) -> list[float]:
    """The observables' values from so many shots on each QPU, shared evenly by the experiments.

    Args:
        sample: runs the circuits of one QPU.   shots: at least one for each experiment.
    """
    from qiskit_addon_cutting import reconstruct_expectation_values

    each = max(1, shots // pieces.num_experiments)
    results = {qpu: sample(experiments, each) for qpu, experiments in pieces.experiments.items()}
    return [float(value) for value in reconstruct_expectation_values(results, pieces.coefficients, pieces.observables)]
