"""Amazon Braket at protocol level: the real client buys from a server of this machine, which also breaks its word."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Parameter

import backends
from backends import last_heard
from backends.backend import TranspileOptions
from backends.braket import Braket, client_token
from backends.calibration import survival
from backends.errors import (
    CredentialsMissing,
    CredentialsRefused,
    DeviceUnavailable,
    ExecutionFailed,
    OutcomeUnknown,
    Throttled,
    TransientFailure,
    UnsupportedCircuit,
)
from backends.remote import RemoteBackend, RemoteState, Ticket
from circuits.counts import hellinger_fidelity
from circuits.family import Run
from tests.servers.braket import Address, serving
from tests.servers.braket_devices import GARNET

ROOT = Path(__file__).parents[2]
QPUS = ["braket_garnet", "braket_ankaa", "braket_forte"]


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    with serving() as found:
        yield found


@pytest.fixture
def service(address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Address:
    """A service that remembers nothing, and an environment in which boto3 finds it and nobody's real credentials."""
    address.admin("reset")
    for name in [name for name in os.environ if name.startswith(("AWS_", "AMZN_", "QORCH_BRAKET"))]:
        monkeypatch.delenv(name)
    for name, value in address.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    return address


@pytest.fixture(scope="module")
def customer() -> Braket:
    """One for all tests: boto3 takes its time to make a client."""
    made = backends.load("braket_garnet")
    assert isinstance(made, Braket)
    return made


@pytest.fixture
def garnet(service: Address, customer: Braket) -> Braket:
    customer.refresh()
    return customer


def bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def buy(qpu: Braket, purchase_id: str, *runs: Run) -> Ticket:
    return qpu.submit(qpu.prepare([bell()], TranspileOptions()), runs, purchase_id=purchase_id)


def fault(service: Address, kind: str, operation: str = "CreateQuantumTask", **more: Any) -> None:
    service.admin("faults", {"operation": operation, "kind": kind, **more})


# --- what is bought ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", QPUS)
def test_each_makers_device_runs_what_it_was_sent(service: Address, name: str) -> None:
    """The emulator behind the server refuses gates, pairs and qubits that the device does not have."""
    qpu = backends.load(name)
    assert isinstance(qpu, RemoteBackend)
    qpu.refresh()
    theta = Parameter("theta")
    turned = QuantumCircuit(3, 4)
    turned.ry(theta, 0)
    turned.ccx(0, 1, 2)
    turned.x(1)
    turned.measure([0, 1], [3, 0])
    prepared = qpu.prepare([bell(), turned], TranspileOptions())
    runs = [Run(300), Run(100, 1, {"theta": 0.0}), Run(100, 1, {"theta": 3.141592653589793})]
    ticket = qpu.submit(prepared, runs, purchase_id="p")
    assert len(ticket.remote_ids) == 3
    assert qpu.poll(ticket).state is RemoteState.DONE
    done = qpu.fetch(ticket, runs, memory=True)
    assert [sum(counts.values()) for counts in done.execution.counts] == [300, 100, 100]
    assert hellinger_fidelity(done.execution.counts[0], {"00": 0.5, "11": 0.5}) > 0.85
    assert [max(counts, key=counts.__getitem__) for counts in done.execution.counts[1:]] == ["0001", "1001"]
    assert done.execution.memory is not None
    assert len(done.execution.memory[0]) == 300
    assert done.execution.device_s is not None
    assert 0 < done.execution.device_s < 10
    assert done.execution.queue_s is not None
    weights = done.weights
    assert weights is not None
    if name == "braket_forte":
        assert weights == (None, None, None), "IonQ does not tell what it ran"
    else:
        bare = prepared[0].copy_empty_like()  # barriers are not sent
        bare.data = [item for item in prepared[0].data if item.name != "barrier"]
        assert weights[0] == pytest.approx(survival(bare, qpu.device()).weight)
        assert weights[1] is not None
        assert weights[0] > weights[1] == weights[2], "more gates, more errors"
    if name == "braket_garnet":
        assert done.compiled is not None
        assert done.compiled[0].startswith("OPENQASM 3.0;")
    assert done.billed_usd is None  # Braket does not say


