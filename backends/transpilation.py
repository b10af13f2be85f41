"""From a published device to transpiled circuits, with Qiskit alone: no vendor SDK is needed to compile for one.

Workers and placement compile through the same door. Pass managers are kept per target version and options, because
making one costs far more than running it on a small circuit. What the door refuses is stated in ``backends.limits``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable, Sequence
from functools import lru_cache
from threading import RLock
from typing import TYPE_CHECKING, Any

import msgspec

from backends.backend import Device, TranspileOptions
from backends.errors import UnsupportedCircuit
from backends.fitting import Fitting
from backends.limits import rejection

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.transpiler import PassManager, Target

__all__ = ["build_target", "rejection", "target_version", "transpile"]

_MAX_PASS_MANAGERS = 64
_pass_managers: dict[tuple[str, TranspileOptions], PassManager | Fitting] = {}
_lock = RLock()  # passes keep state between runs, so one pass manager serves one thread at a time


def target_version(device: Device) -> str:
    """Short hash of what decides a transpiled circuit: qubits, gates, coupling, limits and calibration."""
    identity = (
        device.num_qubits,
        device.max_active_qubits,
        device.basis_gates,
        device.coupling,
        device.clifford_only,
        device.dynamic,
        device.max_gates,
        device.calibration,
        device.feed_forward,
        *(() if device.max_bond_qubits is None else (device.max_bond_qubits,)),  # what others have stays prepared
        device.max_dynamic_qubits,
        *(() if device.network is None else (device.network,)),
    )
    return hashlib.sha256(msgspec.json.encode(identity)).hexdigest()[:16]


def build_target(device: Device) -> Target:
    """Qiskit's description of the device: gates with their errors and durations, where it publishes them.

    Gates on any number of qubits (``mcx``, ``unitary``) and control flow enter as classes, which is how Qiskit says
    "any width, anywhere". A gate that the calibration does not list on some qubits cannot be used there.
    """
    from qiskit.circuit import Delay, Measure, Parameter, Reset
    from qiskit.transpiler import InstructionProperties, QubitProperties, Target

    calibration = device.calibration
    qubits = None
    if calibration is not None:
        qubits = [QubitProperties(t1=qubit.t1_s, t2=qubit.t2_s) for qubit in calibration.qubits]
    target = Target(num_qubits=device.num_qubits, qubit_properties=qubits)
    gates, any_width = _vocabulary()
    for name in device.basis_gates:
        if name in any_width:
            target.add_instruction(any_width[name], name=name)
        elif calibration is None:
            target.add_instruction(gates[name])
        else:
            target.add_instruction(
                gates[name],
                {
                    gate.qubits: InstructionProperties(duration=gate.duration_s, error=gate.error)
                    for gate in calibration.gates
                    if gate.gate == name
                },
            )
    everywhere: dict[Any, Any] | None = None
    readout: dict[Any, Any] | None = None
    if calibration is not None:
        everywhere = {(index,): None for index in calibration.working}
        readout = {
            (index,): InstructionProperties(duration=qubit.readout_duration_s, error=qubit.readout_error)
            for index, qubit in enumerate(calibration.qubits)
            if index in calibration.working
        }
    target.add_instruction(Measure(), readout)
    target.add_instruction(Delay(Parameter("duration")), everywhere)
    if "reset" not in device.basis_gates:
        target.add_instruction(Reset(), everywhere)  # static circuits, too, may reset a fresh qubit: it is removed
    if device.dynamic and device.feed_forward:
        for name, operation in _control_flow().items():
            target.add_instruction(operation, name=name)
    return target


def transpile(
    device: Device, circuits: Sequence[QuantumCircuit], options: TranspileOptions | None = None
) -> list[QuantumCircuit]:
    """Fit circuits to the device. Free parameters stay free.

    From optimization level 1 on, the layout on a calibrated device is the best of several by published errors; see
    ``backends.fitting``.

    Raises:
        UnsupportedCircuit: a circuit can never run there; the message names it and the limit.
    """
    return [_transpile(device, circuit, options or TranspileOptions()) for circuit in circuits]


def _transpile(device: Device, circuit: QuantumCircuit, options: TranspileOptions) -> QuantumCircuit:
    from qiskit.exceptions import QiskitError

    from circuits.features import features
    from circuits.structure import drop_idle_qubits

    _refuse(circuit, rejection(device, features(circuit)))
    if options.initial_layout is not None:
        _check_layout(device, circuit, options.initial_layout)
    elif circuit.num_qubits > device.num_qubits:
        circuit = drop_idle_qubits(circuit)
    if device.follows_definitions:
        _check_definitions(device, circuit, set())
        return circuit
    try:
        with _lock:
            fitted: QuantumCircuit = _pass_manager(device, options).run(circuit)
    except QiskitError as error:
        reason = " ".join(str(error).split())[:300]
        raise UnsupportedCircuit(f"circuit {circuit.name!r} cannot be fitted to {device.name}: {reason}") from error
    if device.clifford_only:
        fitted = _exact_cliffords(device, fitted)
    if device.max_gates is not None or device.max_active_qubits < device.num_qubits:
        _refuse(circuit, rejection(device, features(fitted)), " once transpiled")
    if device.max_bond_qubits is not None:
        _refuse(circuit, _entangled(device, device.max_bond_qubits, fitted))
    return fitted


def _entangled(device: Device, most: int, circuit: QuantumCircuit) -> str | None:
    """Why a circuit is too entangled for a device; None if it is not."""
    from circuits.entanglement import bonds

    widest = bonds(circuit).widest
    if widest <= most:
        return None
    return (
        f"{device.name} takes wide circuits that may entangle at most {most} qubits with the rest, this one may "
        f"entangle {widest}: use fewer layers of entangling gates, or choose a larger backend"
    )


def _check_definitions(device: Device, circuit: QuantumCircuit, seen: set[Hashable]) -> None:
    """Refuse a circuit with a gate that the device neither knows nor can find defined."""
    from circuits.structure import NOT_GATES, definition_key

    for item in circuit.data:
        operation = item.operation
        if operation.name in device.basis_gates or operation.name in NOT_GATES:
            continue
        definition = getattr(operation, "definition", None)
        if definition is None:
            _refuse(circuit, f"{device.name} knows no gate {operation.name!r} and finds no definition of it")
        key = definition_key(operation)
        if key not in seen:
            seen.add(key)
            _check_definitions(device, definition, seen)


def _refuse(circuit: QuantumCircuit, reason: str | None, when: str = "") -> None:
    if reason is not None:
        raise UnsupportedCircuit(f"circuit {circuit.name!r}{when}: {reason}")


def _check_layout(device: Device, circuit: QuantumCircuit, layout: tuple[int, ...]) -> None:
    if (
        len(layout) != circuit.num_qubits
        or len(set(layout)) != len(layout)
        or not set(layout) <= set(range(device.num_qubits))
    ):
        raise UnsupportedCircuit(
            f"circuit {circuit.name!r}: wanted an initial layout of {circuit.num_qubits} different qubits of "
            f"{device.name} (0..{device.num_qubits - 1}), got {layout}: give one physical qubit for each declared one"
        )
    if device.calibration is not None:
        dead = sorted(set(layout) - set(device.calibration.working))
        if dead:
            raise UnsupportedCircuit(
                f"circuit {circuit.name!r}: wanted an initial layout of working qubits, got {layout}: "
                f"on {device.name} {dead} are out of order"
            )


def _pass_manager(device: Device, options: TranspileOptions) -> PassManager | Fitting:
    key = (device.target_version, options)
    manager = _pass_managers.pop(key, None)
    if manager is None:
        manager = _new_pass_manager(device, options)
        while len(_pass_managers) >= _MAX_PASS_MANAGERS:
            del _pass_managers[next(iter(_pass_managers))]  # the one unused for longest: a hit moves its key to the end
    _pass_managers[key] = manager
    return manager


def _new_pass_manager(device: Device, options: TranspileOptions) -> PassManager | Fitting:
    """Qiskit's preset; where there are errors to compare and nothing is given, our own search for a place."""
    from qiskit.transpiler import generate_preset_pass_manager

    target = build_target(device)
    chosen = options.optimization_level == 0 or options.initial_layout is not None
    if device.calibration is not None and device.coupling and not chosen:
        return Fitting(device, target, options)
    return generate_preset_pass_manager(
        optimization_level=options.optimization_level,
        target=target,
        initial_layout=None if options.initial_layout is None else list(options.initial_layout),
        seed_transpiler=options.seed,
    )


