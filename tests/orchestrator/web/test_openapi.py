"""The document is true: requests made from it are answered as it says, and never with a defect.

QORCH_FUZZ_EXAMPLES raises the number of requests made for each operation.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi import checks as openapi

NUM_EXAMPLES = int(os.environ.get("QORCH_FUZZ_EXAMPLES", "10"))
OPERATIONS = {
    "about": ("get", "/v1"),
    "submit": ("post", "/v1/jobs"),
    "quote": ("post", "/v1/quote"),
    "jobs": ("get", "/v1/jobs"),
    "job": ("get", "/v1/jobs/{job_id}"),
    "assignments": ("get", "/v1/jobs/{job_id}/assignments"),
    "result": ("get", "/v1/jobs/{job_id}/result"),
    "decision": ("get", "/v1/jobs/{job_id}/decision"),
    "explain": ("get", "/v1/jobs/{job_id}/explanations"),
    "cancel": ("post", "/v1/jobs/{job_id}/cancel"),
    "results": ("post", "/v1/results"),
    "states": ("post", "/v1/states"),
    "events": ("get", "/v1/jobs/{job_id}/events"),
    "streamJob": ("get", "/v1/jobs/{job_id}/stream"),
    "stream": ("get", "/v1/stream"),
    "backends": ("get", "/v1/backends"),
    "policies": ("get", "/v1/policies"),
    "costs": ("get", "/v1/costs"),
    "switches": ("get", "/v1/switches"),
    "switch": ("post", "/v1/switches"),
    "budgets": ("get", "/v1/budgets"),
    "setBudget": ("post", "/v1/budgets"),
    "health": ("get", "/healthz"),
}
ENDLESS = {"stream", "streamJob"}

CHECKS = [
    not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_headers_conformance,
    openapi.response_schema_conformance,
    openapi.unsupported_method,
    openapi.allow_header_conformance,
]
POSITIVE = [*CHECKS, openapi.positive_data_acceptance]
NEGATIVE = [*CHECKS, openapi.negative_data_rejection]
SAYS_TOO_LITTLE = {"quote", "submit", "switch"}
"""What they take depends on more than a schema can say, such as shares that add up to one."""


@pytest.fixture(scope="module")
def token(shared: Any) -> str:
    """An operator's."""
    secret: str = shared.token("fuzz", "*")
    return secret


@pytest.fixture(scope="module")
def session(token: str) -> Iterator[requests.Session]:
    """A connection for all requests."""
    with requests.Session() as opened:
        opened.trust_env = False
        opened.headers["Authorization"] = f"Bearer {token}"
        yield opened


