"""The OpenAPI document: schemas of the records themselves, so that it cannot say anything else than the code."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from backends import BACKENDS
from circuits import CIRCUITS
from circuits.program import LANGUAGES
from orchestrator.cost_model.model import Learned
from orchestrator.decision import Decision
from orchestrator.door import MAX_AFTER, MAX_ID, MAX_NAME, MAX_TAGS
from orchestrator.hindsight import Explanation
from orchestrator.job import (
    MAX_LAYOUT,
    MAX_PARTS,
    MAX_PRICE_USD,
    MAX_SECONDS,
    MAX_TIMEOUT_S,
    MAX_WEIGHT,
    Assignment,
    Event,
    Job,
    JobSpec,
    JobState,
    Result,
)
from orchestrator.purchase import MAX_MOMENT, Balance, Budget
from orchestrator.quote import Quote
from orchestrator.settings import Settings
from orchestrator.store import SWITCH_KINDS, SWITCH_MODES, Announcement, Switch
from orchestrator.tokens import NAME
from orchestrator.transport import PolicyInfo
from orchestrator.web.refusal import MEANING
from orchestrator.wire import About, ErrorBody

RECORDS = (
    About,
    Announcement,
    Assignment,
    Balance,
    Budget,
    Decision,
    ErrorBody,
    Event,
    Explanation,
    Job,
    JobSpec,
    JobState,
    Learned,
    PolicyInfo,
    Quote,
    Result,
    Switch,
)

DESCRIPTION = """Submit quantum circuits, watch where a policy places them, and read what was measured.

Every answer that is none is `{"error": {"kind", "message", "job_id"?}}`, and `kind` is the name of the class that the
Python client raises for it. Send a token as `Authorization: Bearer …`; `qorch token add` makes one. Times are seconds
since the epoch by the store's clock, lengths are in the unit that their name ends with.
"""

TAGS = [
    {"name": "jobs", "description": "Submit, look, cancel."},
    {"name": "events", "description": "What happens, as it happens: server-sent events."},
    {"name": "fleet", "description": "What there is, what was learned, what is out of service."},
    {"name": "server", "description": "The server itself."},
]

SWITCHED = r"[A-Za-z0-9_.@:-]{1,200}"
"""What backends and workers may be called."""

_SEED = {"minimum": 0, "maximum": 2**31 - 1}
_SHARE = {"exclusiveMinimum": 0, "maximum": 1}
_TEXT = {"minLength": 1, "maxLength": MAX_NAME}


def _weight() -> dict[str, Any]:
    return {"minimum": 0, "maximum": MAX_WEIGHT}


def _up_to(most: float, *, least: str = "minimum") -> dict[str, Any]:
    return {"anyOf": [{"type": "number", least: 0, "maximum": most}, {"type": "null"}]}


def _bounds(settings: Settings, policies: list[str]) -> dict[str, dict[str, Any]]:
    """What the types do not say: schema -> property -> keywords. The records and the door check the same."""
    name_of_backend = {"type": "string", "enum": sorted(BACKENDS)}
    backends = {"items": name_of_backend}
    return {
        "Program": {"language": {"enum": list(LANGUAGES)}, "family": {"enum": ["", *sorted(CIRCUITS)]}},
        "Objective": {name: _weight() for name in ("latency", "energy", "fidelity", "price")}
        | {"caution": {"minimum": 0, "maximum": 1}},
        "Limits": {
            "min_fidelity": _up_to(1.0),
            "deadline_s": _up_to(MAX_SECONDS),
            "max_cost_usd": _up_to(MAX_PRICE_USD),
            "max_qpu_s": _up_to(MAX_SECONDS),
            "timeout_s": _up_to(MAX_TIMEOUT_S, least="exclusiveMinimum"),
        },
        "TranspileOptions": {
            "optimization_level": {"minimum": 0, "maximum": 3},
            "seed": _SEED,
            "initial_layout": {
                "anyOf": [
                    {
                        "type": "array",
                        "items": {"type": "integer", "minimum": 0, "maximum": MAX_LAYOUT},
                        "uniqueItems": True,
                    },
                    {"type": "null"},
                ]
            },
        },
        "JobSpec": {
            "shots": {"minimum": 1, "maximum": settings.max_shots},
            "policy": {"enum": sorted(policies)},
            "pin": {"propertyNames": name_of_backend, "additionalProperties": {"type": "number"} | _SHARE},
            "allow": backends,
            "exclude": backends,
            "priority": {"minimum": 0, "maximum": 9},
            "seed": _SEED,
            "max_parts": {"minimum": 1, "maximum": MAX_PARTS},
            "tags": {"items": {"type": "string"} | _TEXT, "maxItems": MAX_TAGS},
            "after": {"items": {"type": "string", "minLength": 1, "maxLength": MAX_ID}, "maxItems": MAX_AFTER},
            "idempotency_key": {
                "anyOf": [{"type": "string", "minLength": 1, "maxLength": 2 * MAX_NAME}, {"type": "null"}]
            },
        },
        "Budget": {
            "project": {"pattern": rf"^({NAME.pattern}|\*)?$"},
            "max_usd": _up_to(MAX_PRICE_USD),
            "max_qpu_s": _up_to(MAX_SECONDS),
            "since": {"minimum": 0, "maximum": MAX_MOMENT},
        },
        "Switch": {
            "kind": {"enum": list(SWITCH_KINDS)},
            "mode": {"enum": list(SWITCH_MODES)},
            "name": {"pattern": f"^{SWITCHED}$"},
        },
    }


def schemas(settings: Settings, policies: list[str]) -> dict[str, Any]:
    """A JSON schema for every record that crosses the wire, by name."""
    _, found = msgspec.json.schema_components(RECORDS, ref_template="#/components/schemas/{name}")
    for schema in found.values():
        if "description" in schema:
            schema["description"] = cleandoc(schema["description"])
    for name, properties in _bounds(settings, policies).items():
        for field, keywords in properties.items():
            found[name]["properties"][field] |= keywords
    return dict(found)


def ref(kind: type) -> dict[str, Any]:
    """The schema of a record, by reference."""
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def list_of(kind: type) -> dict[str, Any]:
    """The schema of a list of records."""
    return {"type": "array", "items": ref(kind)}


def by_id(kind: type) -> dict[str, Any]:
    """The schema of an object with a record for each id."""
    return {"type": "object", "additionalProperties": ref(kind)}


def takes(schema: dict[str, Any]) -> dict[str, Any]:
    """What FastAPI is told of a body that it does not read itself."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def gives(
    schema: dict[str, Any] | None, *refusals: int, status: int = 200, empty: str = "", stream: bool = False
) -> dict[int | str, dict[str, Any]]:
    """What a route may answer.

    Args:
        schema: of the answer; None where there is none.   status: of it.
        refusals: statuses beyond those that any route may have.
        empty: what it means when there is nothing to answer yet.   stream: it is a stream of server-sent events.
    """
    kind = "text/event-stream" if stream else "application/json"
    content = {} if schema is None else {"content": {kind: {"schema": schema}}}
    errors = {"content": {"application/json": {"schema": ref(ErrorBody)}}}
    found: dict[int | str, dict[str, Any]] = {status: {"description": "as asked"} | content}
    if empty:
        found[204] = {"description": empty}
    for code in sorted({401, 403, 422, 500, 503, *refusals}):
        found[code] = {"description": MEANING[code]} | errors
    return found


def describe(app: FastAPI, settings: Settings, policies: list[str]) -> dict[str, Any]:
    """The document of an app."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=TAGS
    )
    components = document.setdefault("components", {})
    components["schemas"] = schemas(settings, policies)
    return document
