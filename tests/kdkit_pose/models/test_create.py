"""What holds for every network that `create` knows."""

import copy
import pickle

import pytest
import torch
from torch import Tensor

from kdkit.errors import BatchError, ConfigurationError
from kdkit_pose import models

# The small ones of each family; the others differ in numbers only.
RUN = ("hrnet_w8_small", "simplebaseline_test_resnet", "hourglass4_128")
# All but the large HRNets, which differ from the smallest in numbers only.
every_kind = pytest.mark.parametrize(
    "name", [name for name in models.names() if not name.startswith("hrnet") or name in RUN]
)
a_few_networks = pytest.mark.parametrize("name", RUN)


def smallest() -> tuple[Tensor, Tensor]:
    """Images and masks of the smallest size that every network reads."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 128, 64, generator=generator), torch.rand(2, 1, 128, 64, generator=generator)


def test_the_tested_networks_are_listed() -> None:
    assert {
        "hrnet_w16",
        "hrnet_w48",
        "simplebaseline_resnet18",
        "simplebaseline_resnet50",
        "simplebaseline_mobilenetv2_100",
        "simplebaseline_mobilenetv3_large_100",
        "simplebaseline_efficientnet_lite0",
        "hourglass4_128",
    } <= set(models.names())
    assert len(set(models.names())) == len(models.names())


@every_kind
def test_maps_an_image_to_heatmaps_at_a_quarter(name: str) -> None:
    with torch.device("meta"):
        model = models.create(name, num_keypoints=5)
        assert model(torch.empty(2, 3, 128, 192)).shape == (2, 5, 32, 48)
    assert model.name == name
    assert model.num_keypoints == 5
    assert model.inputs == ("image",)
    assert model.heatmap_outputs[0] == "heatmap"


@every_kind
def test_head_prefixes_are_of_all_that_the_number_of_keypoints_shapes(name: str) -> None:
    with torch.device("meta"):
        few, many = (models.create(name, num_keypoints=count) for count in (5, 6))
    shapes = {key: value.shape for key, value in many.state_dict().items()}
    changed = [key for key, value in few.state_dict().items() if value.shape != shapes[key]]
    assert changed
    assert [key for key in changed if not key.startswith(few.head_prefixes)] == []


@every_kind
def test_own_names_stay(name: str) -> None:
    with torch.device("meta"):
        model = models.create(name)
    assert [key for key in model.state_dict() if model.own_name(key) != key] == []


@every_kind
def test_the_heatmaps_depend_on_every_parameter(name: str) -> None:
    with torch.device("meta"):
        model = models.create(name, mask_fusion="concat")
    model(*(value.to("meta") for value in smallest())).square().sum().backward()
    assert [key for key, value in model.named_parameters() if value.grad is None] == []
    assert all(value.requires_grad for value in model.parameters())


@every_kind
def test_the_first_heatmaps_are_nearly_zero(name: str) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        heatmaps = models.create(name)(smallest()[0])
    assert 0 < heatmaps.abs().mean() < 0.03


@a_few_networks
def test_the_same_seed_gives_the_same_network(name: str) -> None:
    states = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        states.append(models.create(name).state_dict())
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    assert any(not torch.equal(value, states[2][key]) for key, value in states[0].items())


@pytest.mark.parametrize(
    ("name", "fusion"),
    [
        (name, fusion)
        for name in RUN
        for fusion in ("concat", "multiply", "add")
        if not (name.startswith("simplebaseline") and fusion == "add")
    ],
)
def test_a_mask_aware_network_starts_equal_to_the_one_that_reads_no_mask(
    name: str, fusion: str, random_weights
) -> None:
    plain = random_weights(models.create(name)).eval()
    aware = models.create(name, mask_fusion=fusion).eval()
    state = aware.state_dict()
    for key, value in plain.state_dict().items():
        state[key] = value if state[key].shape == value.shape else torch.cat([value, state[key][:, 3:]], dim=1)
    aware.load_state_dict(state)
    image, mask = smallest()
    if fusion == "multiply":
        mask = torch.ones_like(mask)
    with torch.no_grad():
        torch.testing.assert_close(aware(image, mask), plain(image), rtol=1e-4, atol=1e-5)
    # Once its kernel is not zero, the mask counts.
    for key, value in aware.state_dict().items():
        if key.startswith("mask_fusion."):
            value.fill_(1.0)
        elif value.ndim == 4 and value.shape[1] == 4 and plain.state_dict()[key].shape[1] == 3:
            value[:, 3:].fill_(1.0)
    with torch.no_grad():
        assert not torch.equal(aware(image, mask / 2), plain(image))


@a_few_networks
def test_copies_and_a_saved_file_give_equal_outputs(name: str, random_weights, tmp_path) -> None:
    model = random_weights(models.create(name)).eval()
    image = smallest()[0]
    expected = model(image)
    models.save(model, tmp_path / "model.safetensors")
    twins = [copy.deepcopy(model), pickle.loads(pickle.dumps(model)), models.load(tmp_path / "model.safetensors")]
    for twin in twins:
        assert torch.equal(twin.eval()(image), expected)
        assert models.describe(twin) == models.describe(model)


@a_few_networks
def test_a_size_that_would_not_line_up_is_refused(name: str) -> None:
    model = models.create(name)
    for size in ((128 + model.size_multiple // 2, 64), (128, 63)):
        with pytest.raises(BatchError, match=f"multiples of {model.size_multiple}"):
            model(torch.zeros(1, 3, *size))


@a_few_networks
def test_a_mask_too_many_or_missing_is_refused(name: str) -> None:
    image, mask = smallest()
    with pytest.raises(BatchError, match="without a mask fusion"):
        models.create(name)(image, mask)
    with pytest.raises(BatchError, match="reads a mask, but none was given"):
        models.create(name, mask_fusion="concat")(image)


@a_few_networks
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"mask_fusion": "gate"}, ["gate", "none, concat, multiply"]),
        ({"features": ("layer77",)}, ["layer77", "choose from"]),
        ({"num_keypoints": 0}, ["num_keypoints is 0"]),
    ],
)
def test_wrong_arguments_are_named_with_the_choices(
    name: str, arguments: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        models.create(name, **arguments)  # type: ignore[arg-type]
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("name", ["hrnet_w64", "resnet50", "", "simplebaseline"])
def test_an_unknown_name_is_answered_with_those_there_are(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        models.create(name)
    assert all(word in str(caught.value) for word in (repr(name), *models.names(), "simplebaseline_<"))
