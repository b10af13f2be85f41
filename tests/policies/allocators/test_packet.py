"""The command that simulates an instance packet by packet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from policies.allocators.qprimaldual.__main__ import app

INSTANCE = str(Path(__file__).parent / "instances" / "dumbbell2_neg.json")


def asked(*words: str) -> Result:
    return CliRunner().invoke(app, ["packet", INSTANCE, "--duration-s", "2", "--seed", "1", *words])


def test_all_that_was_asked_for_is_answered() -> None:
    said = json.loads(asked("--json", "--change", "link_down:2@1.5").stdout)
    assert {"utility", "G_ideal", "G_decoherence_aware", "rates_hz", "fidelities", "queues", "losses"} <= set(said)
    assert said["overhead_byte_per_pair"] > 0.0
    assert len(said["rates_hz"]) == len(said["fidelities"]) == 2
    assert said["losses"]["failure"] > 0
    assert said == json.loads(asked("--json", "--change", "link_down:2@1.5", "--engine", "reference").stdout)


def test_a_table_for_people() -> None:
    assert "pairs/s" in asked("--variant", "open").stdout


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--variant", "no"), "--variant"),
        (("--change", "flood"), "--change"),
        (("--change", "leave:0@nan"), "changes[0].at_s"),
        (("--picture", "run.nope"), "picture"),
        (("--coherence-s", "0"), "coherence_s"),
        (("--engine", "no"), "engine"),
        (("--duration-s", "-1"), "duration_s"),
        (("--variant", "open", "--room", "0"), "--room"),
    ],
)
def test_what_cannot_be_is_refused_in_words(words: tuple[str, str], named: str) -> None:
    result = asked(*words)
    assert result.exit_code == 2
    assert named in result.stderr
    assert "Traceback" not in result.output
