"""IBM Quantum on one's own machine: IAM, Global Search, Global Catalog and the runtime's interface behind one port.

    python -m tests.servers.ibm_runtime --machine ibm_manila

The real client is not touched. The server is an HTTPS proxy that answers itself for IBM's hosts, with a certificate of
its own authority; its first line of output is JSON with the environment that makes a client come here. Results are
simulated without noise. What a client of the live service may see beyond this is not known here.

Examiners talk plain HTTP to the same port:
    GET  /admin             purchases by tag, doubles, jobs, sessions, requests, faults that were injected
    POST /admin/fault       a ``tests.servers.faults.Fault`` as JSON
    POST /admin/set         {"hold": true, "fail_next": 1, "key_is_good": false} or, with "machine", its fields
    POST /admin/sessions    every session is closed
    POST /admin/tokens      every access token is forgotten
    POST /admin/reset       no faults, no jobs, all as it was in the beginning
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.servers.certificates import certificate
from tests.servers.faults import Fault, Faults
from tests.servers.ibm_account import API_KEY, CRN, Account, Refusal, stamp

HOSTS = ("cloud.ibm.com", "*.cloud.ibm.com", "api.global-search-tagging.cloud.ibm.com")


class Server(ThreadingHTTPServer):
    """One account, one port."""

    daemon_threads = True

    def __init__(self, port: int, machines: list[str], folder: Path) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.trusted, self.tls = certificate(folder, HOSTS)
        self.names = machines
        self.tokens: set[str] = set()
        self.reset()

    def reset(self) -> None:
        """All as in the beginning; who has signed on stays so."""
        self.account = Account(self.names, self.tokens)
        self.faults = Faults()
        self.requests: Counter[str] = Counter()

    @property
    def environment(self) -> dict[str, str]:
        """What brings a client of this machine here."""
        here = f"http://127.0.0.1:{self.server_port}"
        return {
            "HTTPS_PROXY": here,
            "https_proxy": here,
            "REQUESTS_CA_BUNDLE": str(self.trusted),
            "QISKIT_IBM_TOKEN": API_KEY,
            "QISKIT_IBM_INSTANCE": CRN,
        }


class Handler(BaseHTTPRequestHandler):
    """One connection: an examiner's, or a tunnel with one of IBM's hosts at its end."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True  # or every answer waits 40 ms for an acknowledgement
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_CONNECT(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.wfile.flush()
        self.rfile.close()
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")
        self.tunnelled = True
        self.close_connection = False

    tunnelled = False

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        path = urlsplit(self.path).path
        self.text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.tunnelled:
            self._reply(200, self._admin(path))
            return
        self.server.requests[f"{self.command} {path}"] += 1
        fault = self.server.faults.befalling(self.command, path)
        if fault is not None and fault.kind in ("refuse", "drop"):
            self._spoil(fault)
            return
        try:
            status, answer = self._answer(path)
        except Refusal as refusal:
            error = {"code": refusal.code, "message": str(refusal), "solution": "", "more_info": ""}
            status, answer = refusal.status, {"errors": [error], "errorMessage": str(refusal)}
        if fault is None:
            self._reply(status, answer)
        else:
            self._spoil(fault)

    def _spoil(self, fault: Fault) -> None:
        if fault.kind.endswith("drop"):
            self.close_connection = True
            self.connection.close()
        elif fault.kind == "garble":
            self._reply(200, "<html>not what was asked for")
        else:
            error = {"code": 0, "message": fault.message}
            self._reply(fault.status, {"errors": [error]}, fault.headers)

    def _reply(self, status: int, answer: Any, headers: dict[str, str] | None = None) -> None:
        body = answer.encode() if isinstance(answer, str) else b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text or b"{}")
        return found

    def _answer(self, path: str) -> tuple[int, Any]:
        for method, pattern, open_to_all, answer in ROUTES:
            match = re.fullmatch(pattern, path)
            if method == self.command and match:
                bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
                if not open_to_all and bearer not in self.server.account.tokens:
                    raise Refusal(401, 1205, "The access token is missing or has expired.")
                return answer(self, **match.groupdict())
        raise Refusal(404, 0, f"no such thing here: {self.command} {path}")

    def _admin(self, path: str) -> Any:
        server, account = self.server, self.server.account
        match path:
            case "/admin":
                return account.report() | {"requests": server.requests, "injected": server.faults.injected}
            case "/admin/fault":
                server.faults.add(**self.body)
            case "/admin/set":
                wanted = self.body
                target = account.machines[wanted.pop("machine")] if "machine" in wanted else account
                for name, value in wanted.items():
                    assert hasattr(target, name), name
                    setattr(target, name, value)
            case "/admin/sessions":
                for session_id in account.sessions:
                    account.close_session(session_id)
            case "/admin/tokens":
                account.tokens.clear()
            case "/admin/reset":
                server.reset()
        return {}


def iam(handler: Handler) -> tuple[int, Any]:
    key = parse_qs(handler.text.decode())["apikey"][0]
    now = int(time.time())
    token = handler.server.account.token(key)
    return 200, {"access_token": token, "refresh_token": "-", "expires_in": 3600, "expiration": now + 3600}


