import pytest
import torch
from torch import nn

from kdkit import ConfigurationError, Peers, Student


class Named(nn.Module):
    def forward(self, image):
        return {"heatmap": image[:, :1], "depth": image[:, 1:2]}


def test_each_networks_output_is_its_own(toy):
    networks = {"a": toy.network(seed=1).eval(), "b": toy.network(seed=2).eval()}
    student = Student(Peers(networks), outputs=("a", "b"))
    batch = toy.batch()
    for name, output in student(batch).items():
        assert torch.equal(output, networks[name](batch["image"]))


def test_mappings_are_named_by_network_and_key(toy):
    given = Peers({"a": Named(), "b": nn.Conv2d(3, 5, 1)})(torch.zeros(2, 3, 4, 4))
    assert list(given) == ["a.heatmap", "a.depth", "b"]


def test_one_networks_state_loads_into_a_plain_one(toy):
    peers = Peers({"a": toy.network(seed=1), "b": toy.network(seed=2)})
    plain = toy.network(seed=3)
    plain.load_state_dict(peers["a"].state_dict(), strict=True)
    assert torch.equal(plain[0].weight, peers["a"][0].weight)


def test_one_alone_has_no_peer(toy):
    with pytest.raises(ConfigurationError, match="at least two"):
        Peers({"a": toy.network()})
