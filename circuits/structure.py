"""Questions about a circuit that several modules ask: which qubits act, what is measured, what is dynamic."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import lru_cache

from qiskit import QuantumCircuit
from qiskit.circuit import BoxOp, CircuitInstruction, ControlFlowOp, ForLoopOp, Operation
from qiskit.circuit.library import get_standard_gate_name_mapping

NOT_GATES = frozenset({"barrier", "delay", "measure", "reset", "store", "break_loop", "continue_loop", "global_phase"})
"""Names of instructions that are no gates."""


def active_qubits(circuit: QuantumCircuit) -> list[int]:
    """Indices of the qubits that something other than a barrier or a delay acts on."""
    index = {bit: position for position, bit in enumerate(circuit.qubits)}
    used = {index[q] for item in circuit.data if item.name not in ("barrier", "delay") for q in item.qubits}
    return sorted(used)


def drop_idle_qubits(circuit: QuantumCircuit) -> QuantumCircuit:
    """The same circuit on its active qubits alone, in their order; classical bits stay. At least one qubit is kept."""
    keep = active_qubits(circuit) or [0]
    if len(keep) == circuit.num_qubits:
        return circuit
    kept = [circuit.qubits[position] for position in keep]
    alive = set(kept)
    small = QuantumCircuit(kept, circuit.clbits, *circuit.cregs, name=circuit.name, global_phase=circuit.global_phase)
    for variable in circuit.iter_declared_vars():
        small.add_uninitialized_var(variable)
    for item in circuit.data:
        qubits = [qubit for qubit in item.qubits if qubit in alive]
        if len(qubits) == len(item.qubits):
            small._append(item)  # keeps the bit objects, which control-flow bodies refer to by position
        elif item.operation.name == "barrier" and qubits:
            small.barrier(*qubits)
    return small


def iterations(operation: ControlFlowOp) -> int:
    """How often a control-flow body runs: a for loop's length; 1 for a branch and for a while loop."""
    return len(operation.params[0]) if isinstance(operation, ForLoopOp) else 1


def unroll_loops(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit with its for loops and boxes written out, in branches too; loops with break or continue stay.

    Qiskit lists a loop's variable among the circuit's free parameters, and most SDKs know neither loops nor boxes.
    """
    if not any(isinstance(item.operation, ForLoopOp | BoxOp) for item, _ in walk(circuit)):
        return circuit
    flat = circuit.copy_empty_like()
    for item in circuit.data:
        operation = item.operation
        if isinstance(operation, ControlFlowOp):
            operation = operation.replace_blocks([unroll_loops(block) for block in operation.blocks])
        if isinstance(operation, BoxOp):
            flat.compose(operation.blocks[0], item.qubits, item.clbits, inplace=True, copy=False)
        elif isinstance(operation, ForLoopOp) and not _breaks(operation):
            values, variable, body = operation.params
            for value in values:
                bound = body if variable not in body.parameters else body.assign_parameters({variable: value})
                flat.compose(bound, item.qubits, item.clbits, inplace=True, copy=False)
        else:
            flat._append(CircuitInstruction(operation, item.qubits, item.clbits))
    return flat


def _breaks(loop: ForLoopOp) -> bool:
    return any(item.operation.name in ("break_loop", "continue_loop") for item, _ in walk(loop.blocks[0]))


def has_feed_forward(circuit: QuantumCircuit) -> bool:
    """Whether it has control flow or classical variables."""
    return any(isinstance(item.operation, ControlFlowOp) or item.operation.name == "store" for item in circuit.data)


def is_dynamic(circuit: QuantumCircuit) -> bool:
    """Whether it has control flow, or a reset or a gate on a qubit that was used or measured before.

    A reset of an untouched qubit changes nothing and does not count; neither does measuring a qubit twice in a row.
    """
    if has_feed_forward(circuit):
        return True
    touched: set[object] = set()
    measured: set[object] = set()
    for item in circuit.data:
        name = item.operation.name
        if name in ("barrier", "delay"):
            continue
        if name in ("reset", "initialize") and not touched.isdisjoint(item.qubits):
            return True
        if name == "measure":
            measured.update(item.qubits)
        elif not measured.isdisjoint(item.qubits):
            return True
        if name != "reset":
            touched.update(item.qubits)
    return False


def measurements(circuit: QuantumCircuit) -> dict[int, int]:
    """Classical bit -> qubit of its last measurement, for a circuit without control flow."""
    qubit_of = {bit: position for position, bit in enumerate(circuit.qubits)}
    clbit_of = {bit: position for position, bit in enumerate(circuit.clbits)}
    return {
        clbit_of[item.clbits[0]]: qubit_of[item.qubits[0]] for item in circuit.data if item.operation.name == "measure"
    }


def walk(circuit: QuantumCircuit, weight: int = 1) -> Iterator[tuple[CircuitInstruction, int]]:
    """Every instruction with the number of times it runs; bodies of control flow follow their head."""
    for item in circuit.data:
        yield item, weight
        if isinstance(item.operation, ControlFlowOp):
            for block in item.operation.blocks:
                yield from walk(block, weight * iterations(item.operation))


def is_composite(operation: Operation) -> bool:
    """Whether an instruction is defined by a circuit and is not one of the gates that everybody knows."""
    return operation.name not in _standard_names() and getattr(operation, "definition", None) is not None


def definition_key(operation: Operation) -> Hashable:
    """Equal for two composite gates that surely share a definition: by origin, name and angles."""
    origin = getattr(operation, "_gates", None)  # the table of an OpenQASM 2 program; its definitions are made lazily
    origin = operation.definition if origin is None else origin
    return operation.name, tuple(map(str, operation.params)), id(origin)


@lru_cache(maxsize=1)
def _standard_names() -> frozenset[str]:
    return frozenset(get_standard_gate_name_mapping()) | {"mcx", "mcphase", "mcx_gray", "unitary", "u0", *NOT_GATES}
