"""The Gaussian blur before a decoding, and what the map's border cuts off from it."""

import torch
from torch import Tensor


def blur_sigma(kernel: int) -> float:
    """The standard deviation, in pixels of the heatmap, of a blur that is ``kernel`` pixels wide.

    OpenCV's rule for a kernel without one of its own, with which the results of DARK and UDP were made: 2 for
    11, 2.9 for 17.
    """
    return 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8


def smooth(heatmap: Tensor, kernel: int, margin: int) -> Tensor:
    """``heatmap`` [B, K, h, w] after a Gaussian blur over zeros beyond its border, scaled to a maximum of 1.

    Returns:
        [B, K, h + 2 margin, w + 2 margin]: also the ``margin`` cells beyond the border on each side, where the
        map is still seen. All 0 where nothing is positive.
    """
    # Two products with band matrices: on maps of one channel faster than a convolution, and not TF32 by default.
    height, width = heatmap.shape[-2:]
    rows = _blur_matrix(height, kernel, margin, heatmap.device)
    columns = _blur_matrix(width, kernel, margin, heatmap.device)
    blurred = rows @ heatmap @ columns.T
    highest = _highest(blurred[..., margin : margin + height, margin : margin + width])
    return blurred.div_(highest)  # in place: for a batch, memory costs as much time as the division


def border_loss(
    cells: Tensor, step: Tensor, size: tuple[int, int], sigma: float, kernel: int, reach: int
) -> Tensor:
    """What the border takes from the logarithm of a blurred Gaussian; 0 where the blur sees only the map.

    A blur over zeros beyond the border makes a peak near it lean inwards. The Gaussian that is sought is known
    but for its centre, so what is missing can be told from an estimate of that.

    Args:
        cells: [B, K, 2] int64 (x, y), the highest cells.
        step: [B, K, 2], from there to the centre as far as it is known, in pixels of the heatmap.
        size: Width and height of the map.
        sigma: The Gaussian's.
        kernel: The blur's width.
        reach: Cells around the highest one that are looked at.

    Returns:
        [B, K, 2 reach + 1, 2 reach + 1], to be subtracted from the logarithms there; 0 or less.
    """
    window = _window(kernel, cells.device)
    around = torch.arange(-reach - kernel // 2, reach + kernel // 2 + 1, device=cells.device)
    profile = torch.exp(-((around - step[..., None]) ** 2) / (2 * sigma**2))
    place = cells[..., None] + around
    inside = (place >= 0) & (place < cells.new_tensor(size)[:, None])
    whole = profile.unfold(-1, kernel, 1) @ window
    seen = (profile * inside).unfold(-1, kernel, 1) @ window
    tiny = torch.finfo(seen.dtype).tiny
    loss = seen.clamp(min=tiny).log() - whole.clamp(min=tiny).log()
    return loss[..., 1, :, None] + loss[..., 0, None, :]


def _highest(heatmap: Tensor) -> Tensor:
    """The maximum [B, K, 1, 1] of each map; infinite, which makes a divided map 0, where none is positive."""
    maximum = heatmap.amax(-1, keepdim=True).amax(-2, keepdim=True)  # faster than both at once
    return torch.where(maximum > 0, maximum, torch.inf)


def _blur_matrix(size: int, kernel: int, margin: int, device: torch.device) -> Tensor:
    """The matrix [size + 2 margin, size], float32, whose product with a signal is the signal blurred."""
    cells = torch.arange(size, device=device)
    distance = (torch.arange(-margin, size + margin, device=device)[:, None] - cells).abs()
    window = _window(kernel, device)
    return torch.where(
        distance <= kernel // 2,
        window[(distance + kernel // 2).clamp(max=kernel - 1)],
        torch.zeros((), device=device),
    )


def _window(kernel: int, device: torch.device) -> Tensor:
    """The blur's weights [kernel], float32, of sum 1."""
    places = torch.arange(-(kernel // 2), kernel // 2 + 1, device=device)
    weights = torch.exp(-(places**2) / (2 * blur_sigma(kernel) ** 2))
    return weights / weights.sum()
