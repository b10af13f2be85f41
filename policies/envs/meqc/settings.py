"""A world's setting as a document, as checkpoints keep it, with nothing left out.

Those of MEQC's worlds have their model as ``mode`` and ``overrides``, as ``setting_of`` reads it; others are fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from circuits.errors import InvalidParameter
from circuits.parameters import construct, domains, short
from policies.envs import load
from policies.envs.meqc.document import written_model
from policies.envs.meqc.instance import check_keys
from policies.envs.meqc.world import Setting, setting_of


def written_setting(setting: Any) -> dict[str, Any]:
    """All fields of a setting, with ``mode`` and ``overrides`` in the place of a model."""
    if not isinstance(setting, Setting):
        return {name: getattr(setting, name) for name in domains(setting)}
    mode = setting.model.mode
    overrides = written_model(setting.model, setting_of({"mode": mode}, type(setting)).model)
    return {name: getattr(setting, name) for name in domains(setting)} | {"mode": mode, "overrides": overrides}


def read_setting(env: str, document: object) -> Any:
    """A setting as :func:`written_setting` writes it.

    Raises:
        InvalidParameter: a field is missing, unknown or out of range; the message names it.
    """
    kind = load(env).setting_type
    if not isinstance(document, Mapping):
        raise InvalidParameter(f"setting: wanted an object, got {short(document)}")
    meqc = issubclass(kind, Setting)
    names = {*domains(kind), *(("mode", "overrides") if meqc else ())}
    check_keys("setting", document, required=names, known=names)
    return setting_of(document, kind) if meqc else construct(kind, document)
