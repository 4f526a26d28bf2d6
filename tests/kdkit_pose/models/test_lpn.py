import hashlib

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from kdkit_pose import models
from kdkit_pose.models import LPNConfig, PoseLPN
from kdkit_pose.models.lpn_blocks import GlobalContext

# Of the official repository's table (zhang943/lpn-pytorch): blocks, parameters in millions, "GFLOPs" at 256x192.
# Its GFLOPs are multiply-accumulates of convolutions and products, divided by 2^30.
PUBLISHED = [
    ((3, 4, 6, 3), 2.9, 1.0),
    ((3, 4, 23, 3), 5.3, 1.4),
    ((3, 8, 36, 3), 7.4, 1.8),
]


def multiply_accumulates(model: torch.nn.Module, height: int, width: int) -> int:
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, height, width, device="meta"))
    # a multiply-accumulate is counted as two operations
    return counter.get_total_flops() // 2


@pytest.mark.parametrize(("blocks", "millions", "giga"), PUBLISHED)
def test_has_the_published_size(blocks: tuple[int, int, int, int], millions: float, giga: float) -> None:
    with torch.device("meta"):
        model = PoseLPN("lpn", LPNConfig("LPN", blocks), 17).eval()
    # the table's 5.3 is 5.353
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.054)
    assert round(multiply_accumulates(model, 256, 192) / 2**30, 1) == giga


def test_lpn_50_exactly() -> None:
    with torch.device("meta"):
        model = models.create("lpn_50").eval()
    assert model.title == "LPN-50"
    assert sum(parameter.numel() for parameter in model.parameters()) == 2_911_153
    assert multiply_accumulates(model, 256, 192) == 1_069_717_504
    assert round(multiply_accumulates(model, 256, 256) / 2**30, 1) == 1.3  # published with the MPII results


def test_entries_are_named_as_in_the_official_repository() -> None:
    with torch.device("meta"):
        state = models.create("lpn_50").state_dict()
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    assert shapes["conv1.weight"] == (64, 3, 7, 7)
    assert shapes["layer1.0.conv2.weight"] == (64, 1, 3, 3)
    assert shapes["layer1.0.att.conv_mask.bias"] == (1,)
    assert shapes["layer2.0.downsample.1.running_var"] == (128,)
    assert shapes["layer4.2.att.channel_add_conv.1.weight"] == (32, 1, 1)
    assert shapes["deconv_layers.0.weight"] == (512, 1, 4, 4)
    assert shapes["deconv_layers.6.weight"] == (256, 1, 4, 4)
    assert shapes["final_layer.weight"] == (17, 256, 1, 1)
    assert "layer1.0.downsample.0.weight" not in shapes
    assert len(shapes) == 466
    # all of them, as they were compared with those of the official code
    listing = "\n".join(f"{key} {shapes[key]}" for key in sorted(shapes))
    digest = hashlib.sha256(listing.encode()).hexdigest()
    assert digest == "49400d19e34c494bed3cc5709205ea4bb6bbe59580988bba8022380386c6f1f9"


def test_the_global_context_starts_as_the_identity() -> None:
    features = torch.randn(2, 32, 4, 3)
    assert torch.equal(GlobalContext(32)(features), features)


def test_the_global_context_is_added_alike_everywhere() -> None:
    block = GlobalContext(32)
    torch.nn.init.normal_(block.channel_add_conv[3].weight)
    features = torch.randn(2, 32, 4, 3)
    added = block(features) - features
    torch.testing.assert_close(added, added[:, :, :1, :1].expand_as(added))
    # and does not depend on where things are
    torch.testing.assert_close(block(features.flip(3)).flip(3), block(features))


def test_sides_in_multiples_of_16_do() -> None:
    with torch.device("meta"):
        assert models.create("lpn_50")(torch.empty(1, 3, 208, 144)).shape == (1, 17, 52, 36)
