"""A world's setting as a document, as checkpoints keep it: what ``setting_of`` reads, with nothing left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from circuits.errors import InvalidParameter
from circuits.parameters import domains, short
from policies.envs import load
from policies.envs.meqc.document import written_model
from policies.envs.meqc.instance import check_keys
from policies.envs.meqc.world import Setting, setting_of


def written_setting(setting: Setting) -> dict[str, Any]:
    """All fields of a setting, with ``mode`` and ``overrides`` in the place of its model."""
    mode = setting.model.mode
    overrides = written_model(setting.model, setting_of({"mode": mode}, type(setting)).model)
    return {name: getattr(setting, name) for name in domains(setting)} | {"mode": mode, "overrides": overrides}


def read_setting(env: str, document: object) -> Setting:
    """A setting as :func:`written_setting` writes it.

    Raises:
        InvalidParameter: a field is missing, unknown or out of range; the message names it.
    """
    kind: type[Setting] = load(env).setting_type
    if not isinstance(document, Mapping):
        raise InvalidParameter(f"setting: wanted an object, got {short(document)}")
    names = {*domains(kind), "mode", "overrides"}
    check_keys("setting", document, required=names, known=names)
    return setting_of(document, kind)
