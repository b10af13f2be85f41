"""A world's setting as a document; what it may hold, the world itself says.

The setting of a world is the type of its constructor's ``setting``: a world with more to set needs no line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_type_hints

from circuits.errors import InvalidParameter
from circuits.parameters import construct, domains, short
from circuits.registry import resolve
from policies.envs import ENVS
from policies.envs.meqc.document import model_of, written_model
from policies.envs.meqc.instance import check_keys


def world_type(env: str) -> type:
    """The batched world of a name.

    Raises:
        InvalidParameter: no world has that name.
    """
    found: type = resolve(ENVS, env, kind="world", error=InvalidParameter)
    return found


def setting_type(env: str) -> type:
    """What a world is made from."""
    found: type = get_type_hints(world_type(env).__init__)["setting"]  # type: ignore[misc]
    return found


def written_setting(setting: Any) -> dict[str, Any]:
    """Numbers and words of a setting, with the reading under ``model``."""
    return {name: getattr(setting, name) for name in domains(setting)} | {"model": written_model(setting.model)}


def read_setting(env: str, document: object) -> Any:
    """A setting as :func:`written_setting` writes it.

    Raises:
        InvalidParameter: a field is missing, unknown or out of range; the message names it.
    """
    kind = setting_type(env)
    if not isinstance(document, Mapping):
        raise InvalidParameter(f"setting: wanted an object, got {short(document)}")
    names = {*domains(kind), "model"}
    check_keys("setting", document, required=names, known=names)
    model = document["model"]
    if not isinstance(model, Mapping):
        raise InvalidParameter(f"setting.model: wanted an object, got {short(model)}")
    check_keys("setting.model", model, required={"mode", "overrides"}, known={"mode", "overrides"})
    return construct(kind, {**document, "model": model_of(model["mode"], model["overrides"])})
