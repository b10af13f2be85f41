"""Qiskit circuits to text and, at the door, the last look at a circuit that came as text."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING

from qiskit import QuantumCircuit, qasm2, qasm3, transpile
from qiskit.circuit import ControlFlowOp, Instruction, ParameterExpression
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.exceptions import QiskitError
from qiskit.quantum_info import Operator

from circuits.errors import InvalidProgram
from circuits.features import features
from circuits.structure import definition_key, has_feed_forward, is_composite, unroll_loops, walk

if TYPE_CHECKING:
    from circuits.program import Limits

COMMON_GATES = (
    "id", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "rx", "ry", "rz", "p", "u",
    "cx", "cy", "cz", "ch", "swap", "ccx", "cswap", "crx", "cry", "crz", "cp", "cu",
)  # fmt: skip
"""Gates that OpenQASM 2 with qelib1.inc, OpenQASM 3 with stdgates.inc and the other SDKs' readers share."""

MAX_MATRIX_QUBITS = 7
"""Widest matrix that is written as gates: about 4**n of them; 7 qubits take 5 s and 0.66 MB of text (measured)."""

WIDEST = {
    "unitary": MAX_MATRIX_QUBITS,
    "isometry": MAX_MATRIX_QUBITS,
    "multiplexer": MAX_MATRIX_QUBITS,
    "initialize": 13,
    "state_preparation": 13,
    "diagonal": 13,
}
"""Most qubits of what is synthesised from a table that doubles with each of them."""


