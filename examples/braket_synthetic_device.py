"""Write the properties of the made-up 20-qubit device that the backend ``braket_emulator`` emulates.

    python examples/braket_synthetic_device.py [--check]

The document has the form in which Amazon Braket publishes IQM's devices, and is read by the SDK's own schema before
it is written. Its numbers are drawn from seed 7, in ranges of our choice that such devices reach: nothing of it was
measured on any device. With ``--check`` nothing is written; the exit code is 1 where the shipped file differs.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PATH = Path(__file__).parents[1] / "backends" / "data" / "braket_synthetic.json"
ROWS, COLUMNS = 4, 5
SEED = 7


def header(name: str) -> dict[str, str]:
    """Which of Braket's schemas a part follows."""
    return {"name": f"braket.device_schema.{name}", "version": "1"}


def couplers() -> list[tuple[int, int]]:
    """Neighbours on a grid whose qubits are counted from 1, as IQM counts."""
    places = [(row, column) for row in range(ROWS) for column in range(COLUMNS)]
    across = [(1 + r * COLUMNS + c, 2 + r * COLUMNS + c) for r, c in places if c + 1 < COLUMNS]
    down = [(1 + r * COLUMNS + c, 1 + (r + 1) * COLUMNS + c) for r, c in places if r + 1 < ROWS]
    return sorted(across + down)


def properties() -> dict[str, Any]:
    """The document."""
    rng = random.Random(SEED)
    labels, edges = range(1, ROWS * COLUMNS + 1), couplers()

    def time(low_us: float, high_us: float) -> dict[str, Any]:
        return {"value": round(rng.uniform(low_us, high_us), 2), "standardError": None, "unit": "us"}

    def fidelity(low: float, high: float) -> float:
        return round(rng.uniform(low, high), 5)

    def one_qubit() -> dict[str, Any]:
        kinds = {"RANDOMIZED_BENCHMARKING": (0.998, 0.9995), "READOUT": (0.96, 0.99)}
        found = [{"fidelityType": {"name": kind}, "fidelity": fidelity(*span)} for kind, span in kinds.items()]
        return {"T1": time(30.0, 60.0), "T2": time(10.0, 30.0), "oneQubitFidelity": found}

    def two_qubit() -> dict[str, Any]:
        benchmark = {"name": "INTERLEAVED_RANDOMIZED_BENCHMARKING"}
        gate = {"gateName": "CZ", "fidelity": fidelity(0.985, 0.997), "fidelityType": benchmark}
        return {"twoQubitGateFidelity": [{"direction": None, **gate}]}

    return {
        "braketSchemaHeader": header("iqm.iqm_device_capabilities"),
        "service": {
            "braketSchemaHeader": header("device_service_properties"),
            "executionWindows": [{"executionDay": "Everyday", "windowStartHour": "00:00", "windowEndHour": "23:59:59"}],
            "shotsRange": [1, 20_000],
            "deviceDocumentation": {
                "imageUrl": "",
                "summary": "Synthetic: made-up numbers of the order of IQM's, no real device",
                "externalDocumentationUrl": "",
            },
            "deviceLocation": "nowhere",
            "updatedAt": "2026-11-21T00:00:00+00:00",
        },
        "action": {
            "braket.ir.openqasm.program": {
                "actionType": "braket.ir.openqasm.program",
                "version": ["1"],
                "supportedOperations": ["cz", "prx"],
                "supportedPragmas": ["verbatim"],
                "supportPhysicalQubits": True,
                "supportedResultTypes": [{"name": "Probability", "minShots": 1, "maxShots": 20_000}],
            }
        },
        "deviceParameters": {},
        "paradigm": {
            "braketSchemaHeader": header("gate_model_qpu_paradigm_properties"),
            "qubitCount": len(labels),
            "nativeGateSet": ["cz", "prx"],
            "connectivity": {
                "fullyConnected": False,
                "connectivityGraph": {
                    str(label): [str(b if a == label else a) for a, b in edges if label in (a, b)] for label in labels
                },
            },
        },
        "standardized": {
            "braketSchemaHeader": header("standardized_gate_model_qpu_device_properties"),
            "oneQubitProperties": {str(label): one_qubit() for label in labels},
            "twoQubitProperties": {f"{a}-{b}": two_qubit() for a, b in edges},
        },
        "provider": None,
    }


def main(arguments: Iterable[str] | None = None) -> int:
    """Write, or compare."""
    from braket.device_schema.iqm import IqmDeviceCapabilities

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 where the shipped file differs")
    check = parser.parse_args(arguments).check
    text = json.dumps(properties(), separators=(",", ":")) + "\n"
    IqmDeviceCapabilities.parse_raw(text)
    if not check:
        PATH.write_text(text, encoding="utf-8")
    same = PATH.read_text(encoding="utf-8") == text
    print(f"{PATH.name}: {len(text)} bytes, {'as written here' if same else 'DIFFERS'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
