"""The model is the one that was agreed on: every term of every vector, one at a time and in batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from policies.envs.contract import Action
from policies.envs.meqc.batch import Slots, settle
from policies.envs.meqc.cost import LETTERS, evaluate
from policies.envs.meqc.document import Case
from policies.envs.meqc.hardware import hardware
from policies.envs.meqc.instance import depth, num_qubits, parse, written
from policies.envs.meqc.model import Model
from policies.envs.meqc.optimum import optimum
from tests.policies.envs.meqc.cases import CASES, DOCUMENT, VECTORS

RTOL = DOCUMENT["rtol"]
BOTH = list(zip(CASES, VECTORS, strict=True))


@pytest.mark.parametrize(("case", "vector"), BOTH, ids=lambda one: str(one["id"]) if isinstance(one, dict) else "")
def test_every_term_is_that_of_the_vector(case: Case, vector: dict) -> None:
    costs = evaluate(case.model, case.instance, case.servers, case.shares).document()
    assert costs["total"] == pytest.approx(vector["expected"]["total"], rel=RTOL, abs=0.0)
    for got, wanted in zip(costs["users"], vector["expected"]["users"], strict=True):
        assert set(got) == set(LETTERS.values())
        for letter, value in wanted.items():
            assert got[letter] == pytest.approx(value, rel=RTOL, abs=0.0), letter


@pytest.mark.parametrize(("case", "vector"), BOTH, ids=lambda one: str(one["id"]) if isinstance(one, dict) else "")
def test_a_batch_costs_what_the_vector_says(case: Case, vector: dict) -> None:
    action = Action(torch.tensor([case.servers]), torch.tensor([case.shares], dtype=torch.float64))
    outcome = settle(case.model, Slots.stacked([case.instance]), action)
    users = vector["expected"]["users"]
    assert float(outcome.cost.sum()) == pytest.approx(vector["expected"]["total"], rel=RTOL, abs=0.0)
    assert outcome.cost[0].tolist() == pytest.approx([user["cost"] for user in users], rel=RTOL, abs=0.0)
    assert outcome.on_qpu[0].tolist() == [user["quantum"] for user in users]


@pytest.mark.parametrize(("case", "vector"), BOTH, ids=lambda one: str(one["id"]) if isinstance(one, dict) else "")
def test_powers_and_optimum_are_those_of_the_vector(case: Case, vector: dict) -> None:
    machine = hardware(case.model)
    powers = vector.get("powers_W")
    if powers is not None:
        of = (machine.pi_pulse_w, machine.one_qubit_w, machine.two_qubit_w, machine.measurement_w, machine.qubit_w)
        assert of == pytest.approx([powers[key] for key in ("P_pi", "P_1", "P_2", "P_M", "P_Q")], rel=RTOL)
        assert machine.error == pytest.approx(vector["eps_err"], rel=RTOL)
    if "optimum" in vector:
        found = optimum(case.model, case.instance)
        assert found.exact
        assert found.total == pytest.approx(vector["optimum"]["total"], rel=RTOL)


def test_the_quantum_computer_is_the_papers() -> None:
    machine = hardware(Model())
    assert machine.qubit_w == pytest.approx(225.0357e-6, rel=1e-6)
    assert machine.pi_pulse_w == pytest.approx(31.39e-12, rel=1e-4)
    assert machine.two_qubit_w == pytest.approx(5.4112e-6, rel=1e-5)
    assert machine.error == pytest.approx(2.8497e-5, rel=1e-5)
    assert [machine.busy_s[level] for level in (1, 2, 3)] == pytest.approx([3.4249e-6, 2.1919e-4, 1.4028e-2], rel=1e-4)
    assert [23 * machine.power_w[level] for level in (1, 2, 3)] == pytest.approx([0.48, 43.1, 3918], rel=1e-2)


@pytest.mark.parametrize("wanted", DOCUMENT["hardware"], ids=lambda one: f"{one['gamma_inv_s']:g}s")
def test_success_follows_qubit_quality(wanted: dict) -> None:
    from dataclasses import replace

    model = replace(Model(), cryogenics=replace(Model().cryogenics, decay_time_s=wanted["gamma_inv_s"]))
    machine = hardware(model)
    for key, chance in wanted["success"].items():
        bits, level = int(key[2]), int(key[5])
        assert machine.success(num_qubits(bits), depth(bits), level) == pytest.approx(chance, rel=RTOL, abs=RTOL)


def test_circuits_have_the_papers_sizes() -> None:
    assert {bits: (num_qubits(bits), depth(bits)) for bits in range(3, 10)} == {
        int(bits): (size["Q"], size["D"]) for bits, size in DOCUMENT["circuits"].items()
    }


def test_an_instance_is_written_as_it_is_read() -> None:
    for case in CASES:
        again = parse(written(case.instance))
        for name, values in vars(case.instance).items():
            assert np.array_equal(getattr(again, name), values), name
