"""A small Amazon Braket on this machine: the real client buys from it, asks it and reads its results from S3.

It keeps the service's promises (a ``clientToken`` buys once) and breaks its word on demand: see ``Fault``. Tasks are
run by Braket's own emulator of the device they were bought on, which refuses what the device would refuse. S3 is
moto's. ``python -m tests.servers.braket --port 0`` prints where it listens as one line of JSON, and ends when its
standard input does. Beside Braket's operations it answers

    GET  /admin/state     tasks; how often each run was bought, each operation called, each fault met
    POST /admin/faults    {"operation": "CreateQuantumTask", "kind": "accept_then_500", "times": 1}, or a list of such
    POST /admin/set       {"queue_s": 2.0, "status": {arn: "OFFLINE"}, "windows": {arn: [...]}, "page": 100}
    POST /admin/reset     forget tasks, faults and settings
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.servers.braket_devices import DEVICES

BUCKET = "amazon-braket-qorch-tests"
ACCOUNT = "123456789012"
END = {"COMPLETED", "FAILED", "CANCELLED"}

ERRORS = {
    "throttle": (429, "ThrottlingException", "Rate exceeded"),
    "500": (500, "InternalServiceException", "Something broke"),
    "503": (503, "ServiceUnavailableException", "Come back later"),
    "denied": (403, "AccessDeniedException", "User is not authorized to perform this action"),
    "expired": (403, "ExpiredTokenException", "The security token included in the request is expired"),
    "offline": (424, "DeviceOfflineException", "The device is offline"),
    "retired": (410, "DeviceRetiredException", "The device is retired"),
    "quota": (402, "ServiceQuotaExceededException", "Too many tasks are queued"),
    "invalid": (400, "ValidationException", "The program is not supported"),
    "missing": (404, "ResourceNotFoundException", "There is no such thing"),
    "conflict": (409, "ConflictException", "The task has ended"),
}
"""Kind of fault -> status, code and words. The work is not done."""


@dataclass
class Fault:
    """What goes wrong with the next calls of one operation.

    Attributes:
        kind: of ``ERRORS``; "accept_then_500" and "accept_then_close" do the work and answer with an error or not at
            all; "close" does nothing and does not answer; "fail" lets the task that is bought end as failed; "none"
            lets a call pass.
        times: number of calls.
        retry_after_s: header of a throttled call.
    """

    operation: str
    kind: str
    times: int = 1
    retry_after_s: int | None = None


class Refusal(Exception):
    """The service says no."""

    def __init__(self, kind: str, words: str | None = None) -> None:
        self.status, self.code, told = ERRORS[kind]
        self.words = words or told


@dataclass
class Service:
    """Everything that the service remembers."""

    s3: Any
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_token: dict[str, tuple[str, str]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    queue_s: float = 0.0
    status: dict[str, str] = field(default_factory=dict)
    windows: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    page: int = 100
    lock: threading.RLock = field(default_factory=threading.RLock)

    def fault(self, operation: str) -> Fault | None:
        """The fault of this call, if one is due."""
        for fault in self.faults:
            if fault.operation == operation and fault.times > 0:
                fault.times -= 1
                self.broken[f"{operation} {fault.kind}"] += 1
                return fault
        return None

    def create(self, body: dict[str, Any], *, fails: bool) -> dict[str, Any]:
        """CreateQuantumTask: the same token gives the same task, and is refused with another request."""
        request = json.dumps({key: body[key] for key in sorted(body) if key != "clientToken"})
        known = self.by_token.get(body["clientToken"])
        if known is not None:
            if known[1] != request:
                raise Refusal("invalid", "The request is not the one of before")
            return {"quantumTaskArn": known[0]}
        device = body["deviceArn"]
        if self.status.get(device, "ONLINE") != "ONLINE":
            raise Refusal("retired" if self.status[device] == "RETIRED" else "offline")
        low, high = DEVICES[device][2]()["service"]["shotsRange"]
        if not low <= body["shots"] <= high:
            raise Refusal("invalid", f"shots must be between {low} and {high}")
        task_id = str(uuid.uuid4())
        arn = f"arn:aws:braket:{device.split(':')[3]}:{ACCOUNT}:quantum-task/{task_id}"
        self.tasks[arn] = {
            "quantumTaskArn": arn,
            "status": "QUEUED",
            "deviceArn": device,
            "deviceParameters": body.get("deviceParameters", "{}"),
            "shots": body["shots"],
            "outputS3Bucket": body["outputS3Bucket"],
            "outputS3Directory": f"{body['outputS3KeyPrefix']}/{task_id}",
            "createdAt": _now(),
            "tags": body.get("tags", {}),
            "action": json.loads(body["action"]),
            "due": time.time() + self.queue_s,
            "fails": fails,
        }
        self.by_token[body["clientToken"]] = (arn, request)
        return {"quantumTaskArn": arn}

    def get(self, arn: str) -> dict[str, Any]:
        """GetQuantumTask; a task whose time in the queue is over is run now."""
        task = self._task(arn)
        if task["status"] not in END and time.time() >= task["due"]:
            self._finish(task)
        queue = {"queue": "QUANTUM_TASKS_QUEUE", "position": "3" if task["status"] == "QUEUED" else "None"}
        return {key: value for key, value in task.items() if key not in ("action", "due", "fails")} | {
            "queueInfo": queue
        }

    def cancel(self, arn: str) -> dict[str, Any]:
        """CancelQuantumTask."""
        task = self._task(arn)
        if task["status"] in END:
            raise Refusal("conflict")
        task |= {"status": "CANCELLED", "endedAt": _now()}
        return {"quantumTaskArn": arn, "cancellationStatus": "CANCELLED"}

    def search(self, body: dict[str, Any]) -> dict[str, Any]:
        """SearchQuantumTasks: page by page, and by those filters that the service has."""
        wanted = {item["name"]: item["values"] for item in body["filters"] if item["operator"] == "EQUAL"}
        if not wanted.keys() <= {"quantumTaskArn", "deviceArn", "jobArn", "status"}:
            raise Refusal("invalid", "no such filter")
        found = [task for task in self.tasks.values() if all(task[name] in values for name, values in wanted.items())]
        start = int(body.get("nextToken", 0))
        names = ("quantumTaskArn", "status", "deviceArn", "shots", "outputS3Bucket", "outputS3Directory", "createdAt")
        page = [{name: task[name] for name in (*names, "tags")} for task in reversed(found)][start : start + self.page]
        more = {"nextToken": str(start + self.page)} if start + self.page < len(found) else {}
        return {"quantumTasks": page} | more

    def device(self, arn: str) -> dict[str, Any]:
        """GetDevice."""
        if arn not in DEVICES:
            raise Refusal("missing")
        name, provider, document = DEVICES[arn]
        told = document()
        told["service"]["executionWindows"] = self.windows.get(arn, told["service"]["executionWindows"])
        waiting = sum(task["deviceArn"] == arn and task["status"] == "QUEUED" for task in self.tasks.values())
        return {
            "deviceArn": arn,
            "deviceName": name,
            "providerName": provider,
            "deviceType": "QPU",
            "deviceStatus": self.status.get(arn, "ONLINE"),
            "deviceCapabilities": json.dumps(told),
            "deviceQueueInfo": [
                {"queue": "QUANTUM_TASKS_QUEUE", "queueSize": str(waiting), "queuePriority": "Normal"},
                {"queue": "QUANTUM_TASKS_QUEUE", "queueSize": "1", "queuePriority": "Priority"},
                {"queue": "JOBS_QUEUE", "queueSize": "0"},
            ],
        }

    def state(self) -> dict[str, Any]:
        """What a test wants to count. A run that was bought twice has two tasks of one purchase and number."""
        bought = Counter(
            f"{task['tags'].get('qorch:purchase')} {task['tags'].get('qorch:run')}" for task in self.tasks.values()
        )
        return {
            "tasks": {arn: {key: task[key] for key in ("status", "shots", "tags")} for arn, task in self.tasks.items()},
            "bought": bought,
            "doubles": {run: number for run, number in bought.items() if number > 1},
            "calls": self.calls,
            "broken": self.broken,
        }

    def _task(self, arn: str) -> dict[str, Any]:
        if arn not in self.tasks:
            raise Refusal("missing")
        return self.tasks[arn]

    def _finish(self, task: dict[str, Any]) -> None:
        task["endedAt"] = _now()
        if task["fails"]:
            task |= {"status": "FAILED", "failureReason": "The device lost its lock"}
            return
        try:
            document = run_task(task)
        except ValueError as error:  # the emulator's word for what the device would refuse
            task |= {"status": "FAILED", "failureReason": str(error)}
            return
        key = f"{task['outputS3Directory']}/results.json"
        self.s3.put_object(Bucket=task["outputS3Bucket"], Key=key, Body=document.encode())
        task |= {"status": "COMPLETED", "numSuccessfulShots": task["shots"]}


def run_task(task: dict[str, Any]) -> str:
    """The results document of a task, from the emulator of its device."""
    from braket.circuits import Circuit
    from braket.devices import LocalSimulator
    from braket.emulation.local_emulator import LocalEmulator
    from braket.schema_common import BraketSchemaBase
    from braket.task_result import GateModelTaskResult

    _, provider, document = DEVICES[task["deviceArn"]]
    source = task["action"]["source"]
    circuit = Circuit.from_ir(source)
    if provider == "IonQ":  # its compiler takes any gate: there is nothing that an emulator could refuse
        result = LocalSimulator("braket_sv").run(circuit, shots=task["shots"]).result()
    else:
        told = BraketSchemaBase.parse_raw_schema(json.dumps(document()))
        result = LocalEmulator.from_device_properties(told).run(circuit, shots=task["shots"]).result()
    outcomes: dict[str, Any] = {"measurements": result.measurements.tolist()}
    if provider == "IonQ":  # it tells frequencies instead of shots
        outcomes = {"measurementProbabilities": dict(result.measurement_probabilities)}
    told_more = {}
    if provider in COMPILED:
        kind, write = COMPILED[provider]
        header = {"name": f"braket.task_result.{kind}_metadata", "version": "1"}
        told_more = {f"{kind}Metadata": {"braketSchemaHeader": header, "compiledProgram": write(source)}}
    text = GateModelTaskResult.parse_obj(
        {
            **outcomes,
            "measuredQubits": list(result.measured_qubits),
            "taskMetadata": {"id": task["quantumTaskArn"], "shots": task["shots"], "deviceId": task["deviceArn"]},
            "additionalMetadata": {"action": task["action"], **told_more},
        }
    ).json()
    return str(text)


def quil(source: str) -> str:
    """A verbatim program in Rigetti's words."""
    lines = ["DECLARE ro BIT[8]", "PRAGMA PRESERVE_BLOCK"]
    for line in source.splitlines():
        if measured := re.fullmatch(r"b\[(\d+)\] = measure \$(\d+);", line):
            lines.append(f"MEASURE {measured[2]} ro[{measured[1]}]")
        elif gate := re.fullmatch(r"(\w+)(\(.*\))? (.*\$.*);", line):
            lines.append(f"{gate[1].upper()}{gate[2] or ''} {' '.join(re.findall('[0-9]+', gate[3]))}")
    return "\n".join([*lines, "HALT"])


