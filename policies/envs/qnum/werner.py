"""Werner states: fidelity, swapping, waiting, and what a link's quality costs in rate.

A Werner state is w |Φ+><Φ+| + (1 - w) I/4, with w its Werner parameter in [0, 1]. The formulas are standard; the
rate-quality law of a link is second-hand for the QPrimalDual paper, with the constant of related work (Vardoyan and
Wehner, single-click scheme). What is not here: states that are not Werner states.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", float, NDArray[np.float64])

LIGHT_KM_PER_S = 2.0e5
"""Of light in fibre (ours: the usual round figure)."""

ATTENUATION_DB_KM = 0.2
"""Of fibre at 1550 nm (related work)."""


def fidelity(w: Real) -> Real:
    """Fidelity to the Bell state, F = (1 + 3 w)/4."""
    return 0.25 + 0.75 * w


def werner(fidelity: Real) -> Real:
    """Werner parameter of a fidelity, w = (4 F - 1)/3."""
    return (4.0 * fidelity - 1.0) / 3.0


def swapped(one: Real, other: Real) -> Real:
    """Werner parameter after a perfect Bell measurement joins two pairs: the product."""
    return one * other


def waited(w: Real, wait_s: Real, coherence_s: float) -> Real:
    """Werner parameter after both halves of a pair have rested, w exp(-2 t/T_c) (related work: QTCP's simulator).

    Args:
        w: before.   wait_s: time in memory.   coherence_s: T_c of one memory; infinite for ideal ones.
    """
    decayed: Real = w * np.exp(-2.0 * wait_s / coherence_s)
    return decayed


def latency_s(length_km: Real) -> Real:
    """Time of light over a fibre."""
    return length_km / LIGHT_KM_PER_S


def single_click_hz(
    length_km: float,
    efficiency: float = 0.5,
    period_s: float = 1e-4,
    attenuation_db_km: float = ATTENUATION_DB_KM,
) -> float:
    """Pairs per second of a link at w -> 0 by its law, d = 3 κ η/(2 T) (related work: Vardoyan and Wehner).

    A single-click attempt succeeds with 2 κ η α and leaves fidelity 1 - α; with α = 3 (1 - w)/4 the rate is d (1 - w).
    The law is meant for small α: below w of about 0.6 it stretches the physics.

    Args:
        length_km: of the fibre; a photon goes half of it, to the station in the middle.
        efficiency: κ, all losses but the fibre's, in (0, 1].   period_s: T of one attempt.
    """
    transmission = 10.0 ** (-attenuation_db_km * 0.5 * length_km / 10.0)
    return float(1.5 * efficiency * transmission / period_s)
