"""Documents of Amazon Braket, read: errors, gates, numbers of qubits, prices, hours."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backends import last_heard
from backends.braket_profile import Profile, next_opening, read_availability, read_profile
from backends.errors import CalibrationMissing
from backends.pricing import TARIFFS
from tests.servers.braket_devices import ANKAA, DEVICES, FORTE, GARNET

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()  # a Saturday
DAYS = ["Everyday", "Weekdays", "Weekend", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def answer(document: dict[str, Any], status: str = "ONLINE") -> dict[str, Any]:
    return {
        "deviceStatus": status,
        "deviceCapabilities": json.dumps(document),
        "deviceQueueInfo": [
            {"queue": "QUANTUM_TASKS_QUEUE", "queueSize": ">4000", "queuePriority": "Normal"},
            {"queue": "QUANTUM_TASKS_QUEUE", "queueSize": "2", "queuePriority": "Priority"},
            {"queue": "JOBS_QUEUE", "queueSize": "9"},
        ],
    }


def read(arn: str, document: dict[str, Any] | None = None, tariff: str = "braket_qpu") -> Profile:
    told = answer(DEVICES[arn][2]() if document is None else document)
    return read_profile("braket_qpu", arn, told, price=TARIFFS[tariff], heard_at=NOON, sdk_version="1")


@pytest.mark.parametrize("arn", DEVICES)
def test_the_documents_of_the_tests_are_what_the_sdk_describes(arn: str) -> None:
    from braket.schema_common import BraketSchemaBase

    assert BraketSchemaBase.parse_raw_schema(json.dumps(DEVICES[arn][2]())).paradigm.qubitCount


@pytest.mark.parametrize("arn", DEVICES)
def test_a_profile_is_plain_json(arn: str) -> None:
    profile = read(arn)
    assert msgspec.json.decode(msgspec.json.encode(profile), type=Profile) == profile
    assert profile.device.opt_in
    assert profile.device.kind == "qpu"


def test_iqm_counts_from_1_and_we_from_0() -> None:
    profile, document = read(GARNET), DEVICES[GARNET][2]()
    device = profile.device
    assert device.calibration is not None
    assert profile.labels == tuple(range(1, 21))
    assert device.basis_gates == ("r", "cz")
    assert (0, 1) in (device.coupling or ())
    published = document["standardized"]
    fidelity = published["twoQubitProperties"]["1-2"]["twoQubitGateFidelity"][0]["fidelity"]
    for pair in ((0, 1), (1, 0)):
        assert device.calibration.gate_table["cz", pair].error == pytest.approx(1 - fidelity)
    first = published["oneQubitProperties"]["1"]
    assert device.calibration.qubits[0].t1_s == pytest.approx(first["T1"]["value"] * 1e-6)
    assert device.calibration.qubits[0].readout_error == pytest.approx(1 - first["oneQubitFidelity"][1]["fidelity"])
    assert device.calibration.taken_at == datetime(2026, 11, 20, 6, tzinfo=UTC).timestamp()


def test_rigettis_gaps_and_dead_pairs_are_left_out() -> None:
    profile = read(ANKAA)
    assert profile.labels == (0, 1, 2, 7, 8, 9, 14, 15)
    assert profile.device.num_qubits == 8
    assert profile.device.basis_gates == ("rz", "sx", "x", "iswap")
    assert (0, 1) not in (profile.device.coupling or ())  # published at a fidelity of 0.4
    assert (0, 3) in (profile.device.coupling or ())  # 0-7
    assert profile.device.calibration is not None
    assert profile.device.calibration.gate_table["rz", (0,)].error == 0.0


def test_a_qubit_without_figures_is_left_out_with_its_pairs() -> None:
    document = DEVICES[GARNET][2]()
    document["standardized"]["oneQubitProperties"]["2"]["oneQubitFidelity"] = []
    profile = read(GARNET, document)
    assert 2 not in profile.labels
    assert profile.device.num_qubits == 19
    assert all(max(pair) < 19 for pair in profile.device.coupling or ())
    assert (0, 1) not in (profile.device.coupling or ())  # labels 1 and 3


def test_each_of_ionqs_ions_can_meet_each() -> None:
    profile = read(FORTE)
    device = profile.device
    assert device.coupling is None
    assert not profile.verbatim
    assert device.calibration is not None
    assert sum(gate.gate == "rxx" for gate in device.calibration.gates) == 11 * 10
    assert device.calibration.gate_table["rxx", (3, 7)].duration_s == pytest.approx(9.7e-4)


def test_an_ion_trap_without_xx_takes_cnot() -> None:
    document = DEVICES[FORTE][2]()
    operations = document["action"]["braket.ir.openqasm.program"]["supportedOperations"]
    operations.remove("xx")
    assert read(FORTE, document).device.basis_gates == ("rz", "rx", "ry", "cx")
    operations.remove("cnot")
    with pytest.raises(CalibrationMissing):
        read(FORTE, document)


def test_the_devices_own_price_of_a_shot_replaces_the_tables() -> None:
    price = read(FORTE, tariff="braket_ionq_aria").device.price
    assert (price.per_task_usd, price.per_shot_usd) == (0.30, 0.08)
    assert "published by the device" in price.source


def test_a_shot_without_any_price_is_refused_and_not_free() -> None:
    document = DEVICES[GARNET][2]()
    document["service"]["deviceCost"] = None
    assert read(GARNET, document, tariff="braket_iqm_garnet").device.price == TARIFFS["braket_iqm_garnet"]
    with pytest.raises(CalibrationMissing, match="price of a shot"):
        read(GARNET, document)


@pytest.mark.parametrize("path", ["action", "service", "paradigm", "standardized"])
def test_a_document_that_lacks_a_part_says_which(path: str) -> None:
    document = DEVICES[GARNET][2]()
    del document[path]
    with pytest.raises(CalibrationMissing, match=path):
        read(GARNET, document)


def test_another_makers_device_is_refused_by_name() -> None:
    document = DEVICES[GARNET][2]()
    document["braketSchemaHeader"]["name"] = "braket.device_schema.quera.quera_device_capabilities"
    with pytest.raises(CalibrationMissing, match=r"iqm, rigetti, ionq.*quera"):
        read(GARNET, document)


def test_what_was_never_asked_is_offline_and_says_so() -> None:
    device = last_heard.unheard("braket_qpu", "never asked", price=TARIFFS["braket_qpu"], sdk_version="1")
    assert (device.num_qubits, device.availability.state, device.availability.why) == (0, "offline", "never asked")


def window(day: str, start: str, end: str) -> dict[str, str]:
    return {"executionDay": day, "windowStartHour": start, "windowEndHour": end}


def test_outside_its_hours_an_online_device_is_paused_until_it_opens() -> None:
    heard = read_availability(answer({}), [window("Weekdays", "09:00", "17:00")], NOON)
    assert heard.state == "paused"
    assert heard.opens_at == datetime(2026, 11, 23, 9, tzinfo=UTC).timestamp()
    assert "Monday 09:00" in heard.why
    assert heard.pending_jobs == 4002
    assert read_availability(answer({}), [window("Saturday", "09:00", "17:00")], NOON).state == "online"
    assert read_availability(answer({}), [], NOON).state == "offline"


@pytest.mark.parametrize("status", ["OFFLINE", "RETIRED"])
def test_what_amazon_says_is_down_is_offline(status: str) -> None:
    heard = read_availability(answer({}, status), [window("Everyday", "00:00", "23:59:59")], NOON)
    assert (heard.state, heard.heard_at) == ("offline", NOON)
    assert status in heard.why


HOURS = st.times().map(lambda moment: moment.replace(microsecond=0).isoformat())


@given(
    windows=st.lists(st.builds(window, st.sampled_from(DAYS), HOURS, HOURS), max_size=3),
    moment=st.integers(1_700_000_000, 1_900_000_000),
)
@example(windows=[window("Saturday", "20:00", "04:00")], moment=int(NOON) + 14 * 3600)
def test_a_device_opens_at_the_first_moment_of_a_window(windows: list[dict[str, str]], moment: int) -> None:
    opens = next_opening(windows, moment)
    if opens is None:
        assert not windows
        return
    assert moment <= opens <= moment + 8 * 86_400
    assert next_opening(windows, opens) == opens, "it is open when it opens"
    if opens > moment:
        between = [moment + (opens - moment) * part / 7 for part in range(7)]
        assert all(next_opening(windows, early) == opens for early, _ in pairwise(between))


@given(moment=st.floats(1_700_000_000.0, 1_900_000_000.0))
def test_a_device_that_never_closes_is_open_at_any_fraction_of_a_second(moment: float) -> None:
    assert next_opening([window("Everyday", "00:00", "00:00")], moment) == moment