def _exact_cliffords(device: Device, circuit: QuantumCircuit) -> QuantumCircuit:
    """Replace rz by the Clifford gate it is: stabilizer engines refuse an angle that is off by a rounding error."""
    from qiskit.circuit import ControlFlowOp
    from qiskit.circuit.library import SdgGate, SGate, ZGate

    quarter_turns = (None, SGate(), ZGate(), SdgGate())
    exact = circuit.copy_empty_like()
    for item in circuit.data:
        operation = item.operation
        if operation.name == "rz":
            turns = float(operation.params[0]) / (math.pi / 2)
            if abs(turns - round(turns)) > 1e-6:
                _refuse(circuit, f"{device.name} runs Clifford circuits alone, got rz({operation.params[0]})")
            gate = quarter_turns[round(turns) % 4]
            exact.global_phase -= round(turns) * math.pi / 4
            if gate is not None:
                exact.append(gate, item.qubits)
        elif isinstance(operation, ControlFlowOp):
            blocks = [_exact_cliffords(device, block) for block in operation.blocks]
            exact.append(operation.replace_blocks(blocks), item.qubits, item.clbits)
        else:
            exact.append(item)
    return exact


@lru_cache(maxsize=1)
def _vocabulary() -> tuple[dict[str, Any], dict[str, type]]:
    """Qiskit's standard gates and ours by name, and the gates of any width by name."""
    from qiskit.circuit.library import MCPhaseGate, MCXGate, UnitaryGate, get_standard_gate_name_mapping

    from backends.fsim import SqrtISwap

    gates = get_standard_gate_name_mapping() | {"sqrt_iswap": SqrtISwap()}
    return gates, {"mcx": MCXGate, "mcphase": MCPhaseGate, "unitary": UnitaryGate}


def _control_flow() -> dict[str, type]:
    from qiskit.circuit import BreakLoopOp, ContinueLoopOp, ForLoopOp, IfElseOp, SwitchCaseOp, WhileLoopOp

    return {
        "if_else": IfElseOp,
        "switch_case": SwitchCaseOp,
        "for_loop": ForLoopOp,
        "while_loop": WhileLoopOp,
        "break_loop": BreakLoopOp,
        "continue_loop": ContinueLoopOp,
    }
