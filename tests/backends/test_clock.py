"""Emulated devices live at the moment they are told, and on the wall's time otherwise."""

from __future__ import annotations

import time

from backends import clock


def test_inside_it_is_the_moment_said_and_outside_the_walls() -> None:
    with clock.at(1_700_000_000.0):
        assert clock.now() == 1_700_000_000.0
        with clock.at(None):
            assert abs(clock.now() - time.time()) < 60.0
        assert clock.now() == 1_700_000_000.0
    assert abs(clock.now() - time.time()) < 60.0
