"""What a run costs, from stated price tables with date and source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Price:
    """A tariff: ``per_task_usd + shots * per_shot_usd + run_s * per_second_usd``. ``source`` says where it is from."""

    per_task_usd: float = 0.0
    per_shot_usd: float = 0.0
    per_second_usd: float = 0.0
    source: str = "ours: a simulator on one's own machine is free"

    def cost_usd(self, *, num_tasks: int, shots: int, run_s: float) -> float:
        """Price in US dollars of ``num_tasks`` tasks with ``shots`` shots in all that run for ``run_s`` seconds."""
        return num_tasks * self.per_task_usd + shots * self.per_shot_usd + run_s * self.per_second_usd


_FROM_MEMORY = "second-hand, from memory, about 2024; not fetched from the vendor: check before relying on it"

TARIFFS: dict[str, Price] = {
    "own_simulator": Price(),
    "ibm_pay_as_you_go": Price(
        per_second_usd=1.60, source=f"IBM Quantum pay-as-you-go, 96 USD a minute; {_FROM_MEMORY}"
    ),
    "braket_iqm_garnet": Price(
        per_task_usd=0.30, per_shot_usd=0.00145, source=f"Amazon Braket, IQM Garnet; {_FROM_MEMORY}"
    ),
    "braket_rigetti_ankaa": Price(
        per_task_usd=0.30, per_shot_usd=0.00090, source=f"Amazon Braket, Rigetti Ankaa; {_FROM_MEMORY}"
    ),
    "braket_ionq_aria": Price(per_task_usd=0.30, per_shot_usd=0.03, source=f"Amazon Braket, IonQ Aria; {_FROM_MEMORY}"),
    "braket_ionq_forte": Price(
        per_task_usd=0.30, per_shot_usd=0.08, source=f"Amazon Braket, IonQ Forte; {_FROM_MEMORY}"
    ),
    "braket_qpu": Price(
        per_task_usd=0.30, source=f"Amazon Braket, any QPU: a task alone, the device tells its shot; {_FROM_MEMORY}"
    ),
    "emulated_falcon_r5": Price(
        per_second_usd=1.60,
        source="ours, for the emulated device: IBM's pay-as-you-go rate (second-hand) on the device's scheduled time",
    ),
    "emulated_falcon_r4": Price(
        per_second_usd=0.80,
        source="ours, for the emulated device: half the newer device's rate, since it is older and noisier",
    ),
    "emulated_iqm": Price(
        per_task_usd=0.30,
        per_shot_usd=0.00145,
        source=f"ours, for an emulated device that does not exist: that of IQM Garnet on Amazon Braket, {_FROM_MEMORY}",
    ),
    "emulated_google": Price(
        per_second_usd=1.60,
        source="ours, for the emulated device, as Google publishes no tariff: IBM's pay-as-you-go rate (second-hand) "
        "on the device's scheduled time",
    ),
}
"""Tariffs by name. Only those that say so in ``source`` are a vendor's; nothing here is read from a vendor."""
