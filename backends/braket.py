"""QPUs behind Amazon Braket: one quantum task per run, bought once, asked after and fetched by anybody.

A task is bought by CreateQuantumTask, whose ``clientToken`` is Braket's idempotency key. amazon-braket-sdk makes a new
one in each call of ``AwsDevice.run`` unless it is given one below that, at ``AwsSession.create_quantum_task``, which is
where this module hands tasks in. The token follows from the purchase and the number of the run, so neither a message
that comes twice nor a new attempt can buy twice. boto3's own retries are off: an error then speaks of one request.

Credentials are boto3's own business: nothing here reads, keeps or prints them. The device of a backend is its ARN, by
default the one at the end of this file, else QORCH_<BACKEND>_ARN; results go where QORCH_BRAKET_S3 says.

Not used: hybrid jobs, reservations beyond what the SDK takes from its own environment, program sets, pulses.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from backends import last_heard
from backends.backend import REPETITION_S, Device, Execution, TranspileOptions
from backends.braket_compiled import expected_weight
from backends.braket_errors import REMEDY, in_our_words
from backends.braket_profile import Profile, read_profile
from backends.braket_program import bits_of, read_shots, write_program
from backends.errors import (
    BackendError,
    CalibrationMissing,
    CredentialsMissing,
    DeviceUnavailable,
    ExecutionFailed,
    OutcomeUnknown,
    TransientFailure,
)
from backends.pricing import TARIFFS
from backends.remote import Delivery, RemoteState, RemoteStatus, Ticket
from backends.sampling import bind, pool
from backends.schedule import schedule
from backends.sdk import sdk_version
from backends.transpilation import transpile
from circuits.family import Run

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

log = logging.getLogger(__name__)

CONNECT_S, READ_S = 10.0, 30.0
"""Patience with one request, seconds."""

PURCHASE_TAG, RUN_TAG, BITS_TAG, BUSY_TAG = "qorch:purchase", "qorch:run", "qorch:bits", "qorch:busy_s"
"""Tags of a task: purchase; "2/3" for the second run of three; bits measured into; how long its shots should take."""

_STATES = {
    "CREATED": RemoteState.QUEUED,
    "QUEUED": RemoteState.QUEUED,
    "RUNNING": RemoteState.RUNNING,
    "CANCELLING": RemoteState.RUNNING,  # it may still complete
    "COMPLETED": RemoteState.DONE,
    "FAILED": RemoteState.FAILED,
    "CANCELLED": RemoteState.CANCELLED,
}


@dataclass(frozen=True)
class _Order:
    """One task to buy."""

    number: int
    shots: int
    source: str
    bits: str
    busy_s: float


class Braket:
    """One QPU.

    Attributes:
        name: key in ``backends.BACKENDS``.
        arn: of the device; empty if none was named.
    """

    def __init__(self, name: str, *, arn: str, tariff: str) -> None:
        self.name = name
        self.arn = os.environ.get(f"QORCH_{name.upper()}_ARN", arn)
        self._price = TARIFFS[tariff]
        self._heard: tuple[int | None, Profile | None] = (None, None)

    # --- what is known of it ------------------------------------------------------------------------------------------

    def device(self) -> Device:
        """As last refreshed, by this process or another of this user; where it cannot serve, offline and the remedy."""
        version = sdk_version(self.name, "braket", "amazon-braket-sdk", "braket")
        profile, missing = self._profile(), self._missing()
        if missing or profile is None:
            why = missing or "it was never asked: refresh it with credentials for Amazon Braket"
            return last_heard.unheard(self.name, why, price=self._price, sdk_version=version)
        return profile.device

    def refresh(self) -> Device:
        """Ask GetDevice for calibration, price, hours, status and queue, and keep the answer."""
        with in_our_words(self.name):
            answer = self._session.get_device(self.arn)
        profile = read_profile(
            self.name,
            self.arn,
            answer,
            price=self._price,
            heard_at=time.time(),
            sdk_version=sdk_version(self.name, "braket", "amazon-braket-sdk", "braket"),
        )
        last_heard.keep(self.name, profile)
        self._heard = (last_heard.heard_when(self.name), profile)
        return self.device()

    def _profile(self) -> Profile | None:
        when = last_heard.heard_when(self.name)
        if when != self._heard[0]:
            self._heard = (when, last_heard.recall(self.name, Profile))
        profile = self._heard[1]
        return profile if profile is not None and profile.arn == self.arn else None

    def _known(self) -> Profile:
        """The profile.

        Raises:
            DeviceUnavailable: it cannot serve as it is set up, or was never asked.
        """
        profile, device = self._profile(), self.device()
        if profile is None or not device.num_qubits:
            raise DeviceUnavailable(f"{self.name}: {device.availability.why}")
        return profile

    def _missing(self) -> str:
        """What its user has not said yet, as a remedy."""
        if not _destination()[0]:
            return "set QORCH_BRAKET_S3 to where Amazon Braket may put results, as in s3://amazon-braket-yours/qorch"
        return self._nameless()

    def _nameless(self) -> str:
        if self.arn.startswith("arn:aws:braket:") and self.arn.count(":") >= 5:
            return ""
        return f"set QORCH_{self.name.upper()}_ARN to the ARN of a device of Amazon Braket, got {self.arn!r}"

    def warm_up(self) -> None:
        """Import the SDK and look for credentials, which boto3 may renew over the network."""
        with in_our_words(self.name):
            if self._session.boto_session.get_credentials() is None:
                raise CredentialsMissing(f"{self.name}: boto3 finds no credentials: {REMEDY}")

    @cached_property
    def _session(self) -> Any:
        self.device()  # raises the install command rather than an ImportError
        if self._nameless():
            raise ExecutionFailed(f"{self.name}: {self._nameless()}")
        import boto3
        from botocore.config import Config
        from braket.aws import AwsSession

        once = Config(retries={"total_max_attempts": 1}, connect_timeout=CONNECT_S, read_timeout=READ_S)
        with in_our_words(self.name):
            region = self.arn.split(":")[3] or os.environ.get("AWS_REGION")
            return AwsSession(boto_session=boto3.Session(region_name=region), config=once)

    # --- buying -------------------------------------------------------------------------------------------------------

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        """Transpile to its gates, and to its qubits with the smallest published errors."""
        return transpile(self._known().device, circuits, options)

    def submit(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], *, purchase_id: str, memory: bool = False
    ) -> Ticket:
        """Buy one task per run. What can be refused here is refused before the first is bought.

        Where the provider refuses a later run for good, the tasks before it are withdrawn, and the ticket has fewer ids
        than there are runs: it ends as failed.
        """
        orders = self._orders(self._known(), prepared, runs)
        arns: list[str] = []
        for order in orders:
            try:
                arns.append(self._buy(order, len(orders), purchase_id))
            except OutcomeUnknown:
                raise
            except ExecutionFailed as error:
                if arns:
                    log.warning("%s; the %d tasks before it are withdrawn", error, len(arns))
                    break
                if self.find(purchase_id, num_runs=len(orders)) is not None:  # a token that was used for other programs
                    raise OutcomeUnknown(f"{error}; but an earlier call has bought something: look for it") from error
                raise
            except BackendError as error:
                if not arns:
                    raise
                raise OutcomeUnknown(
                    f"{error}; {len(arns)} of {len(orders)} tasks are bought: "
                    "hand it in again under the same purchase id"
                ) from error
        ticket = Ticket(purchase_id, tuple(arns))
        if len(arns) < len(orders):
            try:
                self.cancel(ticket)
            except BackendError as error:  # they are paid for, and still the purchase ends as failed
                log.warning("%s was not withdrawn: %s", purchase_id, error)
        return ticket

    def _orders(self, profile: Profile, prepared: Sequence[QuantumCircuit], runs: Sequence[Run]) -> list[_Order]:
        """The tasks of a purchase, in the order of its runs.

        Raises:
            ExecutionFailed: more shots than the device takes, or a run that does not fit its circuit.
        """
        device = profile.device
        pool(prepared, runs)  # raises for a run that names no circuit, no shots or the wrong parameters
        orders = []
        for number, run in enumerate(runs):
            if device.max_shots is not None and run.shots > device.max_shots:
                raise ExecutionFailed(
                    f"{self.name}: wanted at most {device.max_shots} shots in one run, got {run.shots}: "
                    "submit several jobs of fewer shots"
                )
            circuit = bind(prepared[run.circuit], run.parameters)
            if circuit.num_qubits != device.num_qubits:
                raise ExecutionFailed(
                    f"{self.name}: wanted a circuit prepared for its {device.num_qubits} qubits of now, got one for "
                    f"{circuit.num_qubits}: prepare it again"
                )
            source = write_program(circuit, profile.labels if profile.verbatim else None)
            busy_s = run.shots * self._shot_s(device, circuit)
            orders.append(_Order(number, run.shots, source, bits_of(circuit), busy_s))
        return orders

    @staticmethod
    def _shot_s(device: Device, circuit: QuantumCircuit) -> float:
        """Seconds of one shot: published or nominal durations, and the pause between shots (ours: it tells none)."""
        if device.calibration is None:
            raise CalibrationMissing(f"{device.name}: wanted a calibrated device: refresh it")
        return schedule(circuit, device.calibration).duration_s + REPETITION_S

    def _buy(self, order: _Order, num_orders: int, purchase_id: str) -> str:
        from braket.ir.openqasm import Program

        bucket, prefix = _destination()
        with in_our_words(self.name, buying=True):
            try:
                arn: str = self._session.create_quantum_task(
                    clientToken=client_token(purchase_id, order.number),
                    deviceArn=self.arn,
                    shots=order.shots,
                    outputS3Bucket=bucket,
                    outputS3KeyPrefix=prefix,
                    action=Program(source=order.source).json(),
                    tags={
                        PURCHASE_TAG: purchase_id,
                        RUN_TAG: f"{order.number + 1}/{num_orders}",
                        BITS_TAG: order.bits,
                        BUSY_TAG: f"{order.busy_s:.9f}",
                    },
                )
            except KeyError as error:
                raise OutcomeUnknown(f"{self.name}: Amazon Braket took a task and its answer has no ARN") from error
        return arn

    def find(self, purchase_id: str, *, num_runs: int) -> Ticket | None:
        """Look through all tasks of this device for the purchase's tag.

        SearchQuantumTasks cannot filter by tag, but tells the tags of what it finds. Whether a task shows up there at
        once is not documented: what was not found is safe to hand in again under the same purchase id, and no other.
        """
        found: dict[int, str] = {}
        filters = [{"name": "deviceArn", "operator": "EQUAL", "values": [self.arn]}]
        with in_our_words(self.name):
            client = self._session.braket_client
            for page in client.get_paginator("search_quantum_tasks").paginate(filters=filters):
                for task in page["quantumTasks"]:
                    if task.get("tags", {}).get(PURCHASE_TAG) == purchase_id:
                        found[_number(task)] = task["quantumTaskArn"]
                if len(found) >= num_runs:
                    break
        return Ticket(purchase_id, tuple(found[number] for number in sorted(found))) if found else None

    # --- what became of it --------------------------------------------------------------------------------------------

    def poll(self, ticket: Ticket) -> RemoteStatus:
        """Final only when every task is, so that nothing is left running that nobody asks for."""
        tasks = [self._task(arn) for arn in ticket.remote_ids]
        states = [_STATES[task["status"]] for task in tasks]
        positions = [task.get("queueInfo", {}).get("position", "") for task in tasks]
        digits = ["".join(filter(str.isdigit, position)) for position in positions]  # ">2000" of a long queue
        open_states = [state for state in states if state in (RemoteState.QUEUED, RemoteState.RUNNING)]
        if open_states:
            started = len(open_states) < len(states) or RemoteState.RUNNING in open_states
            state = RemoteState.RUNNING if started else RemoteState.QUEUED
            return RemoteStatus(state, position=max((int(text) for text in digits if text), default=None))
        told = [task["failureReason"] for task in tasks if task.get("failureReason")]
        wanted = _num_runs(tasks[0])
        if len(tasks) < wanted:
            told.append(f"{self.name} took {len(tasks)} of {wanted} runs and refused the next; they were withdrawn")
            states.append(RemoteState.FAILED)
        ends = (RemoteState.FAILED, RemoteState.CANCELLED)
        state = next((end for end in ends if end in states), RemoteState.DONE)
        return RemoteStatus(state, message="; ".join(dict.fromkeys(told)))

    def fetch(self, ticket: Ticket, runs: Sequence[Run], *, memory: bool = False) -> Delivery:
        """Read the results from S3.

        Braket tells when a task was made and when it ended, and nothing in between: the time the device was busy is
        that of the scheduled shots, and the rest is the wait.
        """
        if len(ticket.remote_ids) != len(runs):
            raise ExecutionFailed(
                f"{self.name}: wanted {len(runs)} tasks, got a ticket of {len(ticket.remote_ids)}: the rest was refused"
            )
        tasks = [self._task(arn) for arn in ticket.remote_ids]
        results = [self._result(task) for task in tasks]
        shots = [_shots(task, result) for task, result in zip(tasks, results, strict=True)]
        busy_s = sum(float(task["tags"].get(BUSY_TAG, 0.0)) for task in tasks)
        ends: list[datetime] = [task["endedAt"] for task in tasks]
        taken_s = (max(ends) - min(task["createdAt"] for task in tasks)).total_seconds()
        execution = Execution(
            counts=tuple(dict(Counter(outcomes)) for outcomes in shots),
            run_s=busy_s,
            memory=tuple(shots) if memory else None,
            method="amazon braket",
            device_s=busy_s,
            queue_s=max(0.0, taken_s - busy_s),
        )
        compiled = [result.get_compiled_circuit() or "" for result in results]
        as_openqasm = all(text.lstrip().startswith("OPENQASM") for text in compiled)  # Rigetti answers in Quil
        profile = self._profile()
        weights = [expected_weight(text, profile.labels, profile.device) for text in compiled] if profile else None
        return Delivery(
            execution,
            compiled=tuple(compiled) if as_openqasm else None,
            weights=None if weights is None else tuple(weights),
        )

    def cancel(self, ticket: Ticket) -> None:
        """Withdraw every task that has not ended; the first error is told after all were tried."""
        errors: list[BackendError] = []
        for arn in ticket.remote_ids:
            try:
                with in_our_words(self.name):
                    self._withdraw(arn)
            except BackendError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _withdraw(self, arn: str) -> None:
        from botocore.exceptions import ClientError

        try:
            self._session.cancel_quantum_task(arn)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ConflictException":  # it has ended, or is about to
                raise

    def _task(self, arn: str) -> dict[str, Any]:
        with in_our_words(self.name):
            client = self._session.braket_client  # the SDK's own get_quantum_task waits and asks again when throttled
            found: dict[str, Any] = client.get_quantum_task(quantumTaskArn=arn, additionalAttributeNames=["QueueInfo"])
        return found

    def _result(self, task: dict[str, Any]) -> Any:
        """The SDK's record of what one task gave.

        Raises:
            ExecutionFailed: it gave nothing.   TransientFailure: it has not ended.
        """
        from braket.schema_common import BraketSchemaBase
        from braket.tasks import GateModelQuantumTaskResult

        arn, state = task["quantumTaskArn"], _STATES[task["status"]]
        if state in (RemoteState.FAILED, RemoteState.CANCELLED):
            raise ExecutionFailed(
                f"{self.name}: {arn} is {task['status']}: {task.get('failureReason', 'no more is said')}"
            )
        if state is not RemoteState.DONE:
            raise TransientFailure(f"{self.name}: {arn} has not ended: ask again later")
        bucket, key = task["outputS3Bucket"], f"{task['outputS3Directory']}/results.json"
        with in_our_words(self.name):
            text = self._session.retrieve_s3_object_body(bucket, key)
        try:
            result = GateModelQuantumTaskResult.from_object(BraketSchemaBase.parse_raw_schema(text))
        except (ValueError, TypeError, AttributeError) as error:
            raise ExecutionFailed(
                f"{self.name}: wanted the result of a gate-model task in s3://{bucket}/{key}, got "
                f"{type(error).__name__}: look at the file"
            ) from error
        if result.measurements is None or result.additional_metadata.action is None:
            raise ExecutionFailed(
                f"{self.name}: s3://{bucket}/{key} holds no measurements, or not the program they are of"
            )
        return result


def client_token(purchase_id: str, number: int) -> str:
    """Braket's idempotency key of one run of a purchase: 64 characters, the most that it takes."""
    return hashlib.sha256(f"qorch purchase {purchase_id} run {number}".encode()).hexdigest()


