"""What can run where: one set of rules, read before anything is transpiled and applied again after it. No SDK.

Placement asks :func:`rejection` about every pair of device and circuit, so it sees logical features alone. Transpiling
asks the same questions of its result, where routing may have taken more qubits and gates than the circuit itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.backend import Device
    from circuits.facts import Features


def rejection(device: Device, features: Features) -> str | None:
    """Why ``device`` can never run a circuit with these features, in one sentence; None if it can.

    A register may be declared wider than the device: only qubits that something acts on count. A logical circuit that
    passes may still be refused once transpiled, when routing takes it over a limit.
    """
    name, width = device.name, features.num_qubits
    if device.kind == "cpu":
        return None  # it looks at the family and at no circuit
    if width > device.num_qubits:
        return f"{name} has {device.num_qubits} qubits, the circuit uses {width}: choose a larger backend"
    if width > device.max_active_qubits:
        return (
            f"{name} takes circuits of at most {device.max_active_qubits} active qubits, this one uses {width}: "
            "choose a larger backend"
        )
    if features.num_measurements == 0:
        return f"{name} returns measured bits, the circuit measures none: add measurements"
    if device.clifford_only and not features.clifford:
        return (
            f"{name} runs Clifford circuits alone, this one has other gates or free parameters: "
            "choose a backend that is not clifford_only"
        )
    if features.dynamic and not device.dynamic:
        return (
            f"{name} runs static circuits alone, this one measures in mid-circuit, resets or branches: "
            "choose a dynamic backend"
        )
    if features.dynamic and device.max_dynamic_qubits is not None and width > device.max_dynamic_qubits:
        return (
            f"{name} takes dynamic circuits of at most {device.max_dynamic_qubits} active qubits, this one uses "
            f"{width}: choose another backend"
        )
    if features.feed_forward and not device.feed_forward:
        return (
            f"{name} measures and resets in mid-circuit but knows no classical control, this circuit branches on "
            "measured bits: choose a dynamic backend with feed-forward"
        )
    if device.max_gates is not None and features.num_gates > device.max_gates:
        return f"{name} takes at most {device.max_gates} gates, this circuit has {features.num_gates}: shorten it"
    return None
