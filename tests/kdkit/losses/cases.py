"""Every loss with its options, its reference, and how its input is drawn."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from kdkit import losses

from . import references as slow

IGNORED = 7
"""The class index that cases with an ignore_index ignore."""


@dataclass(frozen=True)
class Inputs:
    """What one call of a loss is given."""

    prediction: Tensor
    target: Tensor
    fields: dict[str, Tensor] = field(default_factory=dict)

    def map(self, function: Callable[[Tensor], Tensor]) -> "Inputs":
        fields = {name: function(value) for name, value in self.fields.items()}
        return Inputs(function(self.prediction), function(self.target), fields)


def floats(inputs: Inputs, dtype: torch.dtype) -> Inputs:
    return inputs.map(lambda value: value.to(dtype) if value.is_floating_point() else value)


Shape = tuple[int, ...]
Draw = Callable[[Shape, torch.Generator], Inputs]


def normal(shape: Shape, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def same(shape: Shape, generator: torch.Generator) -> Inputs:
    return Inputs(normal(shape, generator), normal(shape, generator))


def probabilities(shape: Shape, generator: torch.Generator) -> Inputs:
    return Inputs(normal(shape, generator), torch.rand(shape, generator=generator, dtype=torch.float64))


def two_probabilities(shape: Shape, generator: torch.Generator) -> Inputs:
    one, other = (torch.rand(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    return Inputs(0.05 + 0.9 * one, other)


def other_channels(shape: Shape, generator: torch.Generator) -> Inputs:
    batch, channels, *rest = shape
    return Inputs(normal(shape, generator), normal((batch, channels + 2, *rest), generator))


def other_everything(shape: Shape, generator: torch.Generator) -> Inputs:
    return Inputs(normal(shape, generator), normal((shape[0], 2, 7), generator))


def classes(shape: Shape, generator: torch.Generator) -> Tensor:
    """Class indices, about every third of them ignored."""
    drawn = torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=generator)
    ignored = torch.rand(drawn.shape, generator=generator) < 0.3
    return drawn.masked_fill(ignored, IGNORED)


def labelled(shape: Shape, generator: torch.Generator) -> Inputs:
    return Inputs(normal(shape, generator), normal(shape, generator), {"label": classes(shape, generator)})


def indices(shape: Shape, generator: torch.Generator) -> Inputs:
    return Inputs(normal(shape, generator), classes(shape, generator))


@dataclass(frozen=True)
class Case:
    """One loss with one choice of options.

    ``dimensions`` are the numbers of dimensions it takes; ``mixes`` says that its samples know of each other.
    """

    name: str
    reference: Callable[..., Tensor]
    options: dict[str, float] = field(default_factory=dict)
    draw: Draw = same
    dimensions: tuple[int, ...] = (2, 3, 4)
    mixes: bool = False

    def inputs(self, shape: Shape, seed: int = 0) -> Inputs:
        return self.draw(shape, torch.Generator().manual_seed(seed))

    @property
    def loss(self) -> Callable[..., Tensor]:
        return partial(getattr(losses, self.name), **self.options)

    def __call__(self, inputs: Inputs) -> Tensor:
        return self.loss(inputs.prediction, inputs.target, **inputs.fields)

    def expected(self, inputs: Inputs) -> Tensor:
        return self.reference(inputs.prediction, inputs.target, **inputs.fields, **self.options)

    @property
    def shape(self) -> Shape:
        """A shape of the most dimensions it takes."""
        return (3, 4, 4, 5)[: max(self.dimensions)]

    def __str__(self) -> str:
        return " ".join(
            [self.name, *(f"{key}={value}" for key, value in self.options.items()), self.draw.__name__]
        )


squared = slow.elementwise(lambda a, b: (a - b) ** 2)
maps_only, ignoring = (3, 4), {"ignore_index": IGNORED}
CASES = [
    Case("mse", squared),
    Case("masked_generative", squared),
    Case("hint", slow.elementwise(lambda a, b: 0.5 * (a - b) ** 2)),
    Case("l1", slow.elementwise(lambda a, b: abs(a - b))),
    Case("smooth_l1", slow.elementwise(slow.smooth)),
    Case("smooth_l1", slow.elementwise(slow.smooth), {"beta": 0.3}),
    Case("bce_with_logits", slow.elementwise(slow.binary), draw=probabilities),
    Case("bce", slow.elementwise(slow.binary_of_probability), draw=two_probabilities),
    Case("cosine", slow.at_each_position(slow.angle)),
    Case("spatial_kl", slow.spatial_kl, dimensions=maps_only),
    Case("spatial_kl", slow.spatial_kl, {"temperature": 3.0}, dimensions=maps_only),
    Case("channel_kl", slow.at_each_position(slow.channel_kl)),
    Case("channel_kl", slow.at_each_position(slow.channel_kl), {"temperature": 4.0}),
    Case("heatmap_kl", slow.heatmap_kl, dimensions=maps_only),
    Case("heatmap_kl", slow.heatmap_kl, {"temperature": 0.4}, probabilities, maps_only),
    Case("attention_transfer", slow.attention_transfer, dimensions=maps_only),
    Case("attention_transfer", slow.attention_transfer, {"power": 1.0}, other_channels, maps_only),
    Case("attention_transfer", slow.attention_transfer, {"power": 3.5}, other_channels, maps_only),
    Case("pairwise_similarity", slow.pairwise_similarity, dimensions=maps_only),
    Case("pairwise_similarity", slow.pairwise_similarity, {"patch": 2}, other_channels, (4,)),
    Case("pairwise_similarity", slow.pairwise_similarity, {"patch": 3, "max_nodes": 16}, other_channels, (4,)),
    Case("relational_distance", slow.relational_distance, mixes=True),
    Case("relational_distance", slow.relational_distance, draw=other_everything, mixes=True),
    Case("relational_angle", slow.relational_angle, mixes=True),
    Case("relational_angle", slow.relational_angle, draw=other_everything, mixes=True),
    Case("decoupled_kl", slow.decoupled_kl, ignoring, labelled),
    Case("decoupled_kl", slow.decoupled_kl, ignoring | {"alpha": 0.5, "beta": 2.0, "temperature": 1.5}, labelled),
    Case("decoupled_kl", slow.decoupled_kl, ignoring | {"alpha": 0.0}, labelled),
    Case("decoupled_kl", slow.decoupled_kl, ignoring | {"beta": 0.0, "temperature": 1.0}, labelled),
    Case("dist", slow.dist, mixes=True),
    Case("dist", slow.dist, {"inter": 0.5, "intra": 2.0, "temperature": 3.0}, mixes=True),
    Case("cross_entropy", slow.cross_entropy, ignoring, indices),
    Case("cross_entropy", slow.cross_entropy, draw=probabilities),
]
