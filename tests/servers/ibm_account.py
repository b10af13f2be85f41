"""What IBM keeps: machines, jobs, sessions. Plain state behind one lock; no HTTP."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from threading import Lock, RLock
from typing import Any

import jwt

CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/0123456789abcdef:01234567-89ab-cdef-0123-456789abcdef::"
API_KEY = "the-api-key-of-the-tests"
FINAL = ("Completed", "Failed", "Cancelled")


def stamp(seconds: float) -> str:
    """A moment as IBM writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass
class Machine:
    """One device: its published documents and its state of the moment."""

    name: str
    configuration: dict[str, Any]
    properties: dict[str, Any]
    operational: bool = True
    status: str = "active"
    pending_jobs: int = 3
    queue_s: float = 0.0
    run_s: float = 0.0


def machine(name: str) -> Machine:
    """A machine with the calibration that qiskit-ibm-runtime carries of it: ``ibm_hanoi`` is its ``hanoi``."""
    spec = find_spec("qiskit_ibm_runtime")
    assert spec is not None
    assert spec.submodule_search_locations
    short = name.removeprefix("ibm_")
    folder = Path(spec.submodule_search_locations[0], "fake_provider", "backends", short)
    configuration, properties = (
        json.loads((folder / f"{kind}_{short}.json").read_text(encoding="utf-8")) | {"backend_name": name}
        for kind in ("conf", "props")
    )
    return Machine(name, configuration, properties)


@dataclass
class Job:
    """What was handed in. ``params`` are as they came: nothing is decoded before the job runs."""

    id: str
    machine: str
    params: Any
    tags: list[str]
    session_id: str | None
    created: float
    begins: float
    ends: float
    status: str = "Queued"
    reason: str = ""
    reason_code: int | None = None
    result: str | None = None
    simulating: Lock = field(default_factory=Lock)


class Refusal(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Account:
    """One instance of the service with its machines. Every accepted job is a purchase."""

    def __init__(self, names: list[str], tokens: set[str]) -> None:
        """With these machines and access tokens."""
        self.lock = RLock()
        self.machines = {name: machine(name) for name in names}
        self.jobs: dict[str, Job] = {}
        self.sessions: dict[str, dict[str, Any]] = {}
        self.hold = False
        self.fail_next = 0
        self.key_is_good = True
        self.used_up = False
        self.tokens = tokens

    def token(self, api_key: str) -> str:
        """What an API key is exchanged for."""
        if not self.key_is_good or api_key != API_KEY:
            raise Refusal(400, 0, "Provided API key could not be found.")
        claims = {"iat": int(time.time()), "exp": int(time.time()) + 3600, "jti": uuid.uuid4().hex}
        made = jwt.encode(claims, "a key that is long enough for the tests", algorithm="HS256")
        self.tokens.add(made)
        return made

    def accept(self, body: dict[str, Any]) -> Job:
        """Buy."""
        with self.lock:
            where = self._machine(body["backend"])
            self._open_session(body.get("session_id"))
            now = time.time()
            begins = now + where.queue_s
            job = Job(
                id=uuid.uuid4().hex[:20],
                machine=where.name,
                params=body["params"],
                tags=list(body.get("tags", ())),
                session_id=body.get("session_id"),
                created=now,
                begins=begins,
                ends=begins + where.run_s,
            )
            if self.fail_next > 0:
                self.fail_next -= 1
                job.status, job.reason, job.reason_code = "Failed", "The machine lost its cooling.", 9999
            self.jobs[job.id] = job
            return job

    def look(self, job_id: str) -> Job:
        """A job, as far as it has come by now."""
        with self.lock:
            job = self.jobs.get(job_id)
            if job is None:
                raise Refusal(404, 1291, f"Job not found. Job ID: {job_id}")
            now = time.time()
            if job.status not in FINAL and not self.hold:
                job.status = "Completed" if now >= job.ends else "Running" if now >= job.begins else "Queued"
            return job

    def cancel(self, job_id: str) -> None:
        with self.lock:
            job = self.look(job_id)
            if job.status in FINAL:
                raise Refusal(409, 1293, f"Job is already in a final state: {job.status}")
            job.status, job.ends = "Cancelled", time.time()

    def open_session(self, body: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            self._machine(body["backend"])
            session = {
                "id": uuid.uuid4().hex[:16],
                "backend_name": body["backend"],
                "mode": body["mode"],
                "state": "open",
                "accepting_jobs": True,
                "elapsed_time": 0,
            }
            self.sessions[str(session["id"])] = session
            return session

    def session(self, session_id: str) -> dict[str, Any]:
        with self.lock:
            if session_id not in self.sessions:
                raise Refusal(404, 1219, "Session not found.")
            return self.sessions[session_id]

    def close_session(self, session_id: str) -> None:
        self.session(session_id).update(state="closed", accepting_jobs=False)

    def result(self, job: Job) -> str:
        """What came out, simulated the first time somebody asks."""
        if job.status == "Failed":
            return job.reason
        if job.status != "Completed":
            raise Refusal(404, 1294, "Job results not found.")
        with job.simulating:
            if job.result is None:
                job.result = simulate(job.params)
            return job.result

    def metrics(self, job: Job) -> dict[str, Any]:
        with self.lock:
            waiting = sorted((each for each in self.jobs.values() if each.status == "Queued"), key=lambda j: j.created)
            began = job.status in ("Running", "Completed")
            ended = job.status in FINAL
            return {
                "timestamps": {
                    "created": stamp(job.created),
                    "running": stamp(job.begins) if began else None,
                    "finished": stamp(job.ends) if ended else None,
                },
                "position_in_queue": waiting.index(job) + 1 if job in waiting else None,
                "usage": {"quantum_seconds": round(job.ends - job.begins + 0.5, 3) if job.status == "Completed" else 0},
            }

    def report(self) -> dict[str, Any]:
        """What an examiner wants to know: ``doubles`` are purchases that were made more than once."""
        with self.lock:
            bought = Counter(tag for job in self.jobs.values() for tag in job.tags)
            return {
                "num_jobs": len(self.jobs),
                "purchases": bought,
                "doubles": {tag: number for tag, number in bought.items() if number > 1},
                "jobs": [
                    {"id": job.id, "status": self.look(job.id).status, "tags": job.tags, "session_id": job.session_id}
                    for job in self.jobs.values()
                ],
                "sessions": list(self.sessions.values()),
            }

    def _machine(self, name: str) -> Machine:
        if name not in self.machines:
            raise Refusal(404, 1231, f"Backend {name} not found.")
        return self.machines[name]

    def _open_session(self, session_id: str | None) -> None:
        if session_id is not None and not self.session(session_id)["accepting_jobs"]:
            raise Refusal(400, 1217, "Session is not accepting jobs.")


def simulate(params: Any) -> str:
    """Run a sampler's job without noise, and write its result as IBM does."""
    from qiskit.primitives import BackendSamplerV2
    from qiskit_aer import AerSimulator
    from qiskit_ibm_runtime.utils.json import RuntimeDecoder, RuntimeEncoder

    pubs = json.loads(json.dumps(params), cls=RuntimeDecoder)["pubs"]
    sampler = BackendSamplerV2(backend=AerSimulator(max_parallel_threads=1))
    return json.dumps(sampler.run([tuple(pub) for pub in pubs]).result(), cls=RuntimeEncoder)
