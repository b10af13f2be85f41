"""Is there a CUDA device, and what is it? Asked of NVIDIA's driver libraries themselves: no SDK is imported.

The first device that ``CUDA_VISIBLE_DEVICES`` shows counts. Calls and their arguments: CUDA driver API and NVML, as
documented by NVIDIA.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backends.errors import HardwareMissing

GPU_POWER_W = 300.0
"""Of a board that does not tell its limit (ours: data-centre boards are sold with 250 to 700 W)."""

_NEEDS = "this backend needs a CUDA device"
_LOOK = "see whether `nvidia-smi` lists a GPU and what CUDA_VISIBLE_DEVICES says"


@dataclass(frozen=True)
class Gpu:
    """A CUDA device.

    Attributes:
        name: as the driver calls it.
        total_byte: its memory.
        free_byte: what nobody uses at this moment.
        cuda: newest CUDA version that the driver speaks, (major, minor).
        power_w: limit that the board keeps to.
    """

    name: str
    total_byte: int
    free_byte: int
    cuda: tuple[int, int]
    power_w: float


class _Memory(ctypes.Structure):
    """NVML's ``nvmlMemory_t``, bytes."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def find_gpu(library: Callable[[str], Any] = ctypes.CDLL) -> Gpu:
    """The CUDA device of this process.

    Args:
        library: opens a shared library by its name.

    Raises:
        HardwareMissing: no driver, or no device; the message says which.
    """
    try:
        cuda, nvml = library("libcuda.so.1"), library("libnvidia-ml.so.1")
    except OSError as error:
        raise HardwareMissing(f"{_NEEDS}, and there is no NVIDIA driver ({error}): {_LOOK}") from error
    version, count, device, total = ctypes.c_int(), ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
    name, bus = ctypes.create_string_buffer(128), ctypes.create_string_buffer(32)
    _ask(cuda, "cuInit", 0)
    _ask(cuda, "cuDriverGetVersion", ctypes.byref(version))
    _ask(cuda, "cuDeviceGetCount", ctypes.byref(count))
    if count.value < 1:
        raise HardwareMissing(f"{_NEEDS}, and the NVIDIA driver shows none: {_LOOK}")
    _ask(cuda, "cuDeviceGet", ctypes.byref(device), 0)
    _ask(cuda, "cuDeviceGetName", name, len(name), device)
    _ask(cuda, "cuDeviceTotalMem_v2", ctypes.byref(total), device)
    _ask(cuda, "cuDeviceGetPCIBusId", bus, len(bus), device)
    free_byte, power_w = _at_the_moment(nvml, bus)
    return Gpu(
        name=name.value.decode(errors="replace"),
        total_byte=total.value,
        free_byte=total.value if free_byte is None else min(free_byte, total.value),
        cuda=(version.value // 1000, version.value % 1000 // 10),
        power_w=GPU_POWER_W if power_w is None else power_w,
    )


def _at_the_moment(nvml: Any, bus: Any) -> tuple[int | None, float | None]:
    """Free bytes and the power limit in watts; None for what a board, or a part of one, does not tell."""
    handle, memory, limit_mw = ctypes.c_void_p(), _Memory(), ctypes.c_uint()
    _ask(nvml, "nvmlInit_v2")
    try:
        if nvml.nvmlDeviceGetHandleByPciBusId_v2(bus, ctypes.byref(handle)):
            return None, None
        silent = nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory))
        unlimited = nvml.nvmlDeviceGetEnforcedPowerLimit(handle, ctypes.byref(limit_mw))
        return None if silent else memory.free, None if unlimited else limit_mw.value / 1000.0
    finally:
        nvml.nvmlShutdown()


def _ask(library: Any, function: str, *arguments: object) -> None:
    code = getattr(library, function)(*arguments)
    if code:
        raise HardwareMissing(f"{_NEEDS}, and the driver's {function} fails with {code}: {_LOOK}")
