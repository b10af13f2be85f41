"""Files of MEQC instances: a reading, its overrides, the slot, and an action, in the paper's letters.

A file holds one instance, or a list of them, by itself or under "instances". Keys that say what is expected of an
instance (``expected``, ``optimum``, ``powers_W`` …) are passed over; an unknown one is refused, since it could be a
misspelt option.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from circuits.errors import InvalidParameter
from circuits.parameters import construct, short
from policies.envs.documents import check_keys, instances
from policies.envs.meqc.instance import Instance, parse
from policies.envs.meqc.model import MODES, Model

_MODEL: dict[str, str] = {
    "bandwidth_hz": "bandwidth_hz",
    "noise_w": "noise_w",
    "bits_per_byte": "bits_per_byte",
    "share_bandwidth": "bandwidth",
    "gamma_chip": "chip_j_per_cycle",
    "chip_f2": "local_chip",
    "overlap": "overlap",
    "work_unit_bytes": "work_unit_byte",
    "quantum_time": "quantum_time",
    "bytes_per_ray": "ray_byte",
    "qubit_capacity": "qubit_capacity",
    "qpu_use": "qpu_use",
    "qpu_admission": "qpu_admission",
    "P_M": "measurement_power",
    "concatenation": "concatenation",
    "M_min": "least_success",
    "eps_thr": "threshold",
    "tau2": "two_qubit_gate_s",
}
"""Field of :class:`Model` behind each key of a file's ``overrides``."""

_CRYOGENICS: dict[str, str] = {
    "f_qubit": "qubit_frequency_hz",
    "T_qb": "qubit_temperature_k",
    "T_gen": "generation_temperature_k",
    "T_ext": "external_temperature_k",
    "att_db": "attenuation",
    "K": "num_stages",
    "A_tilde_0": "innermost_attenuation",
    "gamma_inv": "decay_time_s",
    "tau1": "one_qubit_gate_s",
    "tauM": "measurement_s",
    "tau_step": "timestep_s",
    "q_gen": "generation_heat_w",
    "q_hemt": "hemt_heat_w",
    "q_para": "paramp_heat_w",
    "T_hemt": "hemt_temperature_k",
    "T_para": "paramp_temperature_k",
}
"""Field of :class:`backends.energy.CryogenicParameters` behind each key of a file's ``overrides``."""

_TRANSLATED: dict[str, Callable[[Any], Any]] = {
    "share_bandwidth": {False: "full", True: "shared"}.__getitem__,
    "chip_f2": {False: "constant", True: "frequency_squared"}.__getitem__,
    "P_M": lambda value: "zero" if value == 0 else value,
    "concatenation": str,
    "att_db": lambda decibel: 10.0 ** (decibel / 10.0),
}
"""Keys whose values are written otherwise in a file."""

_UNTRANSLATED: dict[str, Callable[[Any], Any]] = {
    "share_bandwidth": {"full": False, "shared": True}.__getitem__,
    "chip_f2": {"constant": False, "frequency_squared": True}.__getitem__,
    "att_db": lambda ratio: 10.0 * math.log10(ratio),
}
"""The way back of :data:`_TRANSLATED`, where it is not the value itself."""

_MAY_BE_ZERO = {"A_tilde_0", "q_gen", "q_hemt", "q_para"}
_PASSED_OVER = {"id", "seed", "name", "U", "E", "eps_err", "powers_W", "expected", "optimum"}


@dataclass(frozen=True)
class Case:
    """What a file asks about.

    Attributes:
        model: the reading with its overrides.   instance: the slot.
        servers, shares: the action; None if the file has none.
    """

    model: Model
    instance: Instance
    servers: tuple[int, ...] | None
    shares: tuple[float, ...] | None


def read_cases(document: object) -> list[Case]:
    """All instances of a file.

    Raises:
        InvalidParameter: the message names the field.
    """
    return [_case(each) for each in instances(document)]


def _case(document: Mapping[str, Any]) -> Case:
    known = {"mode", "overrides", "inputs", "a", "phi"} | _PASSED_OVER
    check_keys("instance", document, required={"inputs"}, known=known)
    model = model_of(document.get("mode", "calibrated"), document.get("overrides", {}))
    instance = parse(document["inputs"])
    for key, size in (("U", instance.num_users), ("E", instance.num_servers)):
        if document.get(key, size) != size:
            raise InvalidParameter(f"{key}: wanted {size}, as many as inputs has, got {short(document[key])}")
    if ("a" in document) != ("phi" in document):
        raise InvalidParameter("instance: wanted a and phi together, got only one of them")
    for key in ("a", "phi"):
        if not isinstance(document.get(key, []), list):
            raise InvalidParameter(f"{key}: wanted a list, got {short(document[key])}")
    if "a" not in document:
        return Case(model, instance, None, None)
    return Case(model, instance, tuple(document["a"]), tuple(document["phi"]))


def model_of(mode: object, overrides: object) -> Model:
    """A reading with some of its conventions changed, in the keys of a file.

    Raises:
        InvalidParameter: no such reading, no such key, or a value out of range.
    """
    if not isinstance(mode, str) or mode not in MODES:
        raise InvalidParameter(f"mode: wanted one of {', '.join(MODES)}, got {short(mode)}")
    if not isinstance(overrides, Mapping):
        raise InvalidParameter(f"overrides: wanted an object, got {short(overrides)}")
    check_keys("overrides", overrides, required=set(), known={*_MODEL, *_CRYOGENICS})
    base = MODES[mode]
    cold = {_CRYOGENICS[key]: _cold(key, value) for key, value in overrides.items() if key in _CRYOGENICS}
    changed = {_MODEL[key]: _translated(key, value) for key, value in overrides.items() if key in _MODEL}
    known = {name: getattr(base, name) for name in base.__dataclass_fields__}
    model: Model = construct(Model, {**known, **changed, "cryogenics": replace(base.cryogenics, **cold)})
    return model


def written_model(model: Model, base: Model) -> dict[str, Any]:
    """A reading as ``overrides`` of another one, in which :func:`model_of` reads it."""
    pairs = [(key, getattr(model, name), getattr(base, name)) for key, name in _MODEL.items()]
    cold, its = model.cryogenics, base.cryogenics
    pairs += [(key, getattr(cold, name), getattr(its, name)) for key, name in _CRYOGENICS.items()]
    return {key: _UNTRANSLATED.get(key, lambda same: same)(value) for key, value, usual in pairs if value != usual}


def _translated(key: str, value: Any) -> Any:
    try:
        return _TRANSLATED.get(key, lambda same: same)(value)
    except (KeyError, TypeError, OverflowError) as error:
        raise InvalidParameter(f"overrides.{key}: got {short(value)}, which it cannot be") from error


def _cold(key: str, value: Any) -> Any:
    """A number of the refrigerator: finite, and positive but for heat that may be none."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < 0 or (value == 0 and key not in _MAY_BE_ZERO):
        raise InvalidParameter(f"overrides.{key}: wanted a positive finite number, got {short(value)}")
    if key == "K" and (value != int(value) or not 2 <= value <= 100):
        raise InvalidParameter(f"overrides.K: wanted an integer in [2, 100], got {short(value)}")
    return int(value) if key == "K" else float(_translated(key, value))
