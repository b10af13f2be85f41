"""Who may come in, and what they see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from circuits.program import Program
from orchestrator.errors import ConfigurationError, InvalidJob
from orchestrator.job import JobSpec
from orchestrator.records import to_json
from orchestrator.settings import Settings
from orchestrator.sql.store import SqlStore
from orchestrator.tokens import PREFIX, Token, digest, new_secret
from orchestrator.web import gate
from orchestrator.web.app import create_app
from orchestrator.wire import is_loopback
from workers.local import LocalTransport

JSON = {"Content-Type": "application/json"}


def submit(http: httpx.Client, spec: JobSpec) -> str:
    answer = http.post("/v1/jobs", content=to_json([spec]), headers=JSON)
    assert answer.status_code == 201, answer.text
    job_id: str = answer.json()[0]["id"]
    return job_id


class TestWithoutToken:
    def test_this_machine_sees_all(self, server: Any, spec: JobSpec) -> None:
        with server.http() as http:
            job_id = submit(http, spec)
            assert http.get("/v1").json()["project"] is None
            assert http.get(f"/v1/jobs/{job_id}").json()["project"] == ""

    @pytest.mark.parametrize(
        "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil", ""]
    )
    def test_a_rebound_name_is_refused(self, server: Any, host: str) -> None:
        with server.http() as http:
            answer = http.get("/v1/jobs", headers={"Host": host})
        assert answer.status_code == 403
        assert answer.json()["error"]["kind"] == "NotAuthorised"

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://localhost:1"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ],
        ids=str,
    )
    def test_pages_of_others_are_refused(self, server: Any, headers: dict[str, str], spec: JobSpec) -> None:
        with server.http() as http:
            answer = http.post("/v1/jobs", content=to_json([spec]), headers=JSON | headers)
            assert answer.status_code == 403
            assert http.get("/v1/jobs").json() == []

    def test_its_own_pages_are_not(self, server: Any) -> None:
        with server.http() as http:
            headers = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
            assert http.get("/v1/jobs", headers=headers).status_code == 200

    def test_once_there_is_a_token_one_is_wanted(self, server: Any) -> None:
        secret = server.token("ada", "lab")
        with server.http() as http:
            answer = http.get("/v1/jobs")
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert "qorch token add" in answer.json()["error"]["message"]
            assert http.get("/healthz").json() == {"ok": True}
        with server.http(secret) as http:
            assert http.get("/v1/jobs").status_code == 200

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
    def test_others_machines_need_one_from_the_start(self, settings: Settings, host: str) -> None:
        transport = LocalTransport(settings.model_copy(update={"embedded_engine": False}))
        store = SqlStore(settings.resolved_store_url)
        try:
            with pytest.raises(ConfigurationError, match="qorch token add"):
                create_app(transport, store, settings, host=host)
            store.add_token(Token("ada", "lab"), digest(new_secret()))
            create_app(transport, store, settings, host=host)
        finally:
            store.close()
            transport.close()


class TestTokens:
    def test_a_project_sees_its_own_jobs_alone(self, server: Any, spec: JobSpec) -> None:
        with server.http(server.token("ada", "lab")) as ada, server.http(server.token("bob", "shop")) as bob:
            job_id = submit(ada, spec)
            assert ada.get("/v1").json()["project"] == "lab"
            assert [job["id"] for job in ada.get("/v1/jobs").json()] == [job_id]
            assert ada.get(f"/v1/jobs/{job_id}").json()["project"] == "lab"
            assert bob.get("/v1/jobs").json() == []
            for what in ("", "/assignments", "/result", "/decision", "/explanations", "/events", "/stream"):
                answer = bob.get(f"/v1/jobs/{job_id}{what}")
                assert (answer.status_code, answer.json()["error"]["kind"]) == (404, "JobNotFound"), what
            assert bob.post(f"/v1/jobs/{job_id}/cancel").status_code == 404
            assert bob.post("/v1/states", json=[job_id]).json() == {}
            assert bob.post("/v1/results", json=[job_id]).json() == {}
            assert ada.post("/v1/states", json=[job_id, "nobody", "\u0000"]).json() == {job_id: "submitted"}
            assert ada.post(f"/v1/jobs/{job_id}/cancel").status_code == 204
            with server.http(server.token("root", "*")) as operator:
                assert [job["id"] for job in operator.get("/v1/jobs").json()] == [job_id]

    def test_a_key_belongs_to_its_project(self, server: Any, bell: Program) -> None:
        keyed = JobSpec(program=bell, idempotency_key="once")
        with server.http(server.token("ada", "lab")) as ada, server.http(server.token("bob", "shop")) as bob:
            assert submit(ada, keyed) == submit(ada, keyed) != submit(bob, keyed)

    def test_only_operators_switch(self, server: Any) -> None:
        drained = {"kind": "backend", "name": "aer_mps", "mode": "drained"}
        with server.http(server.token("ada", "lab")) as ada, server.http(server.token("root", "*")) as operator:
            answer = ada.post("/v1/switches", json=drained)
            assert answer.status_code == 403
            assert "--project '*'" in answer.json()["error"]["message"]
            assert operator.post("/v1/switches", json=drained).status_code == 204
            (switch,) = ada.get("/v1/switches").json()
            assert switch["mode"] == "drained"

    @pytest.mark.parametrize("sent", ["Bearer wrong", "Bearer qorch_" + "A" * 43, "bearer  x", "Bearer é"])
    def test_an_unknown_one_opens_nothing(self, server: Any, sent: str) -> None:
        with server.http() as http:
            answer = http.get("/v1/jobs", headers={"Authorization": sent.encode("latin-1")})  # type: ignore[dict-item]
        assert answer.status_code == 401
        assert sent.partition(" ")[2] not in answer.text

    def test_a_revoked_one_is_forgotten(self, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        secret = server.token("ada", "lab")
        server.token("bob", "lab")
        with server.http(secret) as http:
            assert http.get("/v1/jobs").status_code == 200
            assert server.store.revoke_token("ada")
            monkeypatch.setattr(gate, "LOOKUP_S", 0.0)  # as if that time had passed
            assert http.get("/v1/jobs").status_code == 401

    def test_the_store_keeps_no_secret(self, server: Any, settings: Settings) -> None:
        secret = server.token("ada", "lab")
        assert secret.startswith(PREFIX)
        assert len(secret) > 40
        files: list[Path] = list(settings.data_dir.iterdir())
        assert files
        assert not any(secret.removeprefix(PREFIX).encode() in file.read_bytes() for file in files if file.is_file())

    def test_a_name_is_taken_once(self, store: SqlStore) -> None:
        store.add_token(Token("ada", "lab"), digest("a"))
        with pytest.raises(ConfigurationError, match="revoke"):
            store.add_token(Token("ada", "shop"), digest("b"))
        assert [(token.name, token.project) for token in store.tokens()] == [("ada", "lab")]
        assert store.tokens()[0].created_at > 1e9
        assert store.token(digest("a")) == store.tokens()[0]
        assert store.token(digest("b")) is None
        assert store.has_tokens()
        assert store.revoke_token("ada")
        assert not store.revoke_token("ada")
        assert not store.has_tokens()

    @pytest.mark.parametrize("name", ["", "a b", "x" * 65, "é", "../x", "a\n", "*"])
    def test_names_are_plain(self, name: str) -> None:
        with pytest.raises(InvalidJob, match="letters"):
            Token(name, "lab")
        if name != "*":
            with pytest.raises(InvalidJob, match="letters"):
                Token("ada", name)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("127.1", False),
        ("", False),
        (None, False),
    ],
)
def test_what_is_this_machine(host: str | None, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_other_versions_are_told_so(server: Any) -> None:
    with server.http() as http:
        answer = http.get("/v1", headers={"X-Qorch-Protocol": "2"})
    assert (answer.status_code, answer.json()["error"]["kind"]) == (400, "ProtocolMismatch")
    assert answer.headers["X-Qorch-Protocol"] == "1"


def test_nothing_else_is_served(serve: Callable[[Settings], Any], settings: Settings) -> None:
    with serve(settings).http() as http:
        for path in ("/", "/docs", "/redoc", "/v1/", "/v2", "/metrics"):
            answer = http.get(path)
            assert (answer.status_code, answer.json()["error"]["kind"]) == (404, "NoSuchRoute"), path
        assert http.delete("/v1/jobs").headers["Allow"] == "GET, POST"
