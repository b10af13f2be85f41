"""Tables: what is left out is said, and nothing a user wrote is taken for mark-up."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from orchestrator.job import Event
from workers import render
from workers.render_parts import age, duration, energy, price, short


def shown(what: RenderableType, width: int = 80) -> str:
    """What a person sees."""
    file = io.StringIO()
    Console(file=file, width=width, markup=False, highlight=False).print(what)
    return file.getvalue()


@pytest.mark.parametrize(
    ("value_s", "words"),
    [
        (None, "—"),
        (0.0, "0 s"),
        (1.2e-5, "12 µs"),
        (0.0123, "12.3 ms"),
        (3.21, "3.21 s"),
        (600.0, "10 min"),
        (1e5, "27.8 h"),
    ],
)
def test_durations_have_fitting_units(value_s: float | None, words: str) -> None:
    assert duration(value_s) == words


@given(st.floats(min_value=0.0, max_value=1e12))
def test_numbers_stay_short(value: float) -> None:
    assert max(map(len, (duration(value), energy(value), age(value), price(value)))) <= 12


@given(st.text(max_size=200), st.integers(5, 60))
def test_short_keeps_both_ends(text: str, width: int) -> None:
    cut = short(text, width)
    assert len(cut) <= width or cut == text
    assert cut[:2] == text[:2]
    assert cut[-2:] == text[-2:]


def test_the_most_frequent_outcomes_come_first_and_the_rest_is_counted() -> None:
    counts = {f"{value:05b}": 100 - value for value in range(20)}
    lines = shown(render.counts(counts)).splitlines()
    assert lines[0].startswith("00000")
    assert len(lines) == render.NUM_BARS + 1
    assert lines[-1] == "and 4 more outcomes with 330 shots"


@pytest.mark.parametrize("width", [80, 120])
def test_an_event_with_hostile_words_is_shown_as_it_is(width: int) -> None:
    event = Event("job", "failed", 12.5, {"message": "[bold]pip install 'qorch[cirq]'[/bold]" + " x" * 100})
    text = shown(render.event(event, 2.5), width)
    assert "[bold]pip install 'qorch[cirq]'[/bold]" in text
    assert max(map(len, text.splitlines())) <= width
