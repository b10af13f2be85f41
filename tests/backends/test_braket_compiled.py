"""What a provider says it ran is scored as if we had transpiled it, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from qiskit import QuantumCircuit

from backends.braket_compiled import expected_weight
from backends.braket_profile import Profile, read_profile
from backends.braket_program import write_program
from backends.calibration import survival
from backends.pricing import TARIFFS
from tests.servers.braket import quil
from tests.servers.braket_devices import ANKAA, GARNET, ankaa, garnet


def profile(arn: str) -> Profile:
    told = {GARNET: garnet, ANKAA: ankaa}[arn]()
    answer = {"deviceCapabilities": json.dumps(told), "deviceStatus": "ONLINE", "deviceQueueInfo": []}
    return read_profile("qpu", arn, answer, price=TARIFFS["braket_qpu"], heard_at=0.0, sdk_version="1")


IQM = profile(GARNET)
RIGETTI = profile(ANKAA)


def ours(of: Profile) -> QuantumCircuit:
    """Some gates on two coupled qubits, which are measured."""
    assert of.device.coupling is not None
    first, second = next(iter(of.device.coupling))
    circuit = QuantumCircuit(of.device.num_qubits, 2)
    if of is IQM:
        circuit.r(0.5, -0.25, first)
        circuit.cz(first, second)
        circuit.r(1e-3, 0.0, second)
    else:
        circuit.rz(0.25, first)
        circuit.sx(first)
        circuit.iswap(first, second)
        circuit.x(second)
    circuit.measure([second, first], [0, 1])
    return circuit


@pytest.mark.parametrize("of", [IQM, RIGETTI], ids=["iqm", "rigetti"])
def test_both_languages_say_what_was_sent(of: Profile) -> None:
    circuit = ours(of)
    text = write_program(circuit, of.labels)
    expected = survival(circuit, of.device).weight
    assert 0.5 < expected < 1.0
    assert expected_weight(text, of.labels, of.device) == pytest.approx(expected)
    assert expected_weight(quil(text), of.labels, of.device) == pytest.approx(expected)


def test_what_the_provider_put_elsewhere_is_scored_there() -> None:
    assert IQM.device.calibration is not None
    weights = {}
    for label in IQM.labels:
        head, gate = "OPENQASM 3.0;\nbit[1] c;\n#pragma braket verbatim", f"prx(pi/2, (pi)) ${label};"
        text = f"{head}\nbox {{\n{gate}\n}}\nc[0] = measure ${label};"
        found = expected_weight(text, IQM.labels, IQM.device)
        assert found is not None
        weights[label] = found
    best = max(weights, key=weights.__getitem__)
    qubit = IQM.device.calibration.qubits[IQM.labels.index(best)]
    assert weights[best] <= 1.0 - qubit.readout_error
    assert len(set(weights.values())) > 10


@pytest.mark.parametrize(
    "text",
    [
        "",
        "OPENQASM 3.0;",
        "OPENQASM 3.0;\nbit[1] b;\nprx(1, 0) $1;",
        "OPENQASM 3.0;\nbit[1] b;\nh $1;\nb[0] = measure $1;",
        "OPENQASM 3.0;\nbit[1] b;\nprx(1, 0) $999;\nb[0] = measure $1;",
        "OPENQASM 3.0;\nbit[1] b;\ncz $1, $20;\nb[0] = measure $1;",
        "OPENQASM 3.0;\nbit[1] b;\ndelay[100ns] $1;\nb[0] = measure $1;",
        "OPENQASM 3.0;\nbit[1] b;\nif (b[0]) { prx(1, 0) $1; }\nb[0] = measure $1;",
        "DECLARE ro BIT[1]\nXY(pi) 1 2\nMEASURE 1 ro[0]",
        "\x00" * 100,
    ],
)
def test_what_cannot_be_read_whole_has_no_figure(text: str) -> None:
    assert expected_weight(text, IQM.labels, IQM.device) is None


def test_without_a_calibration_there_is_none() -> None:
    text = write_program(ours(IQM), IQM.labels)
    assert expected_weight(text, IQM.labels, replace(IQM.device, calibration=None)) is None
    assert expected_weight(text + "\n" * 4_000_001, IQM.labels, IQM.device) is None
