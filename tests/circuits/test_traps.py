"""Files with the traps that programs from elsewhere hold. The first line of each says what must become of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backends import load
from backends.backend import TranspileOptions
from circuits.errors import InvalidProgram
from circuits.family import Run
from circuits.features import features
from circuits.program import Program

TRAPS = sorted((Path(__file__).parent / "traps").glob("*.qasm"))
FATE = re.compile(r"// (?:active (?P<active>\d+), gives (?P<gives>[01]+)|refused: (?P<refused>.*))\n")


@pytest.mark.parametrize("path", TRAPS, ids=lambda path: path.stem)
def test_a_trap_is_run_or_refused_as_its_first_line_says(path: Path) -> None:
    fate = FATE.match(path.read_text())
    assert fate is not None
    if fate["refused"]:
        with pytest.raises(InvalidProgram, match=fate["refused"]):
            Program.from_any(path).load()
        return
    circuit = Program.from_any(path).load().build()
    assert features(circuit).num_qubits == int(fate["active"])
    aer = load("aer_statevector")
    (counts,) = aer.run(aer.prepare([circuit], TranspileOptions()), [Run(20)], seed=3).counts
    assert counts == {fate["gives"]: 20}
