"""IBM Quantum's processors, for real: qiskit-ibm-runtime's SamplerV2 behind the contract of faraway places.

``QORCH_IBM_BACKEND=ibm_torino,ibm_fez`` names the machines; each is a backend under IBM's own name of it. What it is
asked to run leaves this house: transpiled circuits, parameters, shots, and a tag with the purchase's id.

IBM takes no idempotency key. So a job is handed in once, tagged ``qorch-<purchase id>``; whatever the answer, it is
looked up by that tag before it is ever handed in again. IBM does not say how soon a new job is listed: an empty list
counts as proof only ``SETTLE_S`` after somebody began to look.

Not done: error mitigation, fractional gates, IBM's own transpiler. Verified against a server of the tests' own; the
live service has not been seen.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from backends import last_heard
from backends.backend import Availability, Device, TranspileOptions
from backends.energy import SUPERCONDUCTING_SYSTEM_POWER_W
from backends.errors import (
    CalibrationMissing,
    DeviceUnavailable,
    ExecutionFailed,
    OutcomeUnknown,
    Throttled,
    TransientFailure,
    UnknownBackend,
)
from backends.ibm_calibration import FRACTIONAL, parse_snapshot
from backends.ibm_jobs import to_delivery, to_pubs
from backends.ibm_service import Line
from backends.pricing import TARIFFS
from backends.remote import Delivery, RemoteState, RemoteStatus, Ticket
from backends.sdk import sdk_version
from backends.transpilation import transpile
from circuits.family import Run

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

MODES = ("job", "batch", "session")
"""Execution modes: each job by itself, jobs scheduled together, or the machine to oneself (billed by the clock)."""

SETTLE_S = 20.0
"""Seconds after which a job that IBM does not list was never accepted (ours; IBM states no bound)."""

_STATES = {
    "INITIALIZING": RemoteState.QUEUED,
    "QUEUED": RemoteState.QUEUED,
    "RUNNING": RemoteState.RUNNING,
    "DONE": RemoteState.DONE,
    "ERROR": RemoteState.FAILED,
    "CANCELLED": RemoteState.CANCELLED,
}


def __getattr__(name: str) -> Callable[[], IBMQuantum]:
    """The factory of the machine that IBM calls ``name``: the registry names machines that no list here could hold.

    Raises:
        UnknownBackend: no machine of IBM's can be called so.
    """
    if name.startswith("__"):
        raise AttributeError(name)
    if not re.fullmatch(r"[a-z][a-z0-9_-]{1,63}", name):
        raise UnknownBackend(
            f"QORCH_IBM_BACKEND: wanted names of IBM's machines such as ibm_torino, separated by commas, got {name!r}"
        )
    return partial(IBMQuantum, name)


class IBMQuantum:
    """One machine.

    Attributes:
        name: key in ``backends.BACKENDS``, and IBM's name of it.
    """

    def __init__(self, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Of the account and instance that QORCH_IBM_INSTANCE or the client's own settings say."""
        self.name = name
        self._clock = clock
        self._line = Line(name, os.environ.get("QORCH_IBM_INSTANCE") or None)
        self._session: Any = None
        self._session_of: Any = None
        self._missing_since: dict[str, float] = {}
        self._heard: tuple[int | None, Device | None] | None = None

    def device(self) -> Device:
        """As last refreshed, here or in another process of this user; offline if IBM was never asked."""
        when = last_heard.heard_when(self.name)
        if self._heard is None or self._heard[0] != when:
            self._heard = (when, last_heard.recall(self.name, Device))
        return self._heard[1] or _never_asked(self.name)

    def refresh(self) -> Device:
        """Ask for configuration, calibration and status.

        Raises:
            CalibrationMissing: IBM's documents lack something that is needed.
        """

        def describe(backend: Any) -> tuple[Any, Any, Any]:
            client = backend._api_client
            return (
                client.backend_configuration(self.name, refresh=True),
                client.backend_properties(self.name),
                client.backend_status(self.name),
            )

        documents = self._line.ask("asking for its calibration", describe)
        device = to_device(self.name, *documents, heard_at=time.time())
        self._line.ask("asking for its target", lambda backend: backend.refresh())  # the client checks circuits, too
        last_heard.keep(self.name, device)
        self._heard = (last_heard.heard_when(self.name), device)
        return device

    def warm_up(self) -> None:
        """Import the client and see that it finds an account. No network."""
        self._line.find_account()

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        """Transpile to the machine as last refreshed: IBM runs nothing else.

        Raises:
            DeviceUnavailable: it was never refreshed.
        """
        return transpile(self._known(), circuits, options)

    def submit(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], *, purchase_id: str, memory: bool = False
    ) -> Ticket:
        """Hand in all runs as one job, unless IBM has it already."""
        pubs = to_pubs(prepared, runs)
        most = self._known().max_shots
        for index, run in enumerate(runs):
            if most is not None and run.shots > most:
                raise ExecutionFailed(
                    f"{self.name} takes at most {most} shots a run, run {index} asks for {run.shots}: ask for fewer, "
                    "or share the shots among several jobs"
                )
        bought = self._listed(purchase_id)
        if bought is not None:
            return bought
        if purchase_id in self._missing_since:
            raise OutcomeUnknown(f"{self.name}: purchase {purchase_id} may have been accepted: look for it first")
        self._check_open()
        try:
            job_id = self._hand_in(pubs, _tag(purchase_id))
        except OutcomeUnknown:
            self._missing_since[purchase_id] = self._clock()
            raise
        return Ticket(purchase_id, (job_id,))

    def find(self, purchase_id: str, *, num_runs: int) -> Ticket | None:
        """Look for the job with the purchase's tag.

        Raises:
            Throttled: it is not listed, and it is too early to say that it never will be.
        """
        bought = self._listed(purchase_id)
        if bought is not None:
            self._missing_since.pop(purchase_id, None)
            return bought
        rest_s = self._missing_since.setdefault(purchase_id, self._clock()) + _settle_s() - self._clock()
        if rest_s > 0.0:
            raise Throttled(f"{self.name}: IBM does not list purchase {purchase_id} yet: look again", rest_s)
        del self._missing_since[purchase_id]
        return None

    def poll(self, ticket: Ticket) -> RemoteStatus:
        """How the job stands, and where in the queue."""

        def look(backend: Any) -> RemoteStatus:
            job = _job(backend, ticket)
            state = _STATES.get(job.status(), RemoteState.RUNNING)
            position = job.metrics().get("position_in_queue") if state is RemoteState.QUEUED else None
            return RemoteStatus(state, position, _reason(job) if state is RemoteState.FAILED else "")

        return self._line.ask(f"asking how job {ticket.remote_ids[0]} stands", look)

    def fetch(self, ticket: Ticket, runs: Sequence[Run], *, memory: bool = False) -> Delivery:
        """The job's counts and what IBM says about its time; ``compiled`` has the circuits as IBM stored them."""
        job_id = ticket.remote_ids[0]

        def take(backend: Any) -> Delivery:
            job = _job(backend, ticket)
            status = job.status()
            if status in ("ERROR", "CANCELLED"):
                raise ExecutionFailed(f"{self.name}: job {job_id} gave nothing: {_reason(job) or status.lower()}")
            if status != "DONE":
                raise TransientFailure(f"{self.name}: job {job_id} has not ended yet: it is {status.lower()}")
            return to_delivery(job.result(), job.inputs["pubs"], job.metrics(), runs, memory=memory)

        return self._line.ask(f"fetching job {job_id}", take)

    def cancel(self, ticket: Ticket) -> None:
        """Ask IBM to stop the job."""
        from qiskit_ibm_runtime.exceptions import RuntimeInvalidStateError

        def stop(backend: Any) -> None:
            try:
                _job(backend, ticket).cancel()
            except RuntimeInvalidStateError:
                return  # it has ended

        self._line.ask(f"cancelling job {ticket.remote_ids[0]}", stop)

    def _known(self) -> Device:
        device = self.device()
        if not device.num_qubits:
            raise DeviceUnavailable(device.availability.why)
        return device

    def _check_open(self) -> None:
        """Refuse what would be accepted and then lie there.

        Raises:
            DeviceUnavailable: the machine is down, or the plan's time is used up.
        """

        def look(backend: Any) -> tuple[Any, dict[str, Any]]:
            return backend.status(), backend.service.usage()

        status, usage = self._line.ask("asking for its status", look)
        if not status.operational:
            raise DeviceUnavailable(f"{self.name} takes no work now: IBM says {status.status_msg or 'offline'!r}")
        if usage.get("usage_limit_reached"):
            raise DeviceUnavailable(
                f"{self.name}: the time of this plan or instance is used up: see https://quantum.cloud.ibm.com/instances"
            )

    def _listed(self, purchase_id: str) -> Ticket | None:
        """The oldest job with the purchase's tag."""
        tag = _tag(purchase_id)

        def look(backend: Any) -> list[dict[str, Any]]:
            page = backend._api_client.jobs_get(limit=20, job_tags=[tag], descending=False)
            return [job for job in page["jobs"] if tag in job.get("tags", ())]

        jobs = self._line.ask(f"looking for purchase {purchase_id}", look)
        return Ticket(purchase_id, (jobs[0]["id"],)) if jobs else None

    def _hand_in(self, pubs: Sequence[tuple[Any, ...]], tag: str) -> str:
        """Id of the new job. What a session refuses may be the session's fault, so it is tried in a new one, too."""

        def run(backend: Any) -> str:
            from qiskit_ibm_runtime import SamplerV2

            sampler = SamplerV2(mode=self._mode(backend), options={"environment": {"job_tags": [tag]}})
            job_id: str = sampler.run(pubs).job_id()
            return job_id

        try:
            return self._line.hand_in("handing in a job", run)
        except (ExecutionFailed, TransientFailure) as error:  # either says that nothing was bought
            if self._session is None or isinstance(error, Throttled):
                raise
            self._session = None
            return self._line.hand_in("handing in a job", run)

    def _mode(self, backend: Any) -> Any:
        """The backend itself, or the session or batch that is open there; IBM closes one that is idle by itself."""
        from qiskit_ibm_runtime import Batch, Session

        mode = os.environ.get("QORCH_IBM_MODE") or "job"
        if mode not in MODES:
            raise ExecutionFailed(f"QORCH_IBM_MODE: wanted one of {', '.join(MODES)}, got {mode!r}")
        if mode == "job":
            return backend
        if self._session is None or self._session_of is not backend:
            self._session = (Session if mode == "session" else Batch)(backend=backend)
            self._session_of = backend
        return self._session


