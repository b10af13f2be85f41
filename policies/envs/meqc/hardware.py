"""What a server's quantum computer needs for one logical qubit: time, power, and how often a circuit succeeds.

Source: MEQC, eqs (7), (8), (10) and V.A, with powers from Appendix B (:mod:`backends.energy`) and numbers of gates from
Appendix C (:mod:`circuits.concatenation`). Numbers are per logical qubit, eq. (42) with Q_L = 1 as V.A has them, and
are multiplied by a task's qubits once: with eq. (42)'s Q_L in eq. (8) they would count twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from backends.energy import (
    measurement_power_w,
    one_qubit_gate_power_w,
    pi_pulse_power_w,
    qubit_error,
    qubit_power_w,
    two_qubit_gate_power_w,
)
from circuits.concatenation import expected_failures, physical_gates_leading, physical_qubits
from policies.envs.meqc.model import LEVELS, Model


@dataclass(frozen=True)
class Hardware:
    """Constants of a quantum computer, the same for every server but for the level of its code.

    Attributes:
        error: eps_err, of a physical gate.
        pi_pulse_w: P_pi.   one_qubit_w: P_1.   two_qubit_w: P_2.   measurement_w: P_M.   qubit_w: P_Q.
        busy_s: by level, tau_1 N_1 + tau_2 N_2 + tau_M N_M of one logical qubit.        [MEQC, eq. 7]
        power_w: by level, P_1 N_1 + P_2 N_2 + P_M N_M + P_Q 91^k of one logical qubit.        [MEQC, eq. 8]
        threshold: eps_thr.
    """

    error: float
    pi_pulse_w: float
    one_qubit_w: float
    two_qubit_w: float
    measurement_w: float
    qubit_w: float
    busy_s: dict[int, float]
    power_w: dict[int, float]
    threshold: float

    def success(self, num_qubits: float, depth: float, level: int) -> float:
        """Linear estimate of the chance that a circuit succeeds; negative where it does not hold.

        M = 1 - Q D eps_thr (eps_err / eps_thr)^(2^k)        [MEQC, eq. 10]
        """
        return 1.0 - expected_failures(num_qubits * depth, self.error, level, self.threshold)


@lru_cache(maxsize=64)
def hardware(model: Model) -> Hardware:
    """The constants that a model's refrigerator and code come to."""
    cold = model.cryogenics
    one, two, qubit = one_qubit_gate_power_w(cold), two_qubit_gate_power_w(cold), qubit_power_w(cold)
    measurement = measurement_power_w(cold) if model.measurement_power == "gate" else 0.0
    busy_s, power_w = {}, {}
    for level in LEVELS:
        gates = physical_gates_leading(1, level)
        busy_s[level] = math.fsum(
            (
                cold.one_qubit_gate_s * gates.num_1q,
                model.two_qubit_gate_s * gates.num_2q,
                cold.measurement_s * gates.num_measurements,
            )
        )
        power_w[level] = math.fsum(
            (
                one * gates.num_1q,
                two * gates.num_2q,
                measurement * gates.num_measurements,
                qubit * physical_qubits(1, level),
            )
        )
    error = qubit_error(cold)
    return Hardware(error, pi_pulse_power_w(cold), one, two, measurement, qubit, busy_s, power_w, model.threshold)
