"""What is written out of OpenQASM 3 means what the text says: conditions, constants, loops."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends import load
from backends.backend import TranspileOptions
from circuits.errors import InvalidProgram
from circuits.family import Run
from circuits.program import Program

HEAD = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
LEAVES = {
    "c[0]": "c & 1", "c[1]": "c >> 1", "c[-1]": "c >> 1", "c": "c", "b": "b", "1": "1", "2": "2", "true": "1",
    "int[2](c)": "c - 4 if c >= 2 else c", "uint[3](c)": "c", "bool(c)": "c > 0", "~c": "3 - c",
}  # fmt: skip
BINARY = ["==", "!=", "<", ">=", "^", "&", "|", "+", "-", "*", "&&", "||"]
WORDS = {"&&": "and", "||": "or"}


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> tuple[str, str]:
    """An expression over c (two bits) and b (one) in OpenQASM, and in Python."""
    if depth == 0 or draw(st.booleans()):
        text = draw(st.sampled_from(sorted(LEAVES)))
        return text, f"int({LEAVES[text]})"
    one, other = draw(expressions(depth - 1)), draw(expressions(depth - 1))
    if draw(st.integers(0, 4)) == 0:
        return f"(!({one[0]}))", f"int(not {one[1]})"
    sign = draw(st.sampled_from(BINARY))
    return (
        f"({one[0]} {sign} {other[0]})",
        f"int(bool({one[1]}) {WORDS[sign]} bool({other[1]}))"
        if sign in WORDS
        else (f"int({one[1]} {sign} {other[1]})"),
    )


def outcome(text: str) -> str:
    aer: Any = load("aer_statevector")
    prepared = aer.prepare([Program.from_any(HEAD + text).load().build()], TranspileOptions())
    (counts,) = aer.run(prepared, [Run(5)], seed=1).counts
    (only,) = counts
    return str(only)


@settings(max_examples=60)
@given(expression=expressions(), c=st.integers(0, 3), b=st.integers(0, 1))
def test_a_condition_is_met_when_it_is_true(expression: tuple[str, str], c: int, b: int) -> None:
    text, python = expression
    flips = "".join(f"x q[{place}];" for place, bit in enumerate((c & 1, c >> 1, b)) if bit)
    program = (
        f"qubit[4] q; bit[2] c; bit b; bit r; {flips} c[0] = measure q[0]; c[1] = measure q[1]; b = measure q[2];"
        f"if ({text} != 0) {{ x q[3]; c[0] = measure q[3]; }} else {{ y q[0]; }} r = measure q[3];"
    )
    if "c" not in text and "b" not in text:
        return  # nothing is asked of a measured bit
    assert outcome(program)[0] == str(int(bool(eval(python, {"c": c, "b": b}))))


def test_loops_and_constants_are_written_out() -> None:
    text = (
        "const uint n = 2 * 2; const int last = n - 1; qubit[n] q; bit[n] c;"
        "for int i in [0:last] { for int j in {i} { if (i == i) { } x q[j]; } }"
        "for int i in [last:-2:0] { x q[i]; }"
        "gate turn(n) a { rx(n) a; } turn(pi) q[last / 3];"
        "c = measure q;"
    ).replace("if (i == i) { } ", "")
    assert outcome(text) == "0111"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("qubit[3] q; for int i in [0:3] { x q[i]; }", "out of range"),
        ("qubit[3] q; for int i in [0:20000] { x q[i - i]; }", "statements from loops"),
        ("qubit[9] q; bit[9] c; c = measure q; if (c > 1) { x q[0]; }", "at most 8 bits, got 9"),
        ("qubit q; bit[2] c; if (c[5] ^ c[0]) { x q; }", "cannot be read"),
        ("gate g a { g a; } qubit q; g q;", "made of itself"),
    ],
)
def test_what_cannot_be_written_out_is_refused(text: str, cause: str) -> None:
    with pytest.raises(InvalidProgram, match=cause):
        Program.from_any(HEAD + text).load()
