"""The peer of ``estimators.py``: MQT Predictor's figures of merit and MQT Bench's circuits, in a process of their own.

    python -m venv peers && peers/bin/pip install mqt.predictor==2.4.0 qiskit==2.3.0
    python examples/benchmarks/estimators.py --peers peers/bin/python

Nothing of qorch is imported here: it is run by an interpreter that has the peer and need not have qorch.
Reads one JSON object a line and answers with one: {"sizes"} asks for circuits, {"target"} says which device is meant
from then on, {"operations"} asks for the scores of a circuit that was compiled to it.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from mqt.bench import BenchmarkLevel, get_benchmark
from mqt.bench.benchmarks import get_available_benchmark_names
from mqt.predictor.reward import estimated_success_probability, expected_fidelity
from qiskit import QuantumCircuit, qasm2, transpile
from qiskit.circuit import Delay, Measure, Parameter
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.transpiler import InstructionProperties, QubitProperties, Target

PLAIN = ["x", "y", "z", "h", "s", "sdg", "t", "tdg", "rx", "ry", "rz", "sx", "cx", "cz", "swap", "measure"]
DT_S = 1e-9 / 4.5  # of IBM's control electronics; all published durations are whole multiples of it
GATES = get_standard_gate_name_mapping()


def circuits(sizes: list[int], max_gates: int) -> dict[str, str]:
    """MQT Bench's static circuits at these sizes as OpenQASM 2, by name and size."""
    found: dict[str, str] = {}
    for name in get_available_benchmark_names():
        for size in sizes:
            try:
                circuit = get_benchmark(name, level=BenchmarkLevel.ALG, circuit_size=size)
                plain = transpile(circuit, basis_gates=PLAIN, optimization_level=0)
                text = qasm2.dumps(plain)
            except Exception:  # noqa: BLE001, S112  # in many ways it says that it has no such size, or is dynamic
                continue
            if plain.size() <= max_gates:
                found[f"{name}_{size}"] = text
    return found


def target_of(record: dict[str, Any]) -> Target:
    """A device's published errors as Qiskit's target."""
    qubits = [QubitProperties(t1=t1, t2=t2) for t1, t2 in record["times_s"]]
    target = Target(num_qubits=len(qubits), qubit_properties=qubits, dt=DT_S)
    for name, entries in record["gates"].items():
        places = {tuple(on): InstructionProperties(duration=s, error=error) for on, error, s in entries}
        target.add_instruction(GATES[name], places)
    readout = {
        (qubit,): InstructionProperties(duration=s, error=error) for qubit, (error, s) in enumerate(record["readout"])
    }
    target.add_instruction(Measure(), readout)
    target.add_instruction(Delay(Parameter("t")), {(qubit,): None for qubit in range(len(qubits))})
    return target


def circuit_of(num_qubits: int, num_clbits: int, operations: list[Any]) -> QuantumCircuit:
    """The compiled circuit."""
    circuit = QuantumCircuit(num_qubits, num_clbits)
    for name, qubits, params, clbits in operations:
        if name == "measure":
            circuit.measure(qubits, clbits)
        elif name == "barrier":
            circuit.barrier(qubits)
        else:
            circuit.append(type(GATES[name])(*params), qubits)
    return circuit


def main() -> None:
    """Answer until the input ends."""
    target = None
    for line in sys.stdin:
        asked = json.loads(line)
        if "sizes" in asked:
            answer: Any = circuits(asked["sizes"], asked["max_gates"])
        elif "target" in asked:
            target, answer = target_of(asked["target"]), {}
        else:
            circuit = circuit_of(asked["num_qubits"], asked["num_clbits"], asked["operations"])
            begun = time.process_time()
            fidelity = expected_fidelity(circuit, target)
            between = time.process_time()
            success = estimated_success_probability(circuit, target)
            answer = {
                "expected_fidelity": fidelity,
                "success_probability": success,
                "fidelity_s": between - begun,
                "success_s": time.process_time() - between,
            }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