COMPILED: dict[str, tuple[str, Callable[[str], str]]] = {"IQM": ("iqm", str), "Rigetti": ("rigetti", quil)}
"""Providers that tell what they ran: the name of their metadata, and how they write it."""


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Handler(BaseHTTPRequestHandler):
    """Braket's REST interface and the one of the tests."""

    service: Service
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""

    def _serve(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        path = unquote(self.path)
        with self.service.lock:
            if path.startswith("/admin/"):
                return self._reply(200, self._admin(path.removeprefix("/admin/"), body))
            operation, subject = self._operation(path)
            self.service.calls[operation] += 1
            fault = self.service.fault(operation)
            kind = fault.kind if fault else ""
            try:
                if kind in ERRORS:
                    raise Refusal(kind)
                answer = {} if kind == "close" else self._do(operation, subject, body, fails=kind == "fail")
                if kind == "accept_then_500":
                    raise Refusal("500")
            except Refusal as refusal:
                after = {"Retry-After": str(fault.retry_after_s)} if fault and fault.retry_after_s else {}
                return self._reply(
                    refusal.status, {"message": refusal.words}, {"x-amzn-ErrorType": refusal.code, **after}
                )
        if kind in ("close", "accept_then_close"):
            self.close_connection = True
            self.connection.shutdown(2)
            return None
        return self._reply(201 if operation == "CreateQuantumTask" else 200, answer)

    do_GET = do_POST = do_PUT = _serve  # noqa: N815 - the names that http.server looks for

    def _operation(self, path: str) -> tuple[str, str]:
        if path == "/quantum-tasks":
            return "SearchQuantumTasks", ""
        if path == "/devices":
            return "SearchDevices", ""
        if path.startswith("/device/"):
            return "GetDevice", path.removeprefix("/device/")
        arn = path.removeprefix("/quantum-task").removeprefix("/").partition("?")[0]
        if not arn:
            return "CreateQuantumTask", ""
        if self.command == "PUT":
            return "CancelQuantumTask", arn.removesuffix("/cancel")
        return "GetQuantumTask", arn

    def _do(self, operation: str, subject: str, body: dict[str, Any], *, fails: bool) -> dict[str, Any]:
        service = self.service
        if operation == "CreateQuantumTask":
            return service.create(body, fails=fails)
        if operation == "SearchQuantumTasks":
            return service.search(body)
        if operation == "SearchDevices":
            return {"devices": [_summary(service.device(arn)) for arn in DEVICES]}
        act = {"GetDevice": service.device, "CancelQuantumTask": service.cancel, "GetQuantumTask": service.get}
        return act[operation](subject)

    def _admin(self, command: str, body: Any) -> dict[str, Any]:
        service = self.service
        if command == "faults":
            service.faults += [Fault(**item) for item in (body if isinstance(body, list) else [body])]
        elif command == "set":
            for name, value in body.items():
                setattr(service, name, value)
        elif command == "reset":
            Handler.service = Service(service.s3)
            return {}
        return service.state()

    def _reply(self, status: int, answer: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in (
            {"Content-Type": "application/json", "Content-Length": str(len(content))} | (headers or {})
        ).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _summary(device: dict[str, Any]) -> dict[str, Any]:
    return {key: device[key] for key in ("deviceArn", "deviceName", "providerName", "deviceType", "deviceStatus")}


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    braket: str
    s3: str
    bucket: str

    def environment(self, cache: Path) -> dict[str, str]:
        """What the real client needs to buy there instead of at Amazon's; ``cache`` keeps what devices said."""
        return {
            "BRAKET_ENDPOINT": self.braket,
            "AWS_ENDPOINT_URL_S3": self.s3,
            "QORCH_BRAKET_S3": f"s3://{self.bucket}/results",
            "AWS_ACCESS_KEY_ID": "AKIAQORCHTESTS",
            "AWS_SECRET_ACCESS_KEY": "not-a-secret-but-looks-like-one",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(cache / "no-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(cache / "no-credentials"),
            "XDG_CACHE_HOME": str(cache),
        }

    def admin(self, command: str, body: Any = None) -> dict[str, Any]:
        """Speak to the server as its tests do."""
        data = None if command == "state" else json.dumps({} if body is None else body).encode()
        with urllib.request.urlopen(f"{self.braket}/admin/{command}", data=data, timeout=30) as answer:
            told: dict[str, Any] = json.loads(answer.read())
        return told


@contextmanager
def serving() -> Iterator[Address]:
    """A server in a process of its own, since numba's compiler and moto stay out of the tester's that way."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.servers.braket"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        yield Address(**json.loads(process.stdout.readline()))
        assert process.stdin is not None
        process.stdin.close()


def main() -> None:
    """Serve until standard input ends."""
    import boto3
    from moto.server import ThreadedMotoServer

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    port = parser.parse_args().port
    os.environ |= {"AWS_ACCESS_KEY_ID": "server", "AWS_SECRET_ACCESS_KEY": "server"}
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, s3_port = moto.get_host_and_port()
    s3_url = f"http://{host}:{s3_port}"
    s3 = boto3.client("s3", endpoint_url=s3_url, region_name="us-east-1")
    s3.create_bucket(Bucket=BUCKET)
    Handler.service = Service(s3)
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"braket": f"http://127.0.0.1:{server.server_port}", "s3": s3_url, "bucket": BUCKET}), flush=True)
    sys.stdin.read()
    os._exit(0)  # nothing here is worth the seconds that two servers take to stop


if __name__ == "__main__":
    main()
