"""A packet run that is watched in a terminal."""

from __future__ import annotations

from io import StringIO

import numpy as np
from rich.console import Console

from policies.allocators.qprimaldual.live import curve, watched
from policies.envs.qnum.packet.play import play
from policies.envs.qnum.packet.settings import VARIANTS, Physics, Run
from policies.envs.qnum.topologies import dumbbell


def test_flows_are_drawn_while_a_run_goes_on() -> None:
    screen = StringIO()
    run = Run(dumbbell(2), Physics(), VARIANTS["da"], 1.0, 1, 0.1)
    console = Console(file=screen, force_terminal=True, width=120)
    with watched(run, console, curves=True) as tell:
        record = play(run, "reference", tell)
        console.print("done")
    assert record.num_events == play(run, "reference").num_events
    assert "fidelity" in screen.getvalue()
    assert "█" in screen.getvalue()


def test_a_curve_rises_with_its_numbers() -> None:
    assert curve([0.0, 1.0, 2.0]) == " ▄█"
    assert curve(np.zeros(3)) == "   "
    assert curve([0.25, 1.0, 7.0], 0.25, 1.0) == " ██"
