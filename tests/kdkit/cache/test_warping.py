import math

import pytest
import torch
from torch import Tensor

from kdkit.cache import warp_maps

NONE = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def reference(maps: Tensor, warp: Tensor) -> Tensor:
    """The same, one cell after the other, in double precision."""
    result = torch.zeros_like(maps, dtype=torch.float64)
    rows, columns = maps.shape[-2:]
    for sample, matrix in enumerate(warp.double()):
        for row in range(rows):
            for column in range(columns):
                x, y = (matrix[:, :2] @ torch.tensor([column, row]).double() + matrix[:, 2]).tolist()
                for i in (math.floor(y), math.floor(y) + 1):
                    for j in (math.floor(x), math.floor(x) + 1):
                        if 0 <= i < rows and 0 <= j < columns:
                            weight = (1 - abs(y - i)) * (1 - abs(x - j))
                            result[sample, :, row, column] += weight * maps[sample, :, i, j].double()
    return result


@pytest.mark.parametrize("size", [(8, 6), (5, 16), (1, 7), (3, 1)])
def test_it_is_bilinear_with_zeros_outside(size):
    torch.manual_seed(0)
    maps, warp = torch.randn(4, 3, *size), NONE + 0.3 * torch.randn(4, 2, 3)
    torch.testing.assert_close(warp_maps(maps, warp).double(), reference(maps, warp), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(64, 48), (96, 72), (7, 5), (1, 1)])
def test_cells_that_come_from_cells_are_exact(size):
    torch.manual_seed(0)
    maps = torch.randn(2, 3, *size)
    rounded = NONE + 1e-10 * torch.randn(2, 2, 3)  # as rounding in its making leaves it
    assert torch.equal(warp_maps(maps, rounded), maps)
    mirrored = torch.tensor([[-1.0, 0.0, size[1] - 1.0], [0.0, 1.0, 0.0]]).expand(2, 2, 3)
    assert torch.equal(warp_maps(maps, mirrored), maps.flip(-1))


def test_a_sample_is_warped_as_it_is_alone():
    torch.manual_seed(0)
    maps, warp = torch.randn(3, 2, 8, 6), NONE + 0.3 * torch.randn(3, 2, 3)
    together = warp_maps(maps, warp)
    for sample in range(3):
        alone = warp_maps(maps[sample : sample + 1], warp[sample : sample + 1])
        assert torch.equal(together[sample : sample + 1], alone)


def test_autocast_takes_nothing_from_it():
    torch.manual_seed(0)
    maps, warp = torch.randn(2, 2, 8, 6), NONE + 0.3 * torch.randn(2, 2, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = warp_maps(maps, warp)
    assert torch.equal(cast, warp_maps(maps, warp))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_it_runs_on_the_maps_device_and_waits_for_nothing():
    torch.manual_seed(0)
    maps, warp = torch.randn(4, 3, 64, 48), NONE + 0.3 * torch.randn(4, 2, 3)
    moved, place = maps.cuda(), warp.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        warped = warp_maps(moved, place)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(warped.cpu(), warp_maps(maps, warp), atol=1e-4, rtol=0)
    assert torch.equal(warp_maps(moved, NONE.cuda().expand(4, 2, 3)).cpu(), maps)