def instances(handler: Handler) -> tuple[int, Any]:
    item = {"crn": CRN, "name": "tests", "service_plan_unique_id": "plan", "tags": [], "doc": {"extensions": {"a": 1}}}
    return 200, {"items": [item], "limit": 100}


def plan(handler: Handler) -> tuple[int, Any]:
    pricing = {"overview_ui": {"en": {"display_name": "Pay-As-You-Go"}}, "metadata": {"pricing": {"type": "paygo"}}}
    return 200, {"name": "plan", "kind": "plan", "id": "plan"} | pricing


def backends(handler: Handler) -> tuple[int, Any]:
    return 200, {"devices": [{"name": name} for name in handler.server.account.machines]}


def document(handler: Handler, machine: str, kind: str) -> tuple[int, Any]:
    found = handler.server.account.machines.get(machine)
    if found is None:
        raise Refusal(404, 1231, f"Backend {machine} not found.")
    if kind == "status":
        state = {"state": found.operational, "status": found.status, "length_queue": found.pending_jobs}
        return 200, state | {"backend_version": "1.0.0"}
    return 200, getattr(found, kind)


def hand_in(handler: Handler) -> tuple[int, Any]:
    job = handler.server.account.accept(handler.body)
    return 200, {"id": job.id, "backend": job.machine, "session_id": job.session_id, "private": False}


def listed(job: Any, *, params: bool = False) -> dict[str, Any]:
    state: dict[str, Any] = {"status": job.status}
    if job.reason:
        state |= {"reason": job.reason, "reason_code": job.reason_code}
    found = {"id": job.id, "backend": job.machine, "tags": job.tags, "state": state, "status": job.status}
    found |= {"created": stamp(job.created), "program": {"id": "sampler"}, "session_id": job.session_id}
    return found | {"params": job.params} if params else found


def jobs(handler: Handler) -> tuple[int, Any]:
    query = parse_qs(urlsplit(handler.path).query)
    account, wanted = handler.server.account, set(query.get("tags", ()))
    with account.lock:
        found = [account.look(key) for key, job in account.jobs.items() if wanted <= set(job.tags)]
    found.sort(key=lambda job: job.created, reverse=query.get("sort") != ["ASC"])
    offset, limit = int(query.get("offset", ["0"])[0]), int(query.get("limit", ["200"])[0])
    page = [listed(job) for job in found[offset : offset + limit]]
    return 200, {"jobs": page, "count": len(found), "limit": limit, "offset": offset}


def job(handler: Handler, job_id: str) -> tuple[int, Any]:
    return 200, listed(handler.server.account.look(job_id), params="exclude_params" not in handler.path)


def results(handler: Handler, job_id: str) -> tuple[int, Any]:
    return 200, handler.server.account.result(handler.server.account.look(job_id))


def metrics(handler: Handler, job_id: str) -> tuple[int, Any]:
    return 200, handler.server.account.metrics(handler.server.account.look(job_id))


def cancel(handler: Handler, job_id: str) -> tuple[int, Any]:
    handler.server.account.cancel(job_id)
    return 204, None


def open_session(handler: Handler) -> tuple[int, Any]:
    return 200, handler.server.account.open_session(handler.body)


def session(handler: Handler, session_id: str) -> tuple[int, Any]:
    return 200, handler.server.account.session(session_id)


def close_session(handler: Handler, session_id: str) -> tuple[int, Any]:
    handler.server.account.close_session(session_id)
    return 204, None


def usage(handler: Handler) -> tuple[int, Any]:
    return 200, {"instance_id": CRN, "usage_consumed_seconds": 0, "usage_limit_reached": handler.server.account.used_up}


API, JOB, SESSION = "/api/v1", "/api/v1/jobs/(?P<job_id>[^/]+)", "/api/v1/sessions/(?P<session_id>[^/]+)"
ROUTES: tuple[tuple[str, str, bool, Callable[..., tuple[int, Any]]], ...] = (
    ("POST", "/identity/token", True, iam),
    ("POST", "/v3/resources/search", False, instances),
    ("GET", f"{API}/backends", False, backends),
    ("GET", f"{API}/backends/(?P<machine>[^/]+)/(?P<kind>configuration|properties|status)", False, document),
    ("GET", f"{API}/instances/usage", False, usage),
    ("POST", f"{API}/jobs", False, hand_in),
    ("GET", f"{API}/jobs", False, jobs),
    ("GET", JOB, False, job),
    ("GET", f"{JOB}/results", False, results),
    ("GET", f"{JOB}/metrics", False, metrics),
    ("POST", f"{JOB}/cancel", False, cancel),
    ("POST", f"{API}/sessions", False, open_session),
    ("GET", SESSION, False, session),
    ("PATCH", SESSION, False, close_session),
    ("DELETE", f"{SESSION}/close", False, close_session),
    ("GET", f"{API}/plan", False, plan),
)
"""Method, path, whether it needs no token, answer."""


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--machine", action="append", help="such as ibm_manila; may be given several times")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with tempfile.TemporaryDirectory(prefix="qorch-ibm-") as folder:
        server = Server(options.port, options.machine or ["ibm_manila"], Path(folder))
        print(json.dumps({"port": server.server_port, "environment": server.environment}), flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
