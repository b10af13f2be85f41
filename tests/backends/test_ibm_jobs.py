"""Runs and IBM's pubs: what is sent together, and what comes back where."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.primitives import BitArray

from backends.errors import ExecutionFailed
from backends.ibm_jobs import group, to_delivery, to_pubs
from circuits.family import Run

RUNS = st.lists(
    st.builds(Run, st.integers(1, 3), st.integers(0, 2), st.sampled_from([{}, {"a": 1.0}, {"a": 2.0}])), max_size=12
)


@given(RUNS)
def test_every_run_is_in_one_pub_with_its_likes(runs: list[Run]) -> None:
    groups = group(runs)
    assert sorted(index for members in groups for index in members) == list(range(len(runs)))
    for members in groups:
        assert len({(runs[index].circuit, runs[index].shots) for index in members}) == 1
        assert len(members) == 1 or all(runs[index].parameters for index in members)


def test_values_are_in_the_order_of_the_circuits_parameters() -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.rz(Parameter("b"), 0)
    circuit.rx(Parameter("a"), 0)
    circuit.measure(0, 0)
    pubs = to_pubs([circuit], [Run(5, 0, {"b": 2.0, "a": 1.0}), Run(5, 0, {"a": 3.0, "b": 4.0})])
    assert [pub[1:] for pub in pubs] == [([[1.0, 2.0], [3.0, 4.0]], 5)]


def bits(shots: list[int], num_bits: int) -> SimpleNamespace:
    return SimpleNamespace(data={"c": BitArray.from_samples(shots, num_bits=num_bits)})


def measured(num_bits: int) -> QuantumCircuit:
    circuit = QuantumCircuit(num_bits, num_bits)
    circuit.measure(range(num_bits), range(num_bits))
    return circuit


@given(st.lists(st.integers(0, 2**11 - 1), min_size=1, max_size=20))
def test_shots_are_written_in_qiskits_order(shots: list[int]) -> None:
    delivery = to_delivery([bits(shots, 11)], [(measured(11),)], {}, [Run(len(shots))], memory=True)
    assert delivery.execution.memory == (tuple(np.binary_repr(shot, 11) for shot in shots),)
    assert (delivery.billed_s, delivery.execution.device_s, delivery.execution.queue_s) == (None, None, None)


def test_times_and_the_bill_are_the_providers() -> None:
    stamps = {
        "created": "2026-01-01T00:00:00Z",
        "running": "2026-01-01T00:10:00Z",
        "finished": "2026-01-01T00:10:02.5Z",
    }
    metrics = {"timestamps": stamps, "usage": {"quantum_seconds": 2}}
    delivery = to_delivery([bits([0, 1], 1)], [(measured(1),)], metrics, [Run(2)], memory=False)
    execution = delivery.execution
    assert (execution.device_s, execution.queue_s, execution.run_s, delivery.billed_s) == (2.5, 600.0, 2.5, 2.0)
    assert execution.memory is None


@pytest.mark.parametrize("runs", [[Run(2)], [Run(1), Run(1)]])
def test_an_answer_to_another_question_is_refused(runs: list[Run]) -> None:
    with pytest.raises(ExecutionFailed, match="wanted"):
        to_delivery([bits([1], 1)], [(measured(1),)], {}, runs, memory=False)
