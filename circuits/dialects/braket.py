"""Amazon Braket: its words for Qiskit's gates, and its circuits read.

Qubits come by number, and those that nothing touches are not there, as in Braket's own results. Bits come in the order
of the ``measure`` instructions, or of the targets of ``Probability`` results. Gates with matrices, controls and powers
are understood; noise, verbatim boxes, pulses, free parameters and other result types are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from braket.circuits import Gate, compiler_directives, noise, result_types
from braket.circuits import gates as words
from braket.circuits.measure import Measure

from circuits.dialects.draft import Draft
from circuits.errors import InvalidProgram
from circuits.lowering import MAX_MATRIX_QUBITS

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from circuits.program import Limits

_WORDS: dict[str, Callable[..., Any]] = {
    "id": words.I,
    "x": words.X,
    "y": words.Y,
    "z": words.Z,
    "h": words.H,
    "s": words.S,
    "sdg": words.Si,
    "t": words.T,
    "tdg": words.Ti,
    "sx": words.V,
    "rx": words.Rx,
    "ry": words.Ry,
    "rz": words.Rz,
    "p": words.PhaseShift,
    "u": words.U,
    "cx": words.CNot,
    "cy": words.CY,
    "cz": words.CZ,
    "cp": words.CPhaseShift,
    "swap": words.Swap,
    "iswap": words.ISwap,
    "ecr": words.ECR,
    "rxx": words.XX,
    "ryy": words.YY,
    "rzz": words.ZZ,
    "ccx": words.CCNot,
    "cswap": words.CSwap,
}
_NAMES = {word: name for name, word in _WORDS.items()}


def gates() -> dict[str, Callable[..., Any]]:
    """Qiskit's name -> angles in radians -> Braket's gate, equal with its phase."""
    return _WORDS


def read(circuit: Any, limits: Limits) -> QuantumCircuit:
    """A ``braket.circuits.Circuit`` as Qiskit's.

    Raises:
        InvalidProgram: it holds what the module's text excludes, or exceeds a limit.
    """
    if circuit.parameters:
        names = ", ".join(sorted(map(str, circuit.parameters))[:5])
        raise InvalidProgram(f"wanted a circuit without free parameters, got {names}; call make_bound_circuit first")
    draft = Draft.on(sorted(circuit.qubits), limits)
    for instruction in circuit.instructions:
        _add(draft, instruction)
    for qubit in _asked(circuit):
        draft.measure(qubit)
    return draft.finished()


def _asked(circuit: Any) -> list[Any]:
    """Qubits that the result types read, in order, each once."""
    asked: dict[Any, None] = {}
    for result in circuit.result_types:
        if not isinstance(result, result_types.Probability):
            raise InvalidProgram(
                f"result type {type(result).__name__} is refused, counts are what comes back: leave it out, rotate to"
                " its basis with gates and compute it from the counts"
            )
        asked |= dict.fromkeys(result.target or sorted(circuit.qubits))
    return list(asked)


def _add(draft: Draft, instruction: Any) -> None:
    """Append one instruction."""
    operator, targets, controls = instruction.operator, list(instruction.target), list(instruction.control)
    name = _NAMES.get(type(operator))
    if isinstance(operator, Measure):
        for qubit in targets:
            draft.measure(qubit)
    elif isinstance(operator, compiler_directives.Barrier):
        draft.barrier(targets or list(draft.place))
    elif not isinstance(operator, Gate):
        kind = "noise" if isinstance(operator, noise.Noise) else "no gate"
        raise InvalidProgram(f"{type(operator).__name__} is {kind} and cannot be sent; leave it out")
    elif name is not None and instruction.power == 1:
        angles, values = getattr(operator, "parameters", ()), tuple(instruction.control_state)
        if controls:
            draft.controlled(name, angles, values, [*controls, *targets])
        else:
            draft.gate(name, angles, targets)
    elif len(controls) + len(targets) > MAX_MATRIX_QUBITS:
        raise InvalidProgram(
            f"{operator.name} on {len(controls) + len(targets)} qubits: wanted at most {MAX_MATRIX_QUBITS} where only a"
            " matrix says what a gate is; write it as smaller gates"
        )
    elif controls or targets:  # else it is a global phase
        matrix = _power(_matrix(operator), float(instruction.power))
        draft.matrix(matrix, [*controls, *targets], tuple(instruction.control_state))


def _matrix(operator: Any) -> Any:
    try:
        return np.asarray(operator.to_matrix(), dtype=complex)
    except NotImplementedError as error:
        raise InvalidProgram(f"gate {operator.name} has no matrix and cannot be sent; write it as gates") from error


def _power(matrix: Any, exponent: float) -> Any:
    """A power as Braket computes it: the principal one."""
    from scipy.linalg import fractional_matrix_power

    if exponent == int(exponent):
        return np.linalg.matrix_power(matrix, int(exponent))
    return fractional_matrix_power(matrix, exponent)