def test_handing_in_again_buys_nothing(garnet: Braket, service: Address) -> None:
    first = buy(garnet, "p", Run(10), Run(20))
    assert buy(garnet, "p", Run(10), Run(20)) == first
    assert service.admin("state")["bought"] == {"p 1/2": 1, "p 2/2": 1}
    assert buy(garnet, "q", Run(10), Run(20)).remote_ids != first.remote_ids


def test_tokens_differ_by_purchase_and_run_and_fit_what_braket_takes() -> None:
    tokens = {client_token(purchase, number) for purchase in ("p", "q", "p" * 200) for number in range(20)}
    assert len(tokens) == 60
    assert all(len(token) == 64 for token in tokens)


@pytest.mark.parametrize("kind", ["accept_then_500", "accept_then_close", "close", "500", "503"])
def test_a_lost_answer_is_looked_for_before_anything_is_sent_again(garnet: Braket, service: Address, kind: str) -> None:
    fault(service, kind)
    with pytest.raises(OutcomeUnknown):
        buy(garnet, "p", Run(10))
    found = garnet.find("p", num_runs=1)
    assert (found is not None) == kind.startswith("accept")
    ticket = buy(garnet, "p", Run(10))
    assert found in (None, ticket)
    assert service.admin("state")["bought"] == {"p 1/1": 1}


FAULTS = st.sampled_from(["accept_then_500", "accept_then_close", "close", "500", "throttle", "offline", "quota"])


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.lists(FAULTS, max_size=6), num_runs=st.integers(1, 3))
def test_whatever_goes_wrong_each_run_is_bought_once(
    garnet: Braket, service: Address, kinds: list[str], num_runs: int
) -> None:
    service.admin("reset")
    service.admin("faults", [{"operation": "CreateQuantumTask", "kind": kind} for kind in kinds])
    prepared = garnet.prepare([bell()], TranspileOptions())
    doubtful = False
    for _ in range(len(kinds) + 1):
        try:
            ticket = garnet.submit(prepared, [Run(10)] * num_runs, purchase_id="p")
            break
        except OutcomeUnknown:
            doubtful = True
            found = garnet.find("p", num_runs=num_runs)
            if found is not None and len(found.remote_ids) == num_runs:
                ticket = found
                break
        except TransientFailure:
            assert doubtful or garnet.find("p", num_runs=num_runs) is None, "it said that nothing was bought"
    bought = service.admin("state")["bought"]
    assert bought == {f"p {number + 1}/{num_runs}": 1 for number in range(num_runs)}
    assert ticket == garnet.find("p", num_runs=num_runs)


def test_another_program_under_a_purchase_that_was_made_is_no_refusal(garnet: Braket, service: Address) -> None:
    """The provider refuses it; to say that nothing was bought would have it bought a second time elsewhere."""
    first = buy(garnet, "p", Run(10))
    with pytest.raises(OutcomeUnknown, match="an earlier call has bought something"):
        buy(garnet, "p", Run(11))
    assert garnet.find("p", num_runs=1) == first
    assert len(service.admin("state")["tasks"]) == 1


def test_two_workers_with_one_purchase_at_once_buy_it_once(garnet: Braket, service: Address) -> None:
    """A message that comes twice."""
    prepared = garnet.prepare([bell()], TranspileOptions())
    workers = [backends.load("braket_garnet") for _ in range(3)]
    with ThreadPoolExecutor(len(workers)) as together:
        tickets = list(together.map(lambda qpu: qpu.submit(prepared, [Run(5), Run(6)], purchase_id="p"), workers))
    assert len(set(tickets)) == 1
    assert service.admin("state")["bought"] == {"p 1/2": 1, "p 2/2": 1}


def test_a_circuit_of_an_earlier_device_is_not_sent(garnet: Braket, service: Address) -> None:
    """Qubits come and go with the calibration: by number alone it would run elsewhere than it was fitted to."""
    other = QuantumCircuit(21, 1)
    other.measure(0, 0)
    with pytest.raises(ExecutionFailed, match="20 qubits of now, got one for 21: prepare it again"):
        garnet.submit([other], [Run(1)], purchase_id="p")


