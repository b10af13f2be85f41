"""What the driver is asked, and what is made of its answers."""

from __future__ import annotations

import pytest

from backends.errors import HardwareMissing, NotHere
from backends.gpu import GPU_POWER_W, Gpu, find_gpu
from tests.backends.fake_cuda import GB, Driver


def test_a_device_is_described_by_its_driver() -> None:
    driver = Driver()
    assert find_gpu(lambda name: driver) == Gpu("NVIDIA A100", 80 * GB, 60 * GB, (13, 1), 400.0)
    assert driver.closed


def test_a_part_of_a_board_that_tells_nothing_counts_as_free_and_hungry() -> None:
    found = find_gpu(lambda name: Driver(knows=False))
    assert (found.free_byte, found.power_w) == (80 * GB, GPU_POWER_W)


def test_no_driver_no_device_and_a_broken_driver_say_what_to_look_at() -> None:
    def none(name: str) -> object:
        raise OSError(f"{name}: cannot open shared object file")

    with pytest.raises(HardwareMissing, match=r"no NVIDIA driver \(libcuda.*nvidia-smi"):
        find_gpu(none)
    with pytest.raises(HardwareMissing, match=r"shows none.*CUDA_VISIBLE_DEVICES"):
        find_gpu(lambda name: Driver(num_devices=0))
    with pytest.raises(NotHere, match="cuInit fails with 999"):
        find_gpu(lambda name: Driver(init=999))