def to_openqasm(circuit: QuantumCircuit, limits: Limits) -> tuple[str, str]:
    """Language and text of a circuit: OpenQASM 2 if it is free of control flow, else OpenQASM 3.

    A circuit without any measurement is measured on all its qubits. Registers of a static circuit are joined into one
    ``q`` and one ``c``, in order, so that counts have no spaces. For loops are written out. Global phase is lost;
    delays are dropped.

    Raises:
        InvalidProgram: free parameters, or an instruction that no gate stands for.
    """
    if circuit.num_qubits == 0:
        raise InvalidProgram("wanted a circuit with at least one qubit, got none")
    _check_sound(circuit, set())
    expanded = _expanded(circuit, {})
    if expanded > limits.max_gates:
        raise InvalidProgram(
            f"gates after expanding definitions: wanted at most {limits.max_gates}, got {expanded:.3g}; "
            "shrink the circuit or raise the limit"
        )
    check_names(circuit, set())
    circuit = _unroll(circuit, limits)
    if circuit.num_parameters:
        names = ", ".join(sorted(parameter.name for parameter in circuit.parameters)[:5])
        raise InvalidProgram(f"wanted a circuit without free parameters, got {names}; call assign_parameters first")
    measured = circuit if _is_measured(circuit) else circuit.measure_all(inplace=False)
    try:
        if has_feed_forward(measured):
            return "openqasm3", qasm3.dumps(_lower(measured))
        flat, lowered = QuantumCircuit(measured.num_qubits, measured.num_clbits), _lower(measured)
        if lowered.size() > limits.max_gates:
            raise InvalidProgram(
                f"gates: wanted at most {limits.max_gates}, got {lowered.size()} once it is written in basic ones;"
                " shrink the circuit"
            )
        flat.compose(lowered, flat.qubits, flat.clbits, inplace=True)
        return "openqasm2", qasm2.dumps(flat)
    except (QiskitError, TypeError, ValueError, NotImplementedError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InvalidProgram(f"the circuit cannot be written as OpenQASM: {reason}; decompose it to gates") from error


def admit(circuit: QuantumCircuit, limits: Limits) -> QuantumCircuit:
    """The circuit, measured (in place); or the reason why it is refused.

    Raises:
        InvalidProgram: no qubits, free parameters, an angle that is not finite, or a limit exceeded.
    """
    if circuit.num_qubits == 0:
        raise InvalidProgram("wanted a program with at least one qubit, got none; declare a register")
    circuit = _unroll(circuit, limits)
    if circuit.num_parameters:
        names = ", ".join(sorted(parameter.name for parameter in circuit.parameters)[:5])
        raise InvalidProgram(
            f"wanted a program without free parameters or loops that break, got {names}; write them out"
        )
    if not _is_measured(circuit):
        circuit.measure_all()  # in place: a copy would expand every definition that was looked at
    check_names(circuit, set())
    _check_sound(circuit, set())
    found = features(circuit)
    for name, got, limit in (
        ("active qubits", found.num_qubits, limits.max_qubits),
        ("classical bits", found.num_clbits, limits.max_clbits),
        ("gates", found.num_gates, limits.max_gates),
        ("depth", found.depth, limits.max_depth),
    ):
        if got > limit:
            raise InvalidProgram(f"{name}: wanted at most {limit}, got {got}; shrink the program or raise the limit")
    return circuit


def _unroll(circuit: QuantumCircuit, limits: Limits) -> QuantumCircuit:
    cost = sum(times for _, times in walk(circuit))
    if cost > limits.max_gates:
        raise InvalidProgram(f"instructions: wanted at most {limits.max_gates}, got {cost} with loops written out")
    return unroll_loops(circuit)


def _is_measured(circuit: QuantumCircuit) -> bool:
    return any(item.operation.name == "measure" for item, _ in walk(circuit))


def _lower(circuit: QuantumCircuit) -> QuantumCircuit:
    """Gates that every reader knows; a circuit that has only these is left as it is."""
    known = {*COMMON_GATES, "measure", "reset", "barrier"}
    heads = {"if_else", "for_loop", "while_loop", "switch_case", "box", "break_loop", "continue_loop"}
    names = {item.operation.name for item, _ in walk(circuit)}
    if "delay" in names:
        circuit = circuit.copy()
        circuit.data = [item for item in circuit.data if item.operation.name != "delay"]
    if names <= known | heads:
        return circuit
    return transpile(circuit, basis_gates=[*COMMON_GATES, *(names & heads)], optimization_level=0)


def _check_sound(circuit: QuantumCircuit, seen: set[Hashable]) -> None:
    """Refuse NaN and infinity, and what takes exponentially many gates, before anybody tries to write it out.

    Gate definitions are looked at, too, each once.
    """
    for item, _ in walk(circuit):
        operation = item.operation
        if isinstance(operation, ControlFlowOp):
            continue
        most = WIDEST.get(getattr(operation, "base_gate", operation).name)
        if most is not None and len(item.qubits) > most:
            raise InvalidProgram(
                f"{operation.name}: wanted at most {most} qubits, got {len(item.qubits)}; write it as smaller gates"
            )
        _check_angles(operation.name, operation.params)
        if is_composite(operation) and (key := definition_key(operation)) not in seen:
            seen.add(key)
            _check_sound(operation.definition, seen)


def _expanded(circuit: QuantumCircuit, known: dict[Hashable, float]) -> float:
    """Gates after expanding every definition, without expanding any: each is looked at once."""
    total = 0.0
    for item, times in walk(circuit):
        operation = item.operation
        if isinstance(operation, ControlFlowOp) or not is_composite(operation):
            total += times
            continue
        key = definition_key(operation)
        if key not in known:
            known[key] = _expanded(operation.definition, known)
        total += times * known[key]
    return total


def check_names(circuit: QuantumCircuit, seen: set[Hashable]) -> None:
    """Refuse a gate that has the name of a standard one and does something else: every reader goes by the name.

    Raises:
        InvalidProgram: there is one, in the circuit or in a definition that it uses.
    """
    standard = standard_gates()
    for item, _ in walk(circuit):
        operation = item.operation
        if isinstance(operation, ControlFlowOp) or getattr(operation, "definition", None) is None:
            continue
        known = standard.get(operation.name)
        if known is not None and operation.base_class is known.base_class:
            continue
        if (key := definition_key(operation)) in seen:
            continue
        seen.add(key)
        if known is not None and not _does_the_same(operation, known):
            raise InvalidProgram(
                f"gate {operation.name!r} is defined here, and does something else than the standard gate of that name;"
                " give it another name"
            )
        if known is None and is_composite(operation):
            check_names(operation.definition, seen)


@cache
def standard_gates() -> Mapping[str, Instruction]:
    """Qiskit's standard gates by name, made once: making them takes longer than reading a small circuit."""
    gates: Mapping[str, Instruction] = get_standard_gate_name_mapping()
    return gates


def _does_the_same(operation: Instruction, known: Instruction) -> bool:
    if operation.num_qubits != known.num_qubits or len(operation.params) != len(known.params):
        return False
    try:
        return bool(Operator(operation.definition).equiv(Operator(known.base_class(*operation.params))))
    except (QiskitError, TypeError, ValueError):  # it measures, or its angles are free
        return False


def _check_angles(name: str, angles: Iterable[object]) -> None:
    for angle in angles:
        if isinstance(angle, (int, float)) and not math.isfinite(angle):
            raise InvalidProgram(f"gate {name}: wanted finite angles, got {angle}; check the expression in the text")
        if isinstance(angle, ParameterExpression) and not angle.parameters:
            _check_angles(name, [complex(angle).real])
