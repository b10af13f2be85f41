"""Constants of the QCN: processors, radio, ways; and the two sets of them that have a name.

The paper (QCN, Section V) gives numbers of nodes, circuits and qubits, and no constant at all. ``cited``, the default,
was fixed from sources before any policy was compared, and is not changed since; ``vectors`` are the round numbers that
reference vectors were made with.

Processors of ``cited`` are measured by one benchmark, LINPACK in float64, with the power of the whole machine:

* mobile: RK3588S, four Cortex-A76 and four A55 cores as in phones of its time: 53.333 Gflop/s at 11.5 W,
* edge: a server with an Ampere Altra Max M128-28: 1265.5 Gflop/s at 296 W
  (both: github.com/geerlingguy/top500-benchmark, README at 0137a2e),
* cloud: one H100 of the Henri system: 2.04 Pflop/s from 80 of them, 65.09 Gflop/s per watt
  (Green500, November 2022, as The Register and HPCwire report it: second-hand).

A simulation of state vectors reaches less: ``EFFICIENCY`` of LINPACK's rate, measured by us on one x86 core with Aer
(``examples/benchmarks/qcn_efficiency.py``) and taken for all three, which was not verified; at the same power.

Uplinks of 5G: median 21 and 30 Mbit/s (Ookla, Q3 2021 and Q3 2020), mean 31 (Cellsmart, 2022): 30 in the mean here; how
they spread is ours. Radio: 2.6 W, twice the 1.3 W that Huang et al. (MobiSys 2012) find for LTE (second-hand: only the
abstract could be read), as 5G draws "2-3x over 4G" (Xu et al., SIGCOMM 2020, abstract). Times to edge and cloud are the
study's (ours): no measured pair was found.

Costs are in units of what a task takes at home in the mean (ours).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from circuits.errors import InvalidParameter
from circuits.parameters import choice, construct, integer, real, short, validate

EFFICIENCY = 0.04
"""Share of LINPACK's rate that simulating circuits of 10 to 16 qubits reaches (ours, measured)."""


def _flops(default: float) -> Any:
    return real(default, low=1.0, high=1e18)


def _joules(default: float) -> Any:
    return real(default, low=0.0, high=1.0)


@dataclass(frozen=True)
class Model:
    """Every constant. SI units.

    Attributes:
        mode: name of the set that it began from.
        norm_s, norm_j: delay and energy that cost 1.
        local_flops, edge_flops, cloud_flops: flop/s of a mobile, an edge, a cloud node.
        flops_spread: mobile and edge nodes are within this share of their mean, uniformly (study).
        local_j_per_flop, edge_j_per_flop, cloud_j_per_flop: energy of the whole machine.
        radio_w: of a phone while it sends.
        local_qubits, edge_qubits, cloud_qubits: most that they simulate; an edge node forwards larger circuits (study).
        edge_s, cloud_s: to any node and back; what the cloud takes more (study).
        uplink_low_bps, uplink_high_bps: of each user to each edge node, alone on the link, uniformly.
        cloud_rate_ratio: uplink to the cloud over the best to an edge node (study).
    """

    mode: str = choice("cited", "cited", "vectors")
    norm_s: float = real(9.3, low=1e-9, high=1e12)
    norm_j: float = real(103.0, low=1e-12, high=1e15)
    local_flops: float = _flops(EFFICIENCY * 53.333e9)
    edge_flops: float = _flops(EFFICIENCY * 1265.5e9)
    cloud_flops: float = _flops(EFFICIENCY * 2.04e15 / 80)
    flops_spread: float = real(0.3, low=0.0, high=0.99)
    local_j_per_flop: float = _joules(11.5 / 53.333e9 / EFFICIENCY)
    edge_j_per_flop: float = _joules(296.0 / 1265.5e9 / EFFICIENCY)
    cloud_j_per_flop: float = _joules(1.0 / 65.09e9 / EFFICIENCY)
    radio_w: float = real(2.6, low=0.0, high=1e3)
    local_qubits: int = integer(16, low=1, high=64)
    edge_qubits: int = integer(14, low=1, high=64)
    cloud_qubits: int = integer(20, low=1, high=64)
    edge_s: float = real(0.005, low=0.0, high=1e6)
    cloud_s: float = real(0.06, low=0.0, high=1e6)
    uplink_low_bps: float = real(10e6, low=1.0, high=1e15)
    uplink_high_bps: float = real(50e6, low=1.0, high=1e15)
    cloud_rate_ratio: float = real(0.5, low=1e-6, high=1e6)

    def __post_init__(self) -> None:
        validate(self)
        if self.uplink_high_bps < self.uplink_low_bps:
            raise InvalidParameter(
                f"Model.uplink_high_bps: wanted at least uplink_low_bps = {self.uplink_low_bps:g}, "
                f"got {self.uplink_high_bps:g}"
            )


MODES: dict[str, Model] = {
    "cited": Model(),
    "vectors": Model(
        mode="vectors",
        norm_s=5.0,
        norm_j=40.0,
        local_flops=2e9,
        edge_flops=20e9,
        cloud_flops=200e9,
        local_j_per_flop=2e-9,
        edge_j_per_flop=0.15e-9,
        cloud_j_per_flop=0.07e-9,
        radio_w=0.5,
        uplink_low_bps=30e6,
        uplink_high_bps=150e6,
    ),
}
"""The named sets of constants."""


def model_of(mode: object, overrides: object) -> Model:
    """A set of constants with some of them changed, by the names of their fields.

    Raises:
        InvalidParameter: no such set, no such constant, or a value out of range.
    """
    if not isinstance(mode, str) or mode not in MODES:
        raise InvalidParameter(f"mode: wanted one of {', '.join(MODES)}, got {short(mode)}")
    if not isinstance(overrides, Mapping) or "mode" in overrides:
        raise InvalidParameter(f"overrides: wanted an object of constants, got {short(overrides)}")
    model: Model = construct(Model, {**asdict(MODES[mode]), **overrides})
    return model


def written_model(model: Model) -> dict[str, Any]:
    """What :func:`model_of` has to change in the set that a model began from."""
    usual = asdict(MODES[model.mode])
    return {name: value for name, value in asdict(model).items() if value != usual[name]}
