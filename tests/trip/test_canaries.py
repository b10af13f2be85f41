"""A job whose outcome nobody can judge, with canaries beside it: judged, paid for, and learned from."""

from __future__ import annotations

import pytest
from qiskit import QuantumCircuit

from orchestrator import Client
from orchestrator.settings import Settings
from workers import render

TIMEOUT_S = 120.0
SHOTS = 400


def chain() -> QuantumCircuit:
    """Three qubits that one branch corrects: dynamic, so no ideal is worked out for it."""
    circuit = QuantumCircuit(3, 3)
    circuit.ry(0.8, 0)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    circuit.cx(1, 2)
    circuit.measure(2, 2)
    with circuit.if_test((circuit.clbits[2], 1)):
        circuit.x(2)
    circuit.cx(0, 1)
    circuit.ry(-0.8, 0)
    circuit.measure([0, 1], [0, 1])
    return circuit


@pytest.fixture
def client(settings: Settings) -> Client:
    return Client(settings=settings.model_copy(update={"backends": ("virtual_manila", "aer_statevector")}))


def test_it_is_judged_and_pays_for_what_judged_it(client: Client) -> None:
    with client:
        plain = client.submit(chain(), shots=SHOTS, pin="virtual_manila").result(TIMEOUT_S)
        assert (plain.measurement.fidelity, plain.measurement.fidelity_kind) == (None, "estimated")
        assert all(row.loss_ratio is None for row in client.costs()), "nothing is learned from what nobody can judge"

        found = client.submit(chain(), shots=SHOTS, pin="virtual_manila", canary=0.5).result(TIMEOUT_S)
        assert found.counts == plain.counts, "they run behind it, and change nothing of it"
        measured = found.measurement
        assert measured.fidelity_kind == "canary"
        assert measured.fidelity is not None
        assert 0.3 < measured.fidelity < 1.0
        certain = found.counts.get("000", 0) / SHOTS
        assert measured.fidelity == pytest.approx(certain, abs=0.15), "here the outcome happens to be known"
        assert measured.cost_usd > 1.5 * plain.measurement.cost_usd
        assert measured.energy_j > 1.5 * plain.measurement.energy_j
        assert found.estimate.cost_usd == pytest.approx(measured.cost_usd, rel=0.2), "it was told beforehand"
        assert any(row.loss_ratio is not None for row in client.costs())
    console = render.console()
    with console.capture() as shown:
        console.print(render.result(found))
    assert "canaries beside it" in " ".join(shown.get().split())