@pytest.fixture(scope="module")
def document(shared: Any) -> dict[str, Any]:
    """As the server gives it."""
    with shared.http() as http:
        found: dict[str, Any] = http.get("/openapi.json").json()
    return found


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    found = {
        operation["operationId"]: (method, path)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert found == OPERATIONS
    for item in document["paths"].values():
        for operation in item.values():
            assert operation["tags"]
            assert operation["description"]
            open_to_all = operation["operationId"] == "health"
            assert operation.get("security", []) == ([] if open_to_all else [{"HTTPBearer": []}])
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert document["info"]["description"]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["as_told", "otherwise"])
@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - ENDLESS))
def test_answers_are_as_described(
    document: dict[str, Any], shared: Any, session: requests.Session, name: str, mode: GenerationMode
) -> None:
    method, path = OPERATIONS[name]
    operation = schemathesis.openapi.from_dict(document)[path][method]
    if mode is GenerationMode.NEGATIVE and not (operation.query or operation.path_parameters or operation.body):
        return  # there is nothing to get wrong

    @given(case=operation.as_strategy(mode))
    @hypothesis.settings(
        max_examples=NUM_EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    def check(case: Any) -> None:
        body = case.meta.components.get(ParameterLocation.BODY)
        if body is not None and body.mode is GenerationMode.NEGATIVE:
            checks = NEGATIVE
        else:  # a question more than the path knows is passed over, and the token is the session's
            checks = CHECKS if mode is GenerationMode.NEGATIVE or name in SAYS_TOO_LITTLE else POSITIVE
        case.call_and_validate(base_url=shared.url, session=session, checks=checks, timeout=60)

    check()


@pytest.mark.parametrize(
    "question",
    [
        "/v1/jobs?limit=0",
        "/v1/jobs?limit=10001",
        "/v1/jobs?limit=x",
        "/v1/jobs?limit=1e2",
        "/v1/jobs?state=lost",
        "/v1/jobs?tag=",
        "/v1/jobs/x/events?after=-1",
        "/v1/jobs/x/events?after=99999999999999999999",
    ],
)
def test_questions_that_make_no_sense(shared: Any, session: requests.Session, question: str) -> None:
    answer = session.get(shared.url + question, timeout=60)
    assert (answer.status_code, answer.json()["error"]["kind"]) == (422, "InvalidJob")


@pytest.mark.parametrize("job_id", ["%00", "x" * 65, "a%0Ab", "%F0%9F%98%80", "..%2f", "'", "\\", "%ff"])
def test_ids_that_none_can_have(shared: Any, session: requests.Session, job_id: str) -> None:
    for what in ("", "/events", "/result", "/assignments", "/decision", "/explanations"):
        answer = session.get(f"{shared.url}/v1/jobs/{job_id}{what}", timeout=60)
        assert answer.status_code == 404, answer.text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


class TestStrangeBodies:
    @given(body=st.binary(max_size=300))
    @hypothesis.settings(max_examples=5 * NUM_EXAMPLES)
    def test_bytes(self, shared: Any, session: requests.Session, body: bytes) -> None:
        self.refused(shared, session, body)

    @given(value=json_values)
    @hypothesis.settings(max_examples=5 * NUM_EXAMPLES)
    def test_any_json(self, shared: Any, session: requests.Session, value: Any) -> None:
        self.refused(shared, session, json.dumps(value).encode())

    @given(value=json_values, name=st.sampled_from(["shots", "objective", "limits", "pin", "tags", "seed", "after"]))
    @hypothesis.settings(max_examples=5 * NUM_EXAMPLES)
    def test_one_field_of_a_job(self, shared: Any, session: requests.Session, value: Any, name: str) -> None:
        spec = {"program": {"language": "openqasm2", "text": "x"}, name: value}
        answer = self.sent(shared, session, json.dumps([spec]).encode())
        assert answer.status_code in (201, 422), answer.text

    @given(value=json_values)
    @hypothesis.settings(max_examples=5 * NUM_EXAMPLES)
    def test_parameters_of_a_family(self, shared: Any, session: requests.Session, value: Any) -> None:
        spec = {"program": {"language": "family", "family": "steane", "parameters": {"rounds": value}}}
        answer = self.sent(shared, session, json.dumps([spec]).encode())
        assert answer.status_code in (201, 422), answer.text

    @pytest.mark.parametrize(
        "body",
        [
            b"[" * 90_000 + b"]" * 90_000,
            b'[{"program":{"language":"family","family":"steane","parameters":{"rounds":'
            + b"[" * 50_000
            + b"]" * 50_000
            + b"}}}]",
            b'{"a":' * 15_000 + b"1" + b"}" * 15_000,
            b'[{"program":{"language":"openqasm2","text":"x"},"shots":' + b"9" * 100_000 + b"}]",
            b'[{"program":{"language":"openqasm2","text":"x"},"shots":1e999}]',
            b'[{"program":{"language":"openqasm2","text":"x"},"shots":-0}]',
            b'[{"program":{"language":"family","family":"steane","parameters":{"rounds":1e999}}}]',
            b'[{"program":{"language":"openqasm2","text":"\\ud800"}}]',
            b'[{"program":{"language":"openqasm2","text":"x"},"objective":{"latency":NaN}}]',
            b'[{"program":{"language":"openqasm2","text":"x"},"tags":["\\u0000"]}]',
            b'[{"program":{"language":"openqasm2","text":"x"},"after":["\\u0000"]}]',
            b"",
            b"null",
            b"[]",
            b"[null]",
            b"{}",
            b"\xff\xfe[]",
        ],
        ids=lambda body: body[:40].decode("ascii", "replace"),
    )
    def test_known_tricks(self, shared: Any, session: requests.Session, body: bytes) -> None:
        self.refused(shared, session, body)

    @pytest.mark.parametrize("number", [2**63, 2**64, -(2**63) - 1, 10**300])
    def test_large_numbers(self, shared: Any, session: requests.Session, number: int) -> None:
        spec = b'[{"program":{"language":"family","family":"steane","parameters":{"rounds":%d}}}]' % number
        assert self.sent(shared, session, spec).status_code in (201, 422)

    @pytest.mark.parametrize("kind", ["", "text/plain", "multipart/form-data; boundary=x", "application/jsonx", "é"])
    def test_other_content_types(self, shared: Any, session: requests.Session, kind: str) -> None:
        headers = {"Content-Type": kind.encode("latin-1")}
        answer = session.post(f"{shared.url}/v1/jobs", data=b"[]", headers=headers, timeout=60)
        assert answer.status_code == 415
        assert answer.json()["error"]["kind"] == "InvalidJob"

    def refused(self, shared: Any, session: requests.Session, body: bytes) -> None:
        answer = self.sent(shared, session, body)
        assert answer.status_code == 422, answer.text[:500]
        assert set(answer.json()["error"]) == {"kind", "message"}

    def sent(self, shared: Any, session: requests.Session, body: bytes) -> requests.Response:
        headers = {"Content-Type": "application/json"}
        return session.post(f"{shared.url}/v1/jobs", data=body, headers=headers, timeout=60)
