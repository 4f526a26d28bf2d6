import pytest
import torch
from torch import Tensor

from kdkit.cache import keep_width, warp_maps

NONE = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
CENTERS = torch.tensor([[[14.3, 20.8], [17.5, 15.0]]])
ZOOMED = torch.tensor([[[0.48, 0.36, 4.0], [-0.36, 0.48, 14.0]]])


def gaussians(centers: Tensor, sigma: float = 2.0) -> Tensor:
    """Maps [B, C, 40, 36] around centers [B, C, 2]."""
    x, y = torch.arange(36), torch.arange(40)
    across = (x - centers[..., 0, None]).square()[..., None, :] + (y - centers[..., 1, None]).square()[..., None]
    return torch.exp(-across / (2 * sigma**2))


def test_a_peak_goes_where_the_warp_takes_it_and_keeps_its_width():
    seen = (CENTERS - ZOOMED[:, None, :, 2]) @ torch.linalg.inv(ZOOMED[:, :, :2]).mT
    maps = gaussians(CENTERS)
    torch.testing.assert_close(warp_maps(maps, keep_width(maps, ZOOMED)), gaussians(seen), rtol=0, atol=0.08)
    assert (warp_maps(maps, ZOOMED) - gaussians(seen)).abs().max() > 0.3


def test_a_warp_that_does_not_zoom_stays_as_it_is():
    maps = gaussians(CENTERS)
    turned = torch.tensor([[[-0.6, 0.8, 20.0], [0.8, 0.6, -3.0]]])
    for warp in (turned, NONE[None]):
        torch.testing.assert_close(keep_width(maps, warp), warp[:, None].expand(1, 2, 2, 3), rtol=1e-5, atol=1e-5)
    assert torch.equal(warp_maps(maps, keep_width(maps, NONE[None])), maps)


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_map_without_a_peak_has_a_warp_too(value):
    found = keep_width(torch.full((1, 1, 5, 4), value), ZOOMED)
    assert found.isfinite().all()
    assert list(found.shape) == [1, 1, 2, 3]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_host_waits_for_nothing():
    maps, warp = gaussians(CENTERS).cuda(), ZOOMED.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = warp_maps(maps, keep_width(maps, warp))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected = warp_maps(gaussians(CENTERS), keep_width(gaussians(CENTERS), ZOOMED))
    torch.testing.assert_close(found.cpu(), expected, rtol=0, atol=1e-4)
