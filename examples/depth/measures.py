"""How far a predicted depth is from the truth: losses to learn by, unreduced, and metrics to judge by."""

import torch
from torch import Tensor, nn

from kdkit import Batch


def silog(prediction: Tensor, target: Tensor, valid: Tensor, *, balance: float = 0.5) -> Tensor:
    """Return the scale-invariant error of log depths as a map, whose mean over a sample's valid pixels it is.

    With d the difference at each of n valid pixels, it is mean(d^2) - balance * mean(d)^2. Since mean(d)^2 is
    mean(d * mean(d)), a pixel's part is d^2 - balance * d * mean(d).

    Args:
        prediction: log depths [B, 1, H, W].
        target: the same shape; finite also where it is not valid.
        valid: the same shape, 1 where the target was measured and 0 elsewhere.
        balance: the part of an error common to all pixels that is forgiven, from 0 to 1.

    Source: Eigen, Puhrsch and Fergus, arXiv 1406.2283, equation 4.
    """
    error = (prediction - target) * valid
    mean = error.sum((1, 2, 3), keepdim=True) / valid.sum((1, 2, 3), keepdim=True).clamp(min=1)
    return error**2 - balance * error * mean


def laplace(prediction: Tensor, target: Tensor) -> Tensor:
    """Return -log(density) - log 2 of a target under a Laplace distribution: [B, 2, H, W], location, log scale."""
    location, log_scale = prediction.split(1, 1)
    return (location - target).abs() * (-log_scale).exp() + log_scale


def depth_metrics(depth: Tensor, truth: Tensor) -> dict[str, float]:
    """Return AbsRel, RMSE in metres, and the share wrong by a factor below 1.25, over all pixels."""
    ratio = depth / truth
    close = torch.maximum(ratio, 1 / ratio) < 1.25
    rmse = (depth - truth).square().mean().sqrt()
    return {"AbsRel": (ratio - 1).abs().mean().item(), "RMSE": rmse.item(), "delta": close.float().mean().item()}


def evaluate(network: nn.Module, batch: Batch, inputs: tuple[str, ...]) -> dict[str, float]:
    """Return a network's metrics on a batch."""
    with torch.no_grad():
        result = network.eval()(*(batch[name] for name in inputs))
    log_depth = result if isinstance(result, Tensor) else result["log_depth"]
    return depth_metrics(log_depth.exp(), batch["depth"])
