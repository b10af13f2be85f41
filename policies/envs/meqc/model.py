"""How the MEQC paper is read: one record of every convention, and the three readings that have a name.

Source: M. Xu et al., "Hybrid Reinforcement Learning-based Sustainable Multi-User Computation Offloading for Mobile
Edge-Quantum Computing" (MEQC), Sections III and V.A and its appendices. The paper leaves sizes, units and rules open;
each field says who settled it. ``literal`` is the text as it is printed: bytes times seconds. ``calibrated``, the
default, measures work in gigabytes and lets a server admit the task that gains most: with it the paper's Figures 7 to 9
come out as the text describes them, which shows that such a choice exists, not that it is the authors'. ``physical`` is
dimensionally sound: the time of a circuit is its depth, device and server work at once, bandwidth is shared. There the
quantum computer is three to four orders of magnitude slower than the server's processor.

What it does not do: the world (:mod:`policies.envs.meqc.draw`), costs (:mod:`policies.envs.meqc.cost`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from backends.energy import CryogenicParameters
from circuits.parameters import choice, real, validate

LEVELS = (1, 2, 3)
"""Levels of concatenation that servers have.        [paper, V.A]"""


@dataclass(frozen=True)
class Model:
    """Every convention of the model. SI units.

    Attributes:
        mode: name of the reading that it began from.
        bandwidth_hz: B.        [paper, V.A]
        noise_w: sigma^2 (ours: 1e-6 W gives 107 to 213 Mbit/s; with thermal noise all channels are alike).
        bits_per_byte: 8 makes eq. (2) a time (ours; as printed, bytes are divided by bits per second).
        bandwidth: "full" for everyone, as below eq. (3), or "shared" by the active users of a server (ours).
        chip_j_per_cycle: gamma of eqs (1) and (5).        [paper, V.A]
        local_chip: "constant" as in eq. (1), or "frequency_squared": gamma (f / 1 GHz)^2 (second-hand: of the
            measurement that V.A cites).
        overlap: "sum" of device and server, as in eq. (12), or "max": both work at the same time (ours).
        work_unit_byte: size in which eqs (7) and (8) count s_u (literal: 1 byte; calibrated: 1 GB, ours).
        quantum_time: "eq7", or "depth": shots times depth times 3^k timesteps, over the copies that fit (ours).
        ray_byte: bytes of input for each shot of "depth" (ours: 160 MiB are 1024 frames of 128 x 128 pixels).
        qubit_capacity: what V.A's 1000 to 5000 qubits are: "logical" as above eq. (11), or "physical".
        qpu_use: "forced": what fits runs on the QPU, eqs (11) and (12); "economic": only where it is cheaper (ours).
        qpu_admission: whom (13b) lets in where several could: "max_saving" (ours) or "lowest_index" (ours).
        measurement_power: P_M, which the paper names and does not define: "gate" by analogy with P_1, or "zero" (ours).
        concatenation: level of every server's code: its own, a fixed one, or "auto", the cheapest for each task that
            succeeds often enough (ours).
        least_success: 2/3.        [paper, eq. 11]
        threshold: eps_thr.        [paper, V.A]
        two_qubit_gate_s: tau_2.        [paper, V.A]
        cryogenics: of the refrigerator, eqs (36) to (38).
    """

    mode: str = choice("calibrated", "literal", "calibrated", "physical")
    bandwidth_hz: float = real(20e6, low=1.0, high=1e12)
    noise_w: float = real(1e-6, low=1e-30, high=1e3)
    bits_per_byte: float = real(8.0, low=1e-3, high=64.0)
    bandwidth: str = choice("full", "full", "shared")
    chip_j_per_cycle: float = real(1e-11, low=0.0, high=1.0)
    local_chip: str = choice("constant", "constant", "frequency_squared")
    overlap: str = choice("sum", "sum", "max")
    work_unit_byte: float = real(1e9, low=1e-3, high=1e18)
    quantum_time: str = choice("eq7", "eq7", "depth")
    ray_byte: float = real(10.0, low=1e-3, high=1e9)
    qubit_capacity: str = choice("logical", "logical", "physical")
    qpu_use: str = choice("forced", "forced", "economic")
    qpu_admission: str = choice("max_saving", "max_saving", "lowest_index")
    measurement_power: str = choice("gate", "gate", "zero")
    concatenation: str = choice("server", "server", "1", "2", "3", "auto")
    least_success: float = real(2.0 / 3.0, low=0.0, high=1.0)
    threshold: float = real(2e-4, low=1e-9, high=1.0)
    two_qubit_gate_s: float = real(100e-9, low=1e-12, high=1.0)
    cryogenics: CryogenicParameters = field(default_factory=CryogenicParameters)

    def __post_init__(self) -> None:
        validate(self)

    @property
    def is_linear(self) -> bool:
        """Whether each user's cost is linear in its share and nobody's channel depends on others.

        Then a share strictly between 0 and 1 never pays, and optima are assignments.
        """
        return self.overlap == "sum" and self.bandwidth == "full"


MODES: dict[str, Model] = {
    "literal": Model(mode="literal", work_unit_byte=1.0, qpu_admission="lowest_index"),
    "calibrated": Model(),
    "physical": Model(
        mode="physical",
        bandwidth="shared",
        local_chip="frequency_squared",
        overlap="max",
        quantum_time="depth",
        qubit_capacity="physical",
        qpu_use="economic",
    ),
}
"""The three readings by name."""
