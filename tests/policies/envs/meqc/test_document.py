"""Files are read whole, or refused with the name of what is wrong."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest

from circuits.errors import InvalidParameter
from policies.envs.meqc.document import model_of, read_cases
from policies.envs.meqc.model import MODES, Model
from tests.policies.envs.meqc.cases import CASES, DOCUMENT, VECTORS


def document() -> dict[str, Any]:
    return copy.deepcopy({key: VECTORS[0][key] for key in ("mode", "overrides", "inputs", "a", "phi")})


def refused(changed: object) -> str:
    with pytest.raises(InvalidParameter) as refusal:
        read_cases(changed)
    return str(refusal.value)


def test_the_vectors_parameters_are_the_modes() -> None:
    for mode, parameters in DOCUMENT["params"].items():
        given = {key: value for key, value in parameters.items() if key != "mode"}
        assert model_of(mode, given) == MODES[mode]


@pytest.mark.parametrize("key", sorted(VECTORS[0]["inputs"].keys() - {"pb"}))
def test_a_missing_field_is_named(key: str) -> None:
    less = document()
    del less["inputs"][key]
    assert f"inputs.{key}: wanted this field" in refused(less)


@pytest.mark.parametrize("key", sorted(VECTORS[0]["inputs"].keys() - {"pb"}))
@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0, "7", None, True, [1.0], 10**400], ids=str)
def test_a_bad_number_is_refused_by_name(key: str, bad: object) -> None:
    spoilt = document()
    row = spoilt["inputs"][key]
    (row[0] if isinstance(row[0], list) else row)[0] = bad
    assert f"inputs.{key}: wanted" in refused(spoilt)


@pytest.mark.parametrize("key", sorted(VECTORS[0]["inputs"].keys() - {"pb", "f_l", "k"}))
def test_a_row_of_the_wrong_length_is_refused_by_name(key: str) -> None:
    spoilt = document()
    spoilt["inputs"][key] = spoilt["inputs"][key][:-1]
    assert f"inputs.{key}: wanted a list of" in refused(spoilt)
    spoilt["inputs"][key] = 3.0
    assert f"inputs.{key}: wanted a list of" in refused(spoilt)


@pytest.mark.parametrize(("key", "bad"), [("lam_d", 1.01), ("lam_e", -0.01), ("k", 4), ("k", 0), ("Q", 2.5), ("D", 0)])
def test_what_is_out_of_range_is_refused_by_name(key: str, bad: float) -> None:
    spoilt = document()
    spoilt["inputs"][key][0] = bad
    assert f"inputs.{key}: wanted" in refused(spoilt)


@pytest.mark.parametrize(("key", "letter"), [("f_l", "U"), ("k", "E")])
def test_nobody_and_no_server_are_refused(key: str, letter: str) -> None:
    empty = document()
    empty["inputs"][key] = []
    assert f"inputs.{key}: wanted at least one" in refused(empty)
    wrong = {**document(), letter: 17}
    assert refused(wrong).startswith(f"{letter}: wanted")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"inputs": [1]}, "inputs: wanted an object"),
        ({"mode": "literally"}, "mode: wanted one of literal, calibrated, physical"),
        ({"mode": 3}, "mode: wanted one of"),
        ({"overrides": []}, "overrides: wanted an object"),
        ({"overrides": {"gama_inv": 1}}, "overrides: wanted only"),
        ({"phi_": []}, "instance: wanted only"),
        ({"a": [0, 0, 0], "phi": 3}, "phi: wanted a list"),
        ({"a": 1}, "a: wanted a list"),
    ],
)
def test_what_nobody_would_read_is_refused(change: dict[str, Any], named: str) -> None:
    assert named in refused({**document(), **change})


def test_half_an_action_is_refused() -> None:
    for key in ("a", "phi"):
        half = document()
        del half[key]
        assert "wanted a and phi together" in refused(half)


@pytest.mark.parametrize("bad", [None, 3, [], {}, {"instances": []}, {"instances": {}}, {"instances": [3]}], ids=str)
def test_what_is_no_instance_is_refused(bad: object) -> None:
    assert "wanted" in refused(bad)


@pytest.mark.parametrize(
    ("key", "bad"),
    [
        ("gamma_inv", 0.0),
        ("gamma_inv", math.nan),
        ("gamma_inv", "2 ms"),
        ("gamma_inv", True),
        ("att_db", 1e9),
        ("K", 2.5),
        ("K", 1),
        ("q_gen", -1.0),
        ("M_min", 1.5),
        ("noise_w", 0.0),
        ("noise_w", math.nan),
        ("share_bandwidth", "yes"),
        ("chip_f2", 7),
        ("qpu_use", "free"),
        ("concatenation", 4),
        ("P_M", []),
        ("work_unit_bytes", math.inf),
    ],
)
def test_a_bad_override_is_refused(key: str, bad: object) -> None:
    with pytest.raises(InvalidParameter):
        model_of("calibrated", {key: bad})


def test_overrides_change_what_they_name() -> None:
    model = model_of("calibrated", {"concatenation": 2, "att_db": 20, "P_M": 0, "share_bandwidth": True})
    assert (model.concatenation, model.measurement_power, model.bandwidth) == ("2", "zero", "shared")
    assert model.cryogenics.attenuation == pytest.approx(100.0)
    assert model_of("calibrated", {}) == Model()


def test_one_instance_and_a_list_of_them_are_read_alike() -> None:
    assert read_cases(document())[0].servers == CASES[0].servers
    free = document()
    del free["a"], free["phi"]
    assert read_cases(free)[0].servers is None