def _destination() -> tuple[str, str]:
    """Bucket and prefix of results: ours, else the SDK's own setting. No bucket is ever made. Empty: none was named."""
    location = os.environ.get("QORCH_BRAKET_S3") or os.environ.get("AMZN_BRAKET_OUT_S3_BUCKET", "")
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    return bucket, prefix.strip("/") or "qorch"


def _shots(task: dict[str, Any], result: Any) -> tuple[str, ...]:
    """Every outcome of one task, in Qiskit's order."""
    bits = task.get("tags", {}).get(BITS_TAG)
    if bits is None:
        raise ExecutionFailed(f"wanted a task that was bought here, got {task['quantumTaskArn']}, which has other tags")
    source = result.additional_metadata.action.source
    return read_shots(source, bits, result.measurements.tolist(), result.measured_qubits)


def _number(task: dict[str, Any]) -> int:
    """Which run of its purchase a task is."""
    return int(task["tags"][RUN_TAG].partition("/")[0]) - 1


def _num_runs(task: dict[str, Any]) -> int:
    """How many runs its purchase has."""
    return int(task.get("tags", {}).get(RUN_TAG, "1/1").partition("/")[2])


# ARNs and regions: second-hand, Amazon Braket's developer guide; QORCH_<BACKEND>_ARN replaces them.
_IQM = "arn:aws:braket:eu-north-1::device/qpu/iqm"
_RIGETTI = "arn:aws:braket:us-west-1::device/qpu/rigetti"
_IONQ = "arn:aws:braket:us-east-1::device/qpu/ionq"

garnet = partial(Braket, "braket_garnet", arn=f"{_IQM}/Garnet", tariff="braket_iqm_garnet")
"""IQM Garnet: 20 qubits."""
emerald = partial(Braket, "braket_emerald", arn=f"{_IQM}/Emerald", tariff="braket_qpu")
"""IQM Emerald: 54 qubits."""
ankaa = partial(Braket, "braket_ankaa", arn=f"{_RIGETTI}/Ankaa-3", tariff="braket_rigetti_ankaa")
"""Rigetti Ankaa-3: 82 qubits."""
forte = partial(Braket, "braket_forte", arn=f"{_IONQ}/Forte-1", tariff="braket_ionq_forte")
"""IonQ Forte: 36 ions, each of which can meet each."""
any_qpu = partial(Braket, "braket_qpu", arn="", tariff="braket_qpu")
"""Whatever QPU of these makers QORCH_BRAKET_QPU_ARN names."""
