"""What NVIDIA's libraries look like from outside, over numpy on the processor.

Names, arguments and their order are those of cuquantum-python-cu13 26.9.0, CuPy 14.2, the CUDA driver and NVML, read in
their sources. Pointers are real addresses, so what is handed over in the wrong order gives wrong numbers.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from enum import IntEnum
from itertools import count
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from backends.gpu import Gpu

GB = 10**9
A100 = Gpu("NVIDIA A100", 80 * GB, 79 * GB, (13, 0), 400.0)


class ComputeType(IntEnum):
    COMPUTE_DEFAULT = 0
    COMPUTE_64F = 1 << 4


class cudaDataType(IntEnum):  # noqa: N801  # as it is called there
    CUDA_C_32F = 4
    CUDA_C_64F = 5


class MatrixLayout(IntEnum):
    COL = 0
    ROW = 1


class SamplerOutput(IntEnum):
    RANDNUM_ORDER = 0
    ASCENDING_ORDER = 1


class cuStateVecError(Exception):  # noqa: N801
    pass


def _at(address: int, shape: int | tuple[int, ...], dtype: Any) -> np.ndarray:
    """The array that lies at an address."""
    num_byte = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_char * num_byte).from_address(address), dtype=dtype).reshape(shape)


class CuStateVec(ModuleType):
    """``cuquantum.bindings.custatevec``."""

    MatrixLayout = MatrixLayout
    SamplerOutput = SamplerOutput
    cuStateVecError = cuStateVecError  # noqa: N815

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.samplers: dict[int, np.ndarray] = {}
        self.num_gates = 0
        self._numbers = count(1)

    def create(self) -> int:
        return 1

    def apply_matrix_get_workspace_size(
        self,
        handle: int,
        sv_data_type: int,
        n_index_bits: int,
        matrix: int,
        matrix_data_type: int,
        layout: int,
        adjoint: int,
        n_targets: int,
        n_controls: int,
        compute_type: int,
    ) -> int:
        return 0

    def apply_matrix(
        self,
        handle: int,
        sv: int,
        sv_data_type: int,
        n_index_bits: int,
        matrix: int,
        matrix_data_type: int,
        layout: int,
        adjoint: int,
        targets: Sequence[int],
        n_targets: int,
        controls: Sequence[int],
        control_bit_values: Sequence[int],
        n_controls: int,
        compute_type: int,
        extra_workspace: int,
        extra_workspace_size_in_bytes: int,
    ) -> None:
        assert (handle, sv_data_type, matrix_data_type) == (1, cudaDataType.CUDA_C_64F, cudaDataType.CUDA_C_64F)
        assert (n_targets, n_controls) == (len(targets), len(controls))
        assert compute_type == ComputeType.COMPUTE_64F
        state = _at(sv, 2**n_index_bits, np.complex128)
        gate = _at(matrix, (2**n_targets, 2**n_targets), np.complex128)
        gate = gate.T if layout == MatrixLayout.COL else gate
        gate = gate.conj().T if adjoint else gate
        index = np.arange(2**n_index_bits)
        asked = np.ones(len(index), dtype=bool)
        for bit, value in [*((bit, 0) for bit in targets), *zip(controls, control_bit_values, strict=True)]:
            asked &= (index >> bit & 1) == value
        rows = [sum((row >> bit & 1) << target for bit, target in enumerate(targets)) for row in range(len(gate))]
        places = index[asked] + np.array(rows)[:, None]
        state[places] = gate @ state[places]
        self.num_gates += 1

    def sampler_create(
        self, handle: int, sv: int, sv_data_type: int, n_index_bits: int, n_max_shots: int
    ) -> tuple[int, int]:
        assert sv_data_type == cudaDataType.CUDA_C_64F
        assert not self.samplers, "two state vectors at once"
        number = next(self._numbers)
        self.samplers[number] = np.abs(_at(sv, 2**n_index_bits, np.complex128)) ** 2
        return number, 64

    def sampler_preprocess(
        self, handle: int, sampler: int, extra_workspace: int, extra_workspace_size_in_bytes: int
    ) -> None:
        assert extra_workspace_size_in_bytes == 64

    def sampler_sample(
        self,
        handle: int,
        sampler: int,
        bit_strings: int,
        bit_ordering: Sequence[int],
        bit_string_len: int,
        randnums: int,
        n_shots: int,
        output: int,
    ) -> None:
        assert bit_string_len == len(bit_ordering)
        assert output == SamplerOutput.RANDNUM_ORDER
        weights = self.samplers[sampler]
        index = np.arange(len(weights))
        outcome = sum((index >> bit & 1) << place for place, bit in enumerate(bit_ordering))
        marginal = np.bincount(outcome, weights, minlength=2**bit_string_len)
        cumulative = np.cumsum(marginal)
        chances = _at(randnums, n_shots, np.float64)
        _at(bit_strings, n_shots, np.int64)[:] = np.searchsorted(cumulative, chances * cumulative[-1], side="right")

    def sampler_destroy(self, sampler: int) -> None:
        del self.samplers[sampler]


class NetworkState:
    """``cuquantum.tensornet.experimental.NetworkState``: qubit i is axis i."""

    num_live = 0

    def __init__(
        self,
        state_mode_extents: Sequence[int],
        *,
        dtype: str = "complex128",
        pure_state: bool = True,
        config: object = None,
        state_labels: object = None,
        options: object = None,
    ) -> None:
        assert dtype == "complex128"
        assert type(self).num_live == 0, "two networks at once"
        self._state = np.zeros(tuple(state_mode_extents), dtype=dtype)
        self._state.flat[0] = 1.0
        self._applied = False
        type(self).num_live += 1

    def apply_tensor_operator(
        self,
        modes: Sequence[int],
        operand: np.ndarray,
        *,
        control_modes: Sequence[int] | None = None,
        control_values: Sequence[int] | None = None,
        immutable: bool = False,
        adjoint: bool = False,
        unitary: bool | None = None,
        diagonal: bool = False,
        gradient: bool | None = None,
        stream: object = None,
    ) -> int:
        assert operand.ndim == 2 * len(modes)
        controls = dict(zip(control_modes or (), control_values or (), strict=True))
        where = tuple(controls.get(axis, slice(None)) for axis in range(self._state.ndim))
        free = [axis for axis in range(self._state.ndim) if axis not in controls]
        axes = [free.index(mode) for mode in modes]
        half = len(modes)
        image = np.tensordot(operand, self._state[where], (range(half, 2 * half), axes))
        self._state[where] = np.moveaxis(image, range(half), axes)
        self._applied = True
        return 0

    def _marginal(self, modes: Sequence[int]) -> np.ndarray:
        if not self._applied:
            raise RuntimeError("Sampling cannot be performed before operands or NetworkOperator has been applied.")
        rest = tuple(axis for axis in range(self._state.ndim) if axis not in modes)
        kept = sorted(modes)
        return np.transpose((np.abs(self._state) ** 2).sum(axis=rest), [kept.index(mode) for mode in modes])

    def compute_reduced_density_matrix(
        self,
        where: Sequence[int],
        *,
        fixed: Mapping[int, int] | None = None,
        diagonal: bool = False,
        stream: object = None,
        release_workspace: bool = False,
    ) -> np.ndarray:
        assert diagonal, "the whole matrix would be squared in size"
        return self._marginal(where).astype(np.complex128)

    def compute_sampling(
        self,
        nshots: int,
        *,
        modes: Sequence[int] | None = None,
        seed: int | None = None,
        stream: object = None,
        release_workspace: bool = False,
    ) -> dict[str, int]:
        assert modes is not None
        if seed is None or not 0 < seed < 2**31:
            raise ValueError("seed must be a positive integer")
        weights = self._marginal(modes)
        drawn = np.random.default_rng(seed).choice(weights.size, nshots, p=weights.ravel() / weights.sum())
        values, numbers = np.unique(drawn, return_counts=True)
        return {
            f"{value:0{len(modes)}b}": int(number)
            for value, number in zip(values.tolist(), numbers.tolist(), strict=True)
        }

    def free(self) -> None:
        type(self).num_live -= 1


def modules(free_byte: int = 79 * GB) -> dict[str, ModuleType]:
    """The libraries by the names under which they are imported."""
    cupy, cuquantum = ModuleType("cupy"), ModuleType("cuquantum")
    bindings, tensornet = ModuleType("cuquantum.bindings"), ModuleType("cuquantum.tensornet")
    custatevec = CuStateVec("cuquantum.bindings.custatevec")
    experimental = ModuleType("cuquantum.tensornet.experimental")

    class Array(np.ndarray):
        data = property(lambda self: SimpleNamespace(ptr=self.ctypes.data))  # type: ignore[assignment]

    cupy.complex128 = np.complex128  # type: ignore[attr-defined]
    cupy.zeros = lambda size, dtype: np.zeros(size, dtype).view(Array)  # type: ignore[attr-defined]
    cupy.get_default_memory_pool = lambda: SimpleNamespace(free_all_blocks=lambda: None)  # type: ignore[attr-defined]
    cupy.cuda = SimpleNamespace(  # type: ignore[attr-defined]
        alloc=lambda num_byte: SimpleNamespace(ptr=0),
        runtime=SimpleNamespace(memGetInfo=lambda: (free_byte, 80 * GB)),
    )
    cuquantum.ComputeType, cuquantum.cudaDataType = ComputeType, cudaDataType  # type: ignore[attr-defined]
    bindings.custatevec = custatevec  # type: ignore[attr-defined]
    experimental.NetworkState = NetworkState  # type: ignore[attr-defined]
    experimental.TNConfig = lambda num_hyper_samples=None: num_hyper_samples  # type: ignore[attr-defined]
    found = (cupy, cuquantum, bindings, custatevec, tensornet, experimental)
    return {module.__name__: module for module in found}


class Driver:
    """``libcuda`` and ``libnvidia-ml`` in one: an A100 whose NVML may know less than usual."""

    def __init__(self, *, num_devices: int = 1, init: int = 0, knows: bool = True) -> None:
        self._num_devices = num_devices
        self._init = init
        self._refusal = 0 if knows else 3  # NVML_ERROR_NOT_SUPPORTED
        self.closed = False

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self._init

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        version._obj.value = 13010
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self._num_devices
        return 0

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:  # noqa: N802
        device._obj.value = ordinal
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:  # noqa: N802
        name.value = b"NVIDIA A100"
        return 0

    def cuDeviceTotalMem_v2(self, total: Any, device: Any) -> int:  # noqa: N802
        total._obj.value = 80 * GB
        return 0

    def cuDeviceGetPCIBusId(self, bus: Any, size: int, device: Any) -> int:  # noqa: N802
        bus.value = b"0000:07:00.0"
        return 0

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return 0

    def nvmlDeviceGetHandleByPciBusId_v2(self, bus: Any, handle: Any) -> int:  # noqa: N802
        return 0 if bus.value == b"0000:07:00.0" else 6

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:  # noqa: N802
        memory._obj.free = 60 * GB
        return self._refusal

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Any, limit: Any) -> int:  # noqa: N802
        limit._obj.value = 400_000
        return self._refusal

    def nvmlShutdown(self) -> int:  # noqa: N802
        self.closed = True
        return 0
