"""A distributed job through the whole trip: estimated with its pairs, compared, run with teleported gates, measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from qiskit import QuantumCircuit

from backends.backend import TranspileOptions
from backends.pairs import PairLink, QPUNetwork
from orchestrator import Client, Objective
from orchestrator.job import Times
from orchestrator.records import to_json
from orchestrator.settings import Settings

RATE_HZ, FIDELITY = 200.0, 0.9


@pytest.fixture
def ghz() -> QuantumCircuit:
    """Six qubits: more than one of the QPUs below has."""
    circuit = QuantumCircuit(6)
    circuit.h(0)
    for qubit in range(5):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    network = QPUNetwork((4, 4), (PairLink(0, 1, RATE_HZ, FIDELITY, 10.0),), "static")
    (tmp_path / "network.json").write_text(to_json(network))
    monkeypatch.setenv("QORCH_QPU_NETWORK", str(tmp_path / "network.json"))
    return Settings(data_dir=tmp_path, backends=("distributed", "fake_guadalupe"), times=Times.EMULATED)


def test_a_distributed_job_runs_and_comes_out_as_estimated(settings: Settings, ghz: QuantumCircuit) -> None:
    with Client(settings=settings) as client:
        result = client.submit(ghz, shots=2_000, pin="distributed", seed=3, return_compiled=True).result(60.0)
    (share,) = result.placement.shares
    assert share.estimate.queue_s == pytest.approx(2_000 / RATE_HZ, rel=0.1), "one pair a shot"
    assert result.measurement.queue_s == pytest.approx(share.estimate.queue_s, rel=0.1)
    assert result.measurement.latency_s > result.measurement.queue_s
    # an error X or Y of the pair is seen in the counts, two of three; the rest of the shots are as they should be
    assert share.estimate.fidelity == pytest.approx(1.0 - (1.0 - FIDELITY) * 2.0 / 3.0, abs=2e-3)
    assert result.measurement.fidelity == pytest.approx(share.estimate.fidelity, abs=0.02)
    assert result.measurement.method == "teleported"
    assert result.compiled is not None
    assert "if (" in result.compiled["distributed"][0], "measured bits decide"


@pytest.mark.parametrize(
    ("objective", "where"),
    [
        (Objective(latency=1.0, fidelity=0.0), "fake_guadalupe"),  # pairs take their time
        (Objective(latency=0.0, fidelity=1.0), "distributed"),  # and are better than many gates on a noisy device
    ],
)
def test_a_policy_compares_it_with_one_larger_qpu(
    settings: Settings, ghz: QuantumCircuit, objective: Objective, where: str
) -> None:
    with Client(settings=settings) as client:
        result = client.submit(ghz, shots=500, policy="greedy", objective=objective).result(60.0)
    assert result.placement.shares[0].backend == where


def test_a_layout_says_which_qpu_holds_which_qubit(settings: Settings) -> None:
    """Alternating, each gate of the chain is between QPUs."""
    circuit = QuantumCircuit(4)
    circuit.h(0)
    for qubit in range(3):
        circuit.cx(qubit, qubit + 1)
        circuit.ry(0.4, range(4))
    circuit.measure_all()
    with Client(settings=settings) as client:
        options = {"shots": 50, "pin": "distributed"}
        searched = client.submit(circuit, **options).result(60.0)
        layout = TranspileOptions(initial_layout=(0, 4, 1, 5))
        given = client.submit(circuit, **options, transpile=layout).result(60.0)
    assert searched.measurement.queue_s == 0.0, "all four fit on one QPU"
    assert given.measurement.queue_s == pytest.approx(3 * 50 / RATE_HZ, rel=0.3)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "JSON"),
        (json.dumps({"links": [{"rate_hz": -1.0}]}), "rate_hz"),
        (json.dumps({"links": [{"fidelity": 0.2}]}), "fidelity"),
        (json.dumps({"qubits": [4]}), "qubits"),
        (json.dumps({"links": [{"first": 0, "second": 5}]}), "links"),
    ],
)
def test_a_network_that_cannot_be_is_refused_by_its_field(
    text: str, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backends import load
    from circuits.errors import InvalidParameter

    (tmp_path / "bad.json").write_text(text)
    monkeypatch.setenv("QORCH_QPU_NETWORK", str(tmp_path / "bad.json"))
    with pytest.raises(InvalidParameter, match=word):
        load("distributed").device()
