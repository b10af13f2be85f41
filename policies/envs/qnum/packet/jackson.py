"""What an open loop comes to, exactly: with Poisson sources and links first come, first served it is a Jackson network.

Derived here (ours): a link with slack s = c - y keeps a request for an exponential time of mean 1/s, so that

    E[W] = Π w_l · Π_{later hops} s/(s + 2Γ) · exp(-2Γ Σ τ),      E[latency] = Σ (1/s + τ).

It holds while no q-datagram overtakes another one of its flow and nothing is lost.
"""

from __future__ import annotations

import numpy as np

from circuits.errors import InvalidParameter
from policies.envs.qnum.network import Network
from policies.envs.qnum.packet.record import Floats
from policies.envs.qnum.packet.settings import Physics, latencies
from policies.envs.qnum.problem import capacities_hz, end_to_end, loads_hz


def open_loop(network: Network, rates_hz: Floats, werner: Floats, physics: Physics) -> tuple[Floats, Floats]:
    """Mean Werner parameter and mean latency of each flow's delivered pairs; float64 (N,) each.

    Raises:
        InvalidParameter: a link is asked for as much as it makes, or more: its queue has no mean.
    """
    slack = capacities_hz(network, werner) - loads_hz(network, rates_hz)
    asked = network.used & ~(slack > 0.0)
    if asked.any():
        link = int(np.flatnonzero(asked)[0])
        raise InvalidParameter(f"rates_hz: wanted less than links[{link}] makes, got {-slack[link]:g} pairs/s too many")
    decay_hz, light_s = physics.decay_hz, np.array(latencies(network, physics))
    slack[~network.used] = 1.0
    light = network.routes @ light_s
    waits = np.log(slack / (slack + decay_hz))
    first = np.array([flow.route[0] for flow in network.flows])
    kept = network.routes @ waits - waits[first] - decay_hz * light
    swaps = physics.swap_werner ** (network.hops - 1.0)
    return end_to_end(network, werner) * swaps * np.exp(kept), network.routes @ (1.0 / slack) + light
