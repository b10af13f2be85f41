"""Small QPUs as one device: pairs as they come, what is foretold of them, and counts that follow."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from backends.backend import TranspileOptions
from backends.distributed import Distributed, errors, spread
from backends.errors import UnsupportedCircuit
from backends.pairs import (
    Brought,
    PairLink,
    QPUNetwork,
    Stored,
    deliver,
    foretell,
    put_aside,
    ready_p90_s,
    taken,
    together,
)
from backends.transpilation import transpile
from circuits.counts import finite_shot_floor, hellinger_fidelity
from circuits.family import Run
from circuits.fidelity import ideal_distribution
from orchestrator.records import to_json

LINE = QPUNetwork((2, 2, 2), (PairLink(0, 1, 100.0, 0.9, 0.5), PairLink(1, 2, 50.0, 0.95, 0.5)))


@pytest.fixture
def line(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> Distributed:
    """Three QPUs of two qubits in a row."""
    (tmp_path / "line.json").write_text(to_json(LINE))  # type: ignore[operator]
    monkeypatch.setenv("QORCH_QPU_NETWORK", str(tmp_path / "line.json"))  # type: ignore[operator]
    return Distributed()


def test_one_link_is_a_sum_of_exponentials_and_early_pairs_age() -> None:
    ends, rate_hz, coherence_s = [(0, 1)] * 3, 100.0, 0.5
    came = deliver(LINE, ends, 20_000, seed=1)
    assert came.wait_s.mean() == pytest.approx(3.0 / rate_hz, rel=0.02)
    assert came.wait_s.std() == pytest.approx(math.sqrt(3.0) / rate_hz, rel=0.03)
    kept = rate_hz / (rate_hz + 1.0 / coherence_s)  # of w, while one more pair is made
    expected = [0.25 + 0.65 * kept**behind for behind in (2, 1, 0)]
    assert came.fidelities.mean(axis=0) == pytest.approx(expected, abs=1e-3)
    assert foretell(LINE, ends).fidelities == pytest.approx(expected, abs=1e-3)


def test_a_shot_waits_for_its_slowest_link() -> None:
    both = deliver(LINE, [(0, 1), (1, 2)], 20_000, seed=1)
    assert both.wait_s.mean() == pytest.approx(1 / 100 + 1 / 50 - 1 / 150, rel=0.02)
    np.testing.assert_array_equal(deliver(LINE, [(0, 1)], 5, seed=4).wait_s, deliver(LINE, [(0, 1)], 5, seed=4).wait_s)
    with pytest.raises(UnsupportedCircuit, match="QPUs 0 and 2 share no pairs"):
        deliver(LINE, [(0, 2)], 1, seed=1)


def test_each_link_tells_what_it_brought() -> None:
    came = deliver(LINE, [(0, 1), (1, 2), (1, 2)], 2_000, seed=1)
    assert [(one.first, one.second, one.num_pairs, one.fidelity) for one in came.links] == [
        (0, 1, 2_000, 0.9),
        (1, 2, 4_000, 0.95),
    ]
    fast, slow = (one.made_s for one in came.links)
    assert (fast, slow) == pytest.approx((2_000 / 100, 4_000 / 50), rel=0.05), "as if nobody had waited for another"
    assert came.wait_s.sum() > max(fast, slow), "a shot waits for the slower, which is not always the same"
    alone = deliver(LINE, [(1, 2), (1, 2)], 2_000, seed=1)
    assert alone.links[0].made_s == pytest.approx(alone.wait_s.sum())
    assert together([*came.links, *alone.links]) == (
        came.links[0],
        Brought(1, 2, 8_000, slow + alone.links[0].made_s, 0.95),
    )


def test_what_was_put_aside_need_not_be_waited_for_and_ages_until_it_is_used() -> None:
    ends = [(0, 1), (1, 2)]
    usual = deliver(LINE, ends, 2_000, seed=1)
    there = {(0, 1): Stored("a", "b", 1_000, 0.8), (1, 2): Stored("b", "c", 500, 0.7)}
    came = deliver(LINE, ends, 2_000, seed=1, there=there)
    assert not came.wait_s[:500].any(), "both links have theirs"
    np.testing.assert_allclose(came.fidelities[:500], [[0.8, 0.7]] * 500)
    assert came.wait_s[500:1_000].mean() == pytest.approx(1 / 50, rel=0.15), "one has"
    np.testing.assert_array_equal(came.wait_s[1_000:], usual.wait_s[1_000:])
    late = 0.25 + 0.55 * np.exp(-came.wait_s[:1_000].cumsum() / 0.5)
    np.testing.assert_allclose(came.fidelities[:1_000, 0], late)
    assert [one.made_s for one in came.links] == pytest.approx([1_000 / 100, 1_500 / 50], rel=0.1)
    assert [one.fidelity for one in came.links] == pytest.approx([0.85, (0.7 + 3 * 0.95) / 4])


def test_what_was_put_aside_is_used_once() -> None:
    named = replace(LINE, names=("a", "b", "c"))
    with put_aside([Stored("b", "a", 30, 0.8), Stored("a", "mars", 30, 0.8)]):
        assert taken(named, [(0, 1), (0, 1), (1, 2)], 10)[0, 1].num_pairs == 20
        assert taken(named, [(0, 1), (0, 1), (1, 2)], 10)[0, 1].num_pairs == 10
        assert taken(named, [(0, 1)], 10) == {}
    assert taken(named, [(0, 1)], 10) == {}


def test_nine_waits_in_ten_are_within_the_p90() -> None:
    foretold = foretell(LINE, [(0, 1), (1, 2), (1, 2)])
    p90_s = ready_p90_s(foretold.wait_s, foretold.wait_sd_s, 20)
    drawn = deliver(LINE, [(0, 1), (1, 2), (1, 2)], 20 * 2_000, seed=9).wait_s.reshape(2_000, 20).sum(axis=1)
    assert (drawn <= p90_s).mean() == pytest.approx(0.9, abs=0.03)
    assert ready_p90_s(0.0, 0.0, 100) == 0.0


def test_errors_come_as_often_as_fidelities_say() -> None:
    found = errors(np.full((30_000, 2), [0.9, 1.0]), seed=3)
    assert (found[:, 0] == 0).mean() == pytest.approx(0.9, abs=0.01)
    assert [(found[:, 0] == pauli).mean() for pauli in (1, 2, 3)] == pytest.approx([1 / 30] * 3, abs=0.005)
    assert not found[:, 1].any()


def test_counts_are_as_good_as_foretold(line: Distributed) -> None:
    circuit = QuantumCircuit(6)
    circuit.ry(0.7, range(6))
    for qubit in range(5):
        circuit.cx(qubit, qubit + 1)
        circuit.ry(0.4, qubit)
    circuit.measure_all()
    (fitted,) = transpile(line.device(), [circuit], TranspileOptions())
    said = spread(line.device(), fitted, TranspileOptions(), ideal_distribution)
    done = line.run(line.prepare([circuit], TranspileOptions()), [Run(6_000)], seed=5)
    ideal = ideal_distribution(circuit)
    assert ideal is not None
    assert len(said.pairs.fidelities) == 2
    found = hellinger_fidelity(done.counts[0], ideal) / finite_shot_floor(ideal, 6_000)
    assert found == pytest.approx(said.fidelity, abs=0.01)
    assert said.clean == pytest.approx(math.prod(said.pairs.fidelities))
    assert done.queue_s == pytest.approx(6_000 * said.pairs.wait_s, rel=0.05)


def test_parameters_stay_free_over_a_remote_gate(line: Distributed) -> None:
    angle = Parameter("angle")
    circuit = QuantumCircuit(6)
    circuit.rx(angle, 0)
    for qubit in range(5):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    prepared = line.prepare([circuit], TranspileOptions())
    assert prepared[0].parameters == {angle}
    runs = [Run(200, 0, {"angle": value}) for value in (0.0, math.pi)]
    zeros, ones = line.run(prepared, runs, seed=1).counts
    assert max(zeros, key=zeros.__getitem__) == "000000"
    assert max(ones, key=ones.__getitem__) == "111111"


def test_a_layout_over_qpus_without_a_link_is_refused(line: Distributed) -> None:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    with pytest.raises(UnsupportedCircuit, match="share no pairs"):
        line.prepare([circuit], TranspileOptions(initial_layout=(0, 5)))
