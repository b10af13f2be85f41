"""Files of QCN instances: constants, the slot, and an action.

A file holds one instance, or a list of them, by itself or under "instances". ``norm``, ``egy`` and ``cap`` are
constants by the letters of the reference vectors: norms of delay and energy; joules a flop and most qubits of mobile,
edge and cloud nodes. ``rho`` is the share that is sent: 1 - phi.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from circuits.errors import InvalidParameter
from policies.envs.documents import Numbers, array, check_keys, instances
from policies.envs.qcn.instance import RULES, Instance, parse
from policies.envs.qcn.model import Model, model_of

CONSTANTS: dict[str, tuple[Numbers, tuple[str, ...]]] = {
    "norm": (Numbers("norm", "C", 0), ("norm_s", "norm_j")),
    "egy": (Numbers("egy", "C", 0, open_low=False), ("local_j_per_flop", "edge_j_per_flop", "cloud_j_per_flop")),
    "cap": (Numbers("cap", "C", 0, whole=True), ("local_qubits", "edge_qubits", "cloud_qubits")),
}
"""Fields of :class:`Model` behind each list of constants in a file."""

_ACTION = {
    "a": Numbers("a", "U", 0, 1e9, whole=True, open_low=False),
    "rho": Numbers("rho", "U", 0, 1, open_low=False),
}
_PASSED_OVER = {"id", "seed", "name", "expected"}


@dataclass(frozen=True)
class Case:
    """What a file asks about.

    Attributes:
        model: constants.   instance: the slot.
        servers, shares: the action, shares being what is kept; None if the file has none.
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
    keys = {rule.key for rule in RULES.values()}
    known = keys | {*CONSTANTS, *_ACTION, "mode", "overrides"} | _PASSED_OVER
    check_keys("instance", document, required=set(), known=known)
    model = _model(document)
    instance = parse({key: value for key, value in document.items() if key in keys})
    _check_qubits(model, instance)
    if len(_ACTION.keys() & document.keys()) == 1:
        raise InvalidParameter("instance: wanted a and rho together, got only one of them")
    if "a" not in document:
        return Case(model, instance, None, None)
    sizes = {"U": instance.num_users}
    servers, sent = (array(key, rule, document[key], sizes) for key, rule in _ACTION.items())
    if servers.max() >= instance.num_servers:
        raise InvalidParameter(f"a: wanted places below {instance.num_servers}, got {servers.max()}")
    return Case(model, instance, tuple(servers.tolist()), tuple((1.0 - sent).tolist()))


def _model(document: Mapping[str, Any]) -> Model:
    changed: dict[str, Any] = {}
    for key, (rule, names) in CONSTANTS.items():
        if key in document:
            values = array(key, rule, document[key], {"C": len(names)}).tolist()
            changed |= dict(zip(names, values, strict=True))
    overrides = document.get("overrides", {})
    if isinstance(overrides, Mapping):
        overrides = {**changed, **overrides}
    return model_of(document.get("mode", "cited"), overrides)


def _check_qubits(model: Model, instance: Instance) -> None:
    most = min(model.local_qubits, model.cloud_qubits)
    if instance.qubits.max() > most:
        raise InvalidParameter(
            f"n, k: wanted circuits of at most {most} qubits, which mobile and cloud nodes simulate, "
            f"got {instance.qubits.max()}"
        )
