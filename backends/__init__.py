"""Where circuits run. ``BACKENDS`` names every place; nothing is imported until one of them is used."""

from typing import TYPE_CHECKING

from backends.errors import UnknownBackend
from circuits.registry import Registry, named_in, resolve

if TYPE_CHECKING:
    from backends.backend import Backend

_OWN: dict[str, str] = {
    "aer_statevector": "backends.aer:statevector",  # ideal, up to 24 qubits
    "aer_density_matrix": "backends.aer:density_matrix",  # ideal, up to 11 qubits
    "aer_mps": "backends.aer:mps",  # ideal, up to 40 weakly entangled qubits
    "aer_stabilizer": "backends.aer:stabilizer",  # ideal, up to 60 qubits, Clifford circuits alone
    "sparse": "backends.sparse:Sparse",  # ideal, up to 64 qubits, as long as few basis states occur
    "stim": "backends.stim:Stim",  # ideal, up to 1000 qubits, Clifford circuits without feed-forward
    "fake_guadalupe": "backends.virtual.ibm:fake_guadalupe",  # IBM Falcon r4, 16 qubits, calibration of April 2021
    "fake_hanoi": "backends.virtual.ibm:fake_hanoi",  # IBM Falcon r5.11, 27 qubits, calibration of February 2025
    "fake_rainbow": "backends.virtual.google:fake_rainbow",  # Google Sycamore, 23 qubits, November 2021
    "fake_weber": "backends.virtual.google:fake_weber",  # Google Sycamore, 53 qubits, November 2021
    "fake_willow_pink": "backends.virtual.google:fake_willow_pink",  # Google Willow, 105 qubits, August 2024
    "virtual_manila": "backends.virtual.ibm:manila",  # 5 qubits, May 2024; this and the next: with a hidden truth
    "virtual_nairobi": "backends.virtual.ibm:nairobi",  # 7 qubits, May 2024
    "virtual_guadalupe": "backends.virtual.ibm:guadalupe",  # 16 qubits, April 2021
    "virtual_hanoi": "backends.virtual.ibm:hanoi",  # 27 qubits, February 2025
    "virtual_prague": "backends.virtual.ibm:prague",  # 33 qubits, CZ, January 2023
    "virtual_brooklyn": "backends.virtual.ibm:brooklyn",  # 65 qubits, July 2021
    "virtual_sherbrooke": "backends.virtual.ibm:sherbrooke",  # 127 qubits, ECR, February 2025
    "virtual_torino": "backends.virtual.ibm:torino",  # 133 qubits, CZ, February 2025
    "virtual_fez": "backends.virtual.ibm:fez",  # 156 qubits, CZ, February 2025
    "virtual_marrakesh": "backends.virtual.ibm:marrakesh",  # 156 qubits, CZ, February 2025
    "virtual_rainbow": "backends.virtual.google:rainbow",  # 23 qubits, sqrt-iSWAP, November 2021
    "virtual_weber": "backends.virtual.google:weber",  # 53 qubits, sqrt-iSWAP, November 2021
    "virtual_willow_pink": "backends.virtual.google:willow_pink",  # 105 qubits, CZ, August 2024
    "ibm_perth_replay": "backends.replay:perth",  # IBM Falcon r5.11H, 7 qubits, the calibrations of half a year
    "cpu": "backends.cpu:Cpu",  # no circuits: the classical algorithm of families that have one
    "cirq_simulator": "backends.cirq_simulator:CirqSimulator",  # ideal, up to 20 qubits
    "braket_local": "backends.braket_local:BraketLocal",  # ideal, up to 20 qubits
    "braket_garnet": "backends.braket:garnet",  # IQM, 20 qubits, through Amazon Braket; costs money
    "braket_emerald": "backends.braket:emerald",  # IQM, 54 qubits, likewise
    "braket_ankaa": "backends.braket:ankaa",  # Rigetti, 82 qubits, likewise
    "braket_forte": "backends.braket:forte",  # IonQ, 36 qubits, likewise
    "braket_qpu": "backends.braket:any_qpu",  # the IQM, Rigetti or IonQ device of QORCH_BRAKET_QPU_ARN, likewise
    "braket_emulator": "backends.braket_emulator:BraketEmulator",  # synthetic QPU of 20 qubits, Braket's LocalEmulator
    "pennylane_lightning": "backends.pennylane_lightning:PennyLaneLightning",  # ideal, up to 22 qubits
    **{name: f"backends.ibm:{name}" for name in named_in("QORCH_IBM_BACKEND")},  # IBM Quantum, the machines one names
    "distributed": "backends.distributed:Distributed",  # small QPUs joined by entangled pairs, QORCH_QPU_NETWORK
    "cuquantum": "backends.cuquantum:CuQuantum",  # ideal, on a GPU: as wide as its memory holds, wider if shallow
}
BACKENDS = Registry("qorch.backends", _OWN)
"""Ours, and those of installed packages: see :class:`circuits.registry.Registry`."""


def load(name: str) -> "Backend":
    """Make the backend called ``name``. Its SDK is not imported before it is used.

    Raises:
        UnknownBackend: no backend has that name.
    """
    backend: Backend = resolve(BACKENDS, name, kind="backend", error=UnknownBackend)()
    return backend