def test_a_purchase_is_found_on_a_later_page_and_in_the_order_of_its_runs(garnet: Braket, service: Address) -> None:
    service.admin("set", {"page": 2})
    ticket = buy(garnet, "p", Run(1), Run(2), Run(3))
    buy(garnet, "other", *[Run(1)] * 4)
    assert garnet.find("p", num_runs=3) == ticket
    assert garnet.find("nobody's", num_runs=1) is None


@pytest.mark.parametrize("withdrawal", ["none", "500"])
def test_a_later_run_refused_for_good_withdraws_the_earlier_ones(
    garnet: Braket, service: Address, withdrawal: str
) -> None:
    fault(service, "none")
    fault(service, "invalid")
    fault(service, withdrawal, "CancelQuantumTask")
    service.admin("set", {"queue_s": 3600.0 if withdrawal == "none" else 0.0})
    ticket = buy(garnet, "p", Run(1), Run(2), Run(3))
    assert len(ticket.remote_ids) == 1
    status = garnet.poll(ticket)
    assert status.state is RemoteState.FAILED
    assert "took 1 of 3 runs" in status.message
    with pytest.raises(ExecutionFailed, match="wanted 3 tasks"):
        garnet.fetch(ticket, [Run(1), Run(2), Run(3)])
    [task] = service.admin("state")["tasks"].values()
    assert task["status"] == ("CANCELLED" if withdrawal == "none" else "COMPLETED")


# --- another process --------------------------------------------------------------------------------------------------

BUYER = """
import os, signal
from qiskit import QuantumCircuit
import backends
from backends.backend import TranspileOptions
from circuits.family import Run

qpu = backends.load("braket_garnet")
circuit = QuantumCircuit(1, 1)
circuit.x(0)
circuit.measure(0, 0)
qpu.submit(qpu.prepare([circuit], TranspileOptions()), [Run(50), Run(60)], purchase_id="p")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_bought_is_found_and_fetched_by_another(garnet: Braket, service: Address) -> None:
    """It dies between the provider's answer and the moment at which anybody could have written the ticket down."""
    done = subprocess.run([sys.executable, "-c", BUYER], cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    ticket = garnet.find("p", num_runs=2)
    assert ticket is not None
    assert garnet.poll(ticket).state is RemoteState.DONE
    counts = garnet.fetch(ticket, [Run(50), Run(60)]).execution.counts
    assert [sum(of.values()) for of in counts] == [50, 60]
    assert counts[0]["1"] > 40
    assert service.admin("state")["doubles"] == {}


# --- what became of it ------------------------------------------------------------------------------------------------


def test_waiting_is_told_with_its_place_and_cancelling_reaches_the_provider(garnet: Braket, service: Address) -> None:
    service.admin("set", {"queue_s": 3600.0})
    ticket = buy(garnet, "p", Run(10), Run(10))
    status = garnet.poll(ticket)
    assert (status.state, status.position) == (RemoteState.QUEUED, 3)
    with pytest.raises(TransientFailure, match="has not ended"):
        garnet.fetch(ticket, [Run(10), Run(10)])
    garnet.cancel(ticket)
    garnet.cancel(ticket)  # what has ended stays as it is
    assert garnet.poll(ticket).state is RemoteState.CANCELLED
    assert {task["status"] for task in service.admin("state")["tasks"].values()} == {"CANCELLED"}


def test_a_failed_task_ends_in_the_providers_words(garnet: Braket, service: Address) -> None:
    fault(service, "fail")
    ticket = buy(garnet, "p", Run(10), Run(10))
    status = garnet.poll(ticket)
    assert (status.state, status.message) == (RemoteState.FAILED, "The device lost its lock")
    with pytest.raises(ExecutionFailed, match="lost its lock"):
        garnet.fetch(ticket, [Run(10), Run(10)])


def test_nothing_is_final_while_one_task_is_still_open(garnet: Braket, service: Address) -> None:
    fault(service, "fail")
    first = buy(garnet, "p", Run(10))
    service.admin("set", {"queue_s": 3600.0})
    second = buy(garnet, "q", Run(10))
    both = Ticket("p", first.remote_ids + second.remote_ids)
    garnet.poll(first)
    assert garnet.poll(both).state is RemoteState.RUNNING


# --- errors -----------------------------------------------------------------------------------------------------------


def test_throttling_tells_for_how_long(garnet: Braket, service: Address) -> None:
    fault(service, "throttle", retry_after_s=7)
    with pytest.raises(Throttled, match="Rate exceeded") as caught:
        buy(garnet, "p", Run(10))
    assert caught.value.retry_after_s == 7.0
    fault(service, "throttle", "GetQuantumTask")
    ticket = buy(garnet, "p", Run(10))
    with pytest.raises(Throttled) as caught:
        garnet.poll(ticket)
    assert caught.value.retry_after_s is None
    assert service.admin("state")["calls"]["GetQuantumTask"] == 1, "the client does not retry by itself"


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("denied", CredentialsRefused, "aws configure"),
        ("expired", CredentialsRefused, "aws sso login"),
        ("offline", DeviceUnavailable, "offline"),
        ("retired", ExecutionFailed, "retired"),
        ("quota", TransientFailure, "quota raised"),
        ("invalid", ExecutionFailed, "not supported"),
    ],
)
def test_a_refusal_has_its_class_and_buys_nothing(
    garnet: Braket, service: Address, kind: str, error: type[Exception], words: str
) -> None:
    fault(service, kind)
    with pytest.raises(error, match=words):
        buy(garnet, "p", Run(10))
    assert garnet.find("p", num_runs=1) is None
    assert service.admin("state")["tasks"] == {}


