"""Documents of three QPUs in the shape that Amazon Braket publishes. Every number is made up."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

GARNET = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
ANKAA = "arn:aws:braket:us-west-1::device/qpu/rigetti/Ankaa-3"
FORTE = "arn:aws:braket:us-east-1::device/qpu/ionq/Forte-1"

UPDATED_AT = "2026-11-20T06:00:00"


def _header(name: str, version: str = "1") -> dict[str, str]:
    return {"name": f"braket.device_schema.{name}", "version": version}


def _common(maker: str, version: str, operations: Iterable[str], pragmas: list[str], shot_usd: float) -> dict[str, Any]:
    return {
        "braketSchemaHeader": _header(f"{maker}.{maker}_device_capabilities", version),
        "service": {
            "braketSchemaHeader": _header("device_service_properties"),
            "executionWindows": [
                {"executionDay": "Everyday", "windowStartHour": "00:00:00", "windowEndHour": "23:59:59"}
            ],
            "shotsRange": [1, 20_000],
            "deviceCost": {"price": shot_usd, "unit": "shot"},
            "updatedAt": UPDATED_AT,
            "getTaskPollIntervalMillis": 200,
        },
        "action": {
            "braket.ir.openqasm.program": {
                "actionType": "braket.ir.openqasm.program",
                "version": ["1"],
                "supportedOperations": list(operations),
                "supportedResultTypes": [
                    {"name": "Probability", "observables": None, "minShots": 1, "maxShots": 20_000}
                ],
                "supportedPragmas": pragmas,
                "supportPhysicalQubits": "verbatim" in pragmas,
            }
        },
        "deviceParameters": {},
    }


def _paradigm(num_qubits: int, native: list[str], graph: Mapping[str, list[str]], *, full: bool) -> dict[str, Any]:
    return {
        "braketSchemaHeader": _header("gate_model_qpu_paradigm_properties"),
        "qubitCount": num_qubits,
        "nativeGateSet": native,
        "connectivity": {"fullyConnected": full, "connectivityGraph": dict(graph)},
    }


def _standardized(
    labels: list[int], edges: list[tuple[int, int]], gate: str, version: str, seed: int
) -> dict[str, Any]:
    rng = random.Random(seed)
    unit = {} if version == "1" else {"unit": "fraction"}
    seconds = "us" if version == "1" else "s"
    scale = 1.0 if version == "1" else 1e-6

    def fidelity(kind: str, low: float, high: float) -> dict[str, Any]:
        return {"fidelityType": {"name": kind}, "fidelity": rng.uniform(low, high), **unit}

    return {
        "braketSchemaHeader": _header("standardized_gate_model_qpu_device_properties", version),
        "oneQubitProperties": {
            str(label): {
                "T1": {"value": rng.uniform(30, 60) * scale, "standardError": None, "unit": seconds},
                "T2": {"value": rng.uniform(10, 30) * scale, "standardError": None, "unit": seconds},
                "oneQubitFidelity": [
                    fidelity("RANDOMIZED_BENCHMARKING", 0.9985, 0.9995),
                    fidelity("READOUT", 0.96, 0.99),
                ],
            }
            for label in labels
        },
        "twoQubitProperties": {
            f"{a}-{b}": {
                "twoQubitGateFidelity": [
                    {
                        "direction": None,
                        "gateName": gate,
                        **fidelity("INTERLEAVED_RANDOMIZED_BENCHMARKING", 0.985, 0.997),
                    }
                ]
            }
            for a, b in edges
        },
    }


def _graph(labels: list[int], edges: list[tuple[int, int]]) -> dict[str, list[str]]:
    return {str(label): [str(b if a == label else a) for a, b in edges if label in (a, b)] for label in labels}


def _grid(labels: list[int], width: int) -> list[tuple[int, int]]:
    """Nearest neighbours of labels written row by row."""
    pairs = [(labels[i], labels[i + 1]) for i in range(len(labels) - 1) if (i + 1) % width]
    return pairs + [(labels[i], labels[i + width]) for i in range(len(labels) - width)]


def garnet() -> dict[str, Any]:
    """IQM: 20 qubits, which it counts from 1."""
    labels = list(range(1, 21))
    edges = _grid(labels, 5)
    return _common("iqm", "1", ["prx", "cz", "rx", "ry", "rz", "h", "cnot"], ["verbatim"], 0.00145) | {
        "paradigm": _paradigm(20, ["cz", "prx"], _graph(labels, edges), full=False),
        "standardized": _standardized(labels, edges, "CZ", "1", seed=7),
        "provider": None,
    }


def ankaa() -> dict[str, Any]:
    """Rigetti: 8 qubits of a grid of which some numbers are missing, and one pair that is out of order."""
    labels = [0, 1, 2, 7, 8, 9, 14, 15]
    edges = [(0, 1), (1, 2), (0, 7), (1, 8), (2, 9), (7, 8), (8, 9), (7, 14), (8, 15), (14, 15)]
    told = _common("rigetti", "2", ["rx", "rz", "iswap", "cz", "h", "cnot"], ["verbatim"], 0.0009) | {
        "paradigm": _paradigm(8, ["rx", "rz", "iswap"], _graph(labels, edges), full=False),
        "standardized": _standardized(labels, edges, "ISWAP", "1", seed=11),
        "provider": None,
    }
    told["standardized"]["twoQubitProperties"]["0-1"]["twoQubitGateFidelity"][0]["fidelity"] = 0.4
    return told


def forte() -> dict[str, Any]:
    """IonQ: 11 ions, one mean error for all; it writes its seconds without a unit."""
    return _common("ionq", "1", ["x", "rx", "ry", "rz", "h", "cnot", "xx", "zz"], [], 0.08) | {
        "paradigm": _paradigm(11, ["GPi", "GPi2", "ZZ"], {}, full=True),
        "provider": {
            "braketSchemaHeader": _header("ionq.ionq_provider_properties"),
            "fidelity": {"1Q": {"mean": 0.9998}, "2Q": {"mean": 0.993}, "spam": {"mean": 0.995}},
            "timing": {"T1": 100.0, "T2": 1.0, "1Q": 1.3e-4, "2Q": 9.7e-4, "readout": 1.5e-4, "reset": 5e-5},
        },
    }


DEVICES = {GARNET: ("Garnet", "IQM", garnet), ANKAA: ("Ankaa-3", "Rigetti", ankaa), FORTE: ("Forte 1", "IonQ", forte)}
"""ARN -> name, provider, document."""
