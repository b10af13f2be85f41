"""Bodies are bounded before they are read."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from orchestrator.job import JobSpec
from orchestrator.records import to_json
from orchestrator.web import body
from orchestrator.wire import MAX_IDS

JSON = {"Content-Type": "application/json"}


def begun(url: str, length: str) -> socket.socket:
    """A request that promises a body."""
    host, _, port = url.removeprefix("http://").partition(":")
    raw = socket.create_connection((host, int(port)), timeout=30)
    lines = ("POST /v1/jobs HTTP/1.1", f"Host: {host}", "Content-Type: application/json", f"Content-Length: {length}")
    raw.sendall("\r\n".join((*lines, "", "")).encode())
    return raw


def test_a_large_one_is_refused_by_its_length(shared: Any) -> None:
    with shared.http() as http:
        answer = http.post("/v1/jobs", content=b"x" * 2_000_001, headers=JSON)
        assert answer.status_code == 413
        assert "QORCH_MAX_BODY_BYTES" in answer.json()["error"]["message"]
        assert http.post("/v1/jobs", content=b"x" * 2_000_000, headers=JSON).status_code == 422


def test_a_large_one_is_refused_without_a_length(shared: Any) -> None:
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(10_000):
            sent += 10_000
            yield b"x" * 10_000

    with shared.http() as http, suppress(httpx.NetworkError):  # it hangs up on who goes on sending
        assert http.post("/v1/jobs", content=chunks(), headers=JSON).status_code == 413
    assert sent < 50_000_000


@pytest.mark.parametrize("length", ["9999999999999999999", "2000001"])
def test_a_promise_of_much_is_enough(shared: Any, length: str) -> None:
    with begun(shared.url, length) as raw:
        assert b" 413 " in raw.recv(1000)


def test_a_slow_one_is_given_up(shared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "BODY_TIMEOUT_S", 0.2)
    with begun(shared.url, "100") as raw:
        raw.sendall(b"[")
        assert b" 408 " in raw.recv(1000)


def test_the_door_limits_a_batch(shared: Any, spec: JobSpec) -> None:
    with shared.http() as http:
        answer = http.post("/v1/jobs", content=to_json([spec] * 101), headers=JSON)
        assert (answer.status_code, answer.json()["error"]["kind"]) == (422, "InvalidJob")
        assert "100 jobs" in answer.json()["error"]["message"]
        assert http.get("/v1/jobs").json() == []


def test_a_question_is_about_so_many(shared: Any) -> None:
    with shared.http() as http:
        assert http.post("/v1/states", json=["x"] * MAX_IDS).json() == {}
        assert http.post("/v1/results", json=["x"] * (MAX_IDS + 1)).status_code == 422


def test_no_program_is_read_by_the_server(shared: Any) -> None:
    """What no parser can read becomes a job: it will fail where a child process may crash."""
    with shared.http() as http:
        unreadable = {"program": {"language": "openqasm3", "text": "((((" * 1000}}
        (job,) = http.post("/v1/jobs", json=[unreadable]).json()
        assert job["state"] == "submitted"
        http.post(f"/v1/jobs/{job['id']}/cancel")
        shared.transport.cancel(job["id"])
        assert http.get(f"/v1/jobs/{job['id']}/result").status_code == 204
        assert http.get(f"/v1/jobs/{job['id']}/decision").status_code == 204