@pytest.mark.parametrize("operation", ["GetDevice", "GetQuantumTask", "SearchQuantumTasks", "CancelQuantumTask"])
@pytest.mark.parametrize("kind", ["500", "close"])
def test_a_question_without_an_answer_may_be_asked_again(
    garnet: Braket, service: Address, operation: str, kind: str
) -> None:
    ticket = buy(garnet, "p", Run(10))
    ask = {
        "GetDevice": garnet.refresh,
        "GetQuantumTask": lambda: garnet.poll(ticket),
        "SearchQuantumTasks": lambda: garnet.find("p", num_runs=1),
        "CancelQuantumTask": lambda: garnet.cancel(ticket),
    }[operation]
    fault(service, kind, operation)
    with pytest.raises(TransientFailure):
        ask()
    ask()


def test_missing_credentials_name_the_places_where_boto3_looks(
    service: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    qpu = backends.load("braket_garnet")
    for ask in (qpu.warm_up, qpu.refresh):
        with pytest.raises(CredentialsMissing, match="aws configure"):
            ask()
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(CredentialsMissing, match="ProfileNotFound"):
        backends.load("braket_garnet").warm_up()
    assert service.admin("state")["calls"] == {}


def test_credentials_are_neither_kept_nor_told(
    garnet: Braket, service: Address, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ticket = buy(garnet, "p", Run(10))
    garnet.poll(ticket)
    told = [repr(garnet.fetch(ticket, [Run(10)])), json.dumps(service.admin("state"))]
    for kind in ("expired", "denied", "accept_then_close"):
        fault(service, kind)
        with pytest.raises((CredentialsRefused, OutcomeUnknown)) as caught:
            buy(garnet, f"p-{kind}", Run(10))
        told.append(str(caught.value))
    told += [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    told += [record.getMessage() for record in caplog.records if not record.name.startswith(("boto", "urllib3"))]
    assert len(told) > 5
    assert not [text for text in told if os.environ["AWS_SECRET_ACCESS_KEY"] in text]
    assert not [text for text in told if os.environ["AWS_ACCESS_KEY_ID"] in text]


def test_what_can_never_run_is_refused_before_anything_is_sent(garnet: Braket, service: Address) -> None:
    wide = QuantumCircuit(21)
    wide.x(range(21))
    wide.measure_all()
    with pytest.raises(UnsupportedCircuit, match="20 qubits, the circuit uses 21"):
        garnet.prepare([wide], TranspileOptions())
    opaque = QuantumCircuit(1, 1)
    opaque.append(Gate("mystery", 1, []), [0])
    opaque.measure(0, 0)
    with pytest.raises(UnsupportedCircuit, match="mystery"):
        garnet.prepare([opaque], TranspileOptions())
    with pytest.raises(ExecutionFailed, match="at most 20000 shots in one run, got 20001: submit several"):
        buy(garnet, "p", Run(10), Run(20_001))
    with pytest.raises(ExecutionFailed, match="parameters"):
        buy(garnet, "p", Run(10, 0, {"theta": 1.0}))
    assert "CreateQuantumTask" not in service.admin("state")["calls"]


# --- what is known of a device ----------------------------------------------------------------------------------------


def test_a_device_that_was_never_asked_is_offline_and_touches_nothing(service: Address) -> None:
    program = (
        "import sys, json, backends\n"
        "found = backends.load('braket_garnet').device()\n"
        "print(json.dumps([found.availability.state, found.availability.why, found.num_qubits,\n"
        "                  [m for m in ('boto3', 'botocore', 'braket', 'qiskit') if m in sys.modules]]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, timeout=60)
    state, why, num_qubits, heavy = json.loads(done.stdout)
    assert (state, num_qubits, heavy) == ("offline", 0, [])
    assert "never asked" in why
    assert service.admin("state")["calls"] == {}
    with pytest.raises(DeviceUnavailable, match="never asked"):
        backends.load("braket_garnet").prepare([bell()], TranspileOptions())


def test_what_was_heard_is_known_to_every_process_of_this_user(garnet: Braket, service: Address) -> None:
    other = backends.load("braket_garnet")
    assert other.device() == garnet.device()
    service.admin("set", {"status": {GARNET: "OFFLINE"}})
    assert garnet.refresh().availability.state == "offline"
    assert other.device().availability.state == "offline"
    assert garnet.device().target_version == other.device().target_version
    last_heard.path_of("braket_garnet").write_text("{damaged")
    assert "never asked" in backends.load("braket_garnet").device().availability.why


def test_a_device_outside_its_hours_is_paused(garnet: Braket, service: Address) -> None:
    service.admin("set", {"windows": {GARNET: []}})
    assert garnet.refresh().availability.state == "offline"


def test_the_arn_is_the_users_to_choose(service: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = backends.load("braket_qpu")
    assert "QORCH_BRAKET_QPU_ARN" in nothing.device().availability.why
    for ask in (nothing.refresh, nothing.warm_up):
        with pytest.raises(ExecutionFailed, match="QORCH_BRAKET_QPU_ARN"):
            ask()
    monkeypatch.setenv("QORCH_BRAKET_QPU_ARN", GARNET)
    chosen = backends.load("braket_qpu")
    assert chosen.refresh().num_qubits == 20
    monkeypatch.setenv("QORCH_BRAKET_QPU_ARN", GARNET.replace("Garnet", "Nowhere"))
    assert backends.load("braket_qpu").device().num_qubits == 0, "what another device said is not believed"
    with pytest.raises(ExecutionFailed, match="no such thing"):
        backends.load("braket_qpu").refresh()


def test_results_go_nowhere_unless_their_owner_says_where(
    garnet: Braket, service: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = garnet.prepare([bell()], TranspileOptions())
    monkeypatch.delenv("QORCH_BRAKET_S3")
    assert "QORCH_BRAKET_S3" in garnet.device().availability.why
    with pytest.raises(DeviceUnavailable, match="QORCH_BRAKET_S3"):
        garnet.submit(prepared, [Run(1)], purchase_id="p")
    monkeypatch.setenv("AMZN_BRAKET_OUT_S3_BUCKET", service.bucket)
    assert garnet.submit(prepared, [Run(1)], purchase_id="p").remote_ids
