"""IBM's machines as virtual QPUs: calibrations of 2021 to 2025, from the files that qiskit-ibm-runtime carries.

``fake_*`` do what they publish, like Aer's noise models of them. ``virtual_*`` have a hidden truth besides. A worker
serves the latter only where they are named.
"""

from __future__ import annotations

from functools import cache, partial

from backends.ibm_calibration import read_snapshot
from backends.pricing import TARIFFS
from backends.queues import RecordedQueue
from backends.virtual.qpu import VirtualQPU
from backends.virtual.snapshot import Snapshot
from backends.virtual.truth import Strengths

_SOURCE = ("qiskit_ibm_runtime", "qiskit-ibm-runtime", "ibm")


@cache
def _published(name: str, machine: str) -> Snapshot:
    return read_snapshot(name, machine)


def ibm(
    name: str,
    machine: str,
    *,
    tariff: str = "emulated_falcon_r5",
    truth: bool = True,
    queue: RecordedQueue | None = None,
) -> VirtualQPU:
    """One of IBM's machines.

    Args:
        name: key in ``backends.BACKENDS``.
        machine: IBM's name of it, such as "hanoi".
        tariff: in ``backends.pricing.TARIFFS``.
        truth: it has errors that it does not publish; without, it is served unless it is left out.
        queue: in front of it; recorded of twelve machines.
    """
    return VirtualQPU(
        name,
        snapshot=partial(_published, name, machine),
        price=TARIFFS[tariff],
        source=_SOURCE,
        truth=Strengths() if truth else None,
        queue=queue,
        opt_in=truth,
    )


fake_guadalupe = partial(ibm, "fake_guadalupe", "guadalupe", tariff="emulated_falcon_r4", truth=False)
fake_hanoi = partial(ibm, "fake_hanoi", "hanoi", truth=False)

manila = partial(ibm, "virtual_manila", "manila")
nairobi = partial(ibm, "virtual_nairobi", "nairobi", queue=RecordedQueue("ibm_nairobi"))
guadalupe = partial(ibm, "virtual_guadalupe", "guadalupe", tariff="emulated_falcon_r4")
hanoi = partial(ibm, "virtual_hanoi", "hanoi", queue=RecordedQueue("ibm_hanoi"))
prague = partial(ibm, "virtual_prague", "prague")
brooklyn = partial(ibm, "virtual_brooklyn", "brooklyn", tariff="emulated_falcon_r4")
sherbrooke = partial(ibm, "virtual_sherbrooke", "sherbrooke", queue=RecordedQueue("ibm_sherbrooke"))
torino = partial(ibm, "virtual_torino", "torino")
fez = partial(ibm, "virtual_fez", "fez")
marrakesh = partial(ibm, "virtual_marrakesh", "marrakesh")
