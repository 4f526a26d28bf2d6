"""Several networks side by side, for students that teach each other."""

from collections.abc import Mapping

from torch import Tensor, nn

from kdkit.errors import ConfigurationError


class Peers(nn.ModuleDict):
    """Networks run on the same inputs; their outputs carry their names.

    As the module of one :class:`~kdkit.Student`, they train together, and :class:`~kdkit.Imitate` lets them
    teach each other. After training, ``peers["a"].state_dict()`` is one network's.

    Args:
        networks: at least two networks by name.

    Raises:
        ConfigurationError: if there are fewer than two.

    Source: Zhang et al., Deep Mutual Learning (arXiv 1706.00384).

    Example:
        >>> import torch
        >>> peers = Peers({"a": nn.Conv2d(3, 5, 1), "b": nn.Conv2d(3, 5, 3, padding=1)})
        >>> sorted(peers(torch.zeros(2, 3, 8, 8)))
        ['a', 'b']
    """

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        super().__init__(networks)
        if len(self) < 2:
            raise ConfigurationError(f"Peers needs at least two networks to teach each other, found {list(self)}")

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Return each network's tensor by its name; where it returns a mapping, as ``name.key``."""
        given: dict[str, Tensor] = {}
        for name, network in self.items():
            result = network(*inputs)
            if isinstance(result, Mapping):
                given.update({f"{name}.{key}": value for key, value in result.items()})
            else:
                given[name] = result
        return given
