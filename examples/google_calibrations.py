"""Write the compact calibrations of Google's processors that ``backends/data`` ships, from cirq-google's own.

    python examples/google_calibrations.py [--check]

Needs ``pip install cirq-google`` (1.7.0 made the shipped ones). With ``--check`` nothing is written; the exit code is 1
where a shipped file differs from what this cirq-google would give.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "backends" / "data"
PROCESSORS = {"rainbow": "sqrt_iswap", "weber": "sqrt_iswap", "willow_pink": "cz"}
"""Processor -> the two-qubit gate that is taken, by the name it has among our gates."""

ONE_QUBIT = {
    "t1_us": "single_qubit_idle_t1_micros",
    "pauli_error": "single_qubit_rb_pauli_error_per_gate",
    "incoherent_error": "single_qubit_rb_incoherent_error_per_gate",
    "p00_error": "single_qubit_p00_error",
    "p11_error": "single_qubit_p11_error",
}
TWO_QUBIT = {"pauli_error": "pauli_error", "theta": "entangler_theta_error", "phi": "entangler_phi_error"}


def compact(processor: str) -> dict[str, Any]:
    """What we keep of a processor: plain JSON."""
    import cirq
    from cirq_google.engine import virtual_engine_factory as factory

    gate = PROCESSORS[processor]
    published = factory.load_median_device_calibration(processor)
    times_ns = factory.load_device_noise_properties(processor).gate_times_ns
    phases = factory.load_sample_device_zphase(processor)[gate] if processor in factory.ZPHASE_DATA else {}
    one = {column: published[metric] for column, metric in ONE_QUBIT.items()}
    prefix = f"two_qubit_parallel_{gate}_gate_xeb"
    two = {column: published[f"{prefix}_{metric}_per_cycle"] for column, metric in TWO_QUBIT.items()}
    names = sorted(key[0] for key in one["t1_us"])
    place = {name: index for index, name in enumerate(names)}
    cirq_gate = cirq.CZPowGate if gate == "cz" else cirq.ISwapPowGate
    couplers = []
    for pair in sorted(tuple(sorted(pair)) for pair in two["pauli_error"]):
        row = [value(two[column], pair) for column in two]
        angles = [value(phases.get(angle, {}), pair, odd=angle == "zeta") for angle in ("zeta", "gamma")]
        couplers.append([*(place[name] for name in pair), *row, *angles])
    return {
        "processor": processor,
        "source": f"cirq-google {version('cirq-google')}, {factory.MEDIAN_CALIBRATIONS[processor]}",
        "taken_at": factory.MEDIAN_CALIBRATION_TIMESTAMPS[processor] / 1000.0,
        "two_qubit_gate": gate,
        "durations_ns": {
            "u": times_ns[cirq.PhasedXZGate],
            gate: times_ns[cirq_gate],
            "measure": times_ns[cirq.MeasurementGate],
        },
        "qubit_columns": ["row", "column", *one],
        "qubits": [[name.row, name.col, *(one[column][name,][0] for column in one)] for name in names],
        "coupler_columns": ["first", "second", *two, "zeta", "gamma"],
        "couplers": couplers,
    }


def value(metric: Any, pair: tuple[Any, Any], *, odd: bool = False) -> float:
    """Of a pair, in whichever order it was published; ``odd`` changes its sign with the order. 0 if it was not."""
    for key, sign in ((pair, 1.0), (pair[::-1], -1.0 if odd else 1.0)):
        if key in metric:
            found = metric[key]
            return sign * float(found[0] if isinstance(found, list | tuple) else found)
    return 0.0


def written(document: dict[str, Any]) -> str:
    """One line for each qubit and coupler."""
    fields = []
    for key, content in document.items():
        text = json.dumps(content)
        if key in ("qubits", "couplers"):
            text = "[\n" + ",\n".join(f"  {json.dumps(row)}" for row in content) + "\n ]"
        fields.append(f' "{key}": {text}')
    return "{\n" + ",\n".join(fields) + "\n}\n"


def main(arguments: Iterable[str] | None = None) -> int:
    """Write, or compare and say which differ."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 where a shipped file differs")
    check = parser.parse_args(arguments).check
    differing = 0
    for processor in PROCESSORS:
        path, text = DATA / f"google_{processor}.json", written(compact(processor))
        if not check:
            path.write_text(text, encoding="utf-8")
        same = path.read_text(encoding="utf-8") == text
        differing += not same
        print(f"{path.name}: {len(text)} bytes, {'as in cirq-google' if same else 'DIFFERS from cirq-google'}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