def to_device(
    name: str,
    configuration: Mapping[str, Any],
    properties: Mapping[str, Any],
    status: Mapping[str, Any],
    *,
    heard_at: float,
) -> Device:
    """IBM's three documents as our record; dead edges and fractional gates are left out.

    Args:
        name: of the machine.
        configuration: its gates and limits.
        properties: its calibration.
        status: as the client passes it on: operational, status_msg, pending_jobs.
        heard_at: seconds since the epoch.

    Raises:
        CalibrationMissing: a document lacks something that is needed; the message says what.
    """
    from qiskit.circuit.library import get_standard_gate_name_mapping

    known = get_standard_gate_name_mapping().keys() - FRACTIONAL  # the client offers them on request only
    try:
        snapshot = parse_snapshot(
            {**configuration, "basis_gates": [gate for gate in configuration["basis_gates"] if gate in known]},
            {**properties, "gates": [gate for gate in properties["gates"] if gate["gate"] in known]},
        )
        return Device(
            name=name,
            kind="qpu",
            num_qubits=snapshot.num_qubits,
            max_active_qubits=snapshot.num_qubits,
            basis_gates=snapshot.basis_gates,
            coupling=snapshot.coupling,
            clifford_only=False,
            dynamic=snapshot.dynamic,
            max_gates=None,
            calibration=snapshot.calibration,
            cost_curve=None,
            price=TARIFFS["ibm_pay_as_you_go"],
            power_w=SUPERCONDUCTING_SYSTEM_POWER_W,
            sdk_version=_sdk_version(name),
            warm_up_s=3.0,
            opt_in=True,
            max_shots=configuration.get("max_shots"),
            availability=_availability(status, heard_at),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CalibrationMissing(
            f"{name}: IBM's description of it cannot be read, {type(error).__name__}: {error}: try again later, or "
            "choose another machine"
        ) from error


def _availability(status: Mapping[str, Any], heard_at: float) -> Availability:
    """IBM says whether a machine is operational, in a word what it does, and how many jobs wait, of all users."""
    word = status["status_msg"]
    state = "offline" if not status["operational"] else "online" if word in ("active", "") else "paused"
    why = "" if state == "online" else f"IBM says {word!r}"
    return Availability(state, why, pending_jobs=int(status["pending_jobs"]), heard_at=heard_at)


def _never_asked(name: str) -> Device:
    """What is known of a machine that IBM was never asked about: nothing, so nothing can run there."""
    why = f"IBM was never asked about {name}: it has to be refreshed first"
    return last_heard.unheard(name, why, price=TARIFFS["ibm_pay_as_you_go"], sdk_version=_sdk_version(name))


def _sdk_version(name: str) -> str:
    return sdk_version(name, "qiskit_ibm_runtime", "qiskit-ibm-runtime", "ibm")


def _tag(purchase_id: str) -> str:
    return f"qorch-{purchase_id}"


def _settle_s() -> float:
    text = os.environ.get("QORCH_IBM_SETTLE_S") or str(SETTLE_S)
    try:
        settle_s = float(text)
    except ValueError:
        settle_s = math.nan
    if not 0.0 <= settle_s < math.inf:  # nothing is bought again on a wait that nobody understands
        raise TransientFailure(f"QORCH_IBM_SETTLE_S: wanted seconds >= 0, got {text!r}: correct it")
    return settle_s


def _job(backend: Any, ticket: Ticket) -> Any:
    """The client's own job object, made without asking for the backend again."""
    from qiskit_ibm_runtime import RuntimeJobV2

    job_id = ticket.remote_ids[0]
    return RuntimeJobV2(backend, backend._api_client, job_id, program_id="sampler", service=backend.service)


def _reason(job: Any) -> str:
    """IBM's words about a job that gave nothing."""
    return " ".join(str(job.error_message() or "").split())[:300]
