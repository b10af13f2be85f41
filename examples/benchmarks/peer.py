"""MQT Predictor as a peer to compare with: a process of another interpreter, asked through its standard input."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qiskit import QuantumCircuit

from backends.backend import Device

SCRIPT = Path(__file__).with_name("estimators_peer.py")


class Peer:
    """MQT Predictor in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, question: Mapping[str, Any]) -> Any:
        """One question, one answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the peer has ended; what it said stands above")
        return json.loads(line)

    def meet(self, device: Device) -> None:
        """Tell it the device."""
        calibration = device.calibration
        assert calibration is not None
        gates: dict[str, list[Any]] = {}
        for gate in calibration.gates:
            if gate.gate != "reset":
                gates.setdefault(gate.gate, []).append((gate.qubits, gate.error, gate.duration_s))
        qubits = calibration.qubits
        self.ask(
            {
                "target": {
                    "times_s": [(qubit.t1_s, qubit.t2_s) for qubit in qubits],
                    "readout": [(qubit.readout_error, qubit.readout_duration_s) for qubit in qubits],
                    "gates": gates,
                }
            }
        )

    def score(self, circuit: QuantumCircuit) -> dict[str, float]:
        """Its figures of a compiled circuit, and the CPU seconds they took."""
        qubits, clbits = ({bit: n for n, bit in enumerate(bits)} for bits in (circuit.qubits, circuit.clbits))
        operations = []
        for item in circuit.data:
            params = [] if item.name == "barrier" else list(map(float, item.params))
            on, into = [qubits[bit] for bit in item.qubits], [clbits[bit] for bit in item.clbits]
            operations.append((item.name, on, params, into))
        said = self.ask({"num_qubits": len(qubits), "num_clbits": len(clbits), "operations": operations})
        return {
            "mqt_expected_fidelity": said["expected_fidelity"],
            "mqt_success_probability": said["success_probability"],
            "mqt_fidelity_s": said["fidelity_s"],
            "mqt_success_s": said["success_s"],
        }


@contextmanager
def peer_at(interpreter: str | None) -> Iterator[Peer | None]:
    """The peer, if there is an interpreter that has it."""
    if interpreter is None:
        yield None
        return
    command = [interpreter, SCRIPT.as_posix()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Peer(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
