import dataclasses

import pytest
import timm
import torch
from torch import Tensor, nn

from kdkit import Student
from kdkit.errors import BatchError, ConfigurationError
from kdkit_pose import models
from kdkit_pose.models import SimpleBaseline, SimpleBaselineConfig
from kdkit_pose.models.timm_backbone import build_backbone, inspect_backbone

# timm's tiny networks for tests, which behave as the large ones they are named for.
SMALL = "simplebaseline_test_resnet"


def test_entries_are_named_as_in_the_official_repository() -> None:
    with torch.device("meta"):
        model = models.create("simplebaseline_resnet50")
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert len(shapes) == 338
    assert shapes["backbone.conv1.weight"] == (64, 3, 7, 7)
    assert shapes["backbone.layer4.0.downsample.1.running_var"] == (2048,)
    assert shapes["backbone.layer3.5.conv3.weight"] == (1024, 256, 1, 1)
    assert shapes["deconv_layers.0.weight"] == (2048, 256, 4, 4)
    assert shapes["deconv_layers.7.running_mean"] == (256,)
    assert shapes["final_layer.weight"] == (17, 256, 1, 1)
    assert {key.split(".")[0] for key in shapes} == {"backbone", "deconv_layers", "final_layer"}
    assert {key.split(".")[1] for key in shapes if key.startswith("deconv_layers.")} == {
        "0",
        "1",
        "3",
        "4",
        "6",
        "7",
    }
    official = {key.removeprefix("backbone.") for key in shapes}
    assert {model.own_name(key) for key in official} == set(shapes)


def test_a_masks_entry_keeps_its_name() -> None:
    assert models.create(SMALL).own_name("mask_fusion.stem.weight") == "mask_fusion.stem.weight"


def test_heatmaps_are_the_heads_of_what_the_backbone_returns(image: Tensor, random_weights) -> None:
    model = random_weights(models.create(SMALL)).eval()
    backbone = timm.create_model("test_resnet", features_only=True)
    backbone.load_state_dict(model.backbone.state_dict())
    features = backbone.eval()(image)[-1]
    for layer in model.deconv_layers:
        features = layer(features)
    torch.testing.assert_close(model(image), model.final_layer(features), rtol=0, atol=0)


BACKBONES = ["test_resnet", "test_efficientnet", "convnext_atto", "vgg11", "repvgg_a0", "test_vit"]


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("fusion", ["none", "concat"])
def test_many_a_backbone_will_do(backbone: str, fusion: str, image: Tensor, mask: Tensor) -> None:
    with torch.device("meta"):
        model = models.create(f"simplebaseline_{backbone}", 3, mask_fusion=fusion)
    heatmaps = model(*(value.to("meta") for value in (image, mask)[: len(model.inputs)]))
    assert heatmaps.shape == (2, 3, 16, 8)
    heatmaps.sum().backward()
    assert [key for key, value in model.named_parameters() if value.grad is None] == []


def test_parallel_first_convolutions_are_all_widened(image: Tensor, mask: Tensor) -> None:
    torch.manual_seed(0)
    plain = models.create("simplebaseline_repvgg_a0").eval()
    torch.manual_seed(0)
    aware = models.create("simplebaseline_repvgg_a0", mask_fusion="concat").eval()
    with torch.no_grad():
        torch.testing.assert_close(aware(image, mask), plain(image), rtol=1e-4, atol=1e-6)
    state = aware.state_dict()
    assert sorted(key for key, value in state.items() if value.ndim == 4 and value.shape[1] == 4) == [
        "backbone.stem.conv_1x1.conv.weight",
        "backbone.stem.conv_kxk.conv.weight",
    ]


def test_what_no_heatmap_depends_on_is_not_trained(image: Tensor) -> None:
    with torch.device("meta"):
        model = models.create("simplebaseline_hrnet_w18_small")
    model(image.to("meta")).sum().backward()
    unread = [key for key, value in model.named_parameters() if value.grad is None]
    assert unread
    assert unread == [key for key, value in model.named_parameters() if not value.requires_grad]


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("name", [SMALL, "simplebaseline_hrnet_w18_small"])
def test_the_same_is_trained_of_a_network_built_without_gradients(name: str, context: type) -> None:
    with torch.device("meta"):
        plain = models.create(name)
        with context():
            model = models.create(name)
    trained = [key for key, value in model.named_parameters() if value.requires_grad]
    assert trained == [key for key, value in plain.named_parameters() if value.requires_grad]
    assert any(key.startswith("backbone.") for key in trained)


def test_a_backbone_without_gradients_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def detached(*arguments: object) -> nn.Module:
        backbone = build_backbone(*arguments)  # type: ignore[arg-type]
        forward = backbone.forward
        backbone.forward = lambda image: [value.detach() for value in forward(image)]
        return backbone

    monkeypatch.setattr("kdkit_pose.models.timm_backbone.build_backbone", detached)
    with pytest.raises(ConfigurationError, match=r"'test_resnet' cannot be a backbone here.*no gradient"):
        models.create(SMALL)


def test_features_are_the_last_of_each_stride(image: Tensor, random_weights) -> None:
    names = ("stride16", "stride4", "stride32")
    model = random_weights(models.create(SMALL, features=names)).eval()
    outputs = model(image)
    assert list(outputs) == ["heatmap", *names]
    backbone = timm.create_model("test_resnet", features_only=True).eval()
    backbone.load_state_dict(model.backbone.state_dict())
    by_stride = dict(zip((2, 4, 8, 16, 32), backbone(image), strict=True))
    for name in names:
        torch.testing.assert_close(outputs[name], by_stride[int(name.removeprefix("stride"))], rtol=0, atol=0)
    plain = models.create(SMALL).eval()
    plain.load_state_dict(model.state_dict(), strict=True)
    torch.testing.assert_close(plain(image), outputs["heatmap"], rtol=0, atol=0)


def test_features_do_not_change_the_initial_weights() -> None:
    states = []
    for features in ((), ("stride8",)):
        torch.manual_seed(5)
        states.append(models.create(SMALL, features=features).state_dict())
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


def test_a_student_may_name_any_submodule(image: Tensor) -> None:
    student = Student(models.create(SMALL), features={"fine": "deconv_layers.5"})
    assert student({"image": image})["fine"].shape == (2, 256, 8, 4)


@pytest.mark.parametrize(("stride", "deconvolutions"), [(32, 3), (16, 2), (8, 1)])
def test_a_finer_backbone_needs_fewer_deconvolutions(stride: int, deconvolutions: int, image: Tensor) -> None:
    config = SimpleBaselineConfig("dilated", "resnet18", channels=32, output_stride=stride)
    with torch.device("meta"):
        model = SimpleBaseline("dilated", config, 4)
        assert model(image.to("meta")).shape == (2, 4, 16, 8)
    found = [layer for layer in model.deconv_layers if isinstance(layer, nn.ConvTranspose2d)]
    assert [(layer.in_channels, layer.out_channels) for layer in found] == [(512, 32), (32, 32), (32, 32)][
        :deconvolutions
    ]


def test_first_steps_reach_the_backbone_and_learn(image: Tensor) -> None:
    torch.manual_seed(0)
    model = models.create(SMALL, num_keypoints=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    target = torch.rand(2, 2, 16, 8)
    losses = []
    for _ in range(12):
        loss = (model(image) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    assert model.backbone.conv1[0].weight.grad.any()


def test_compiles_to_one_graph(image: Tensor, mask: Tensor) -> None:
    model = models.create(SMALL, mask_fusion="concat", features=("stride8",)).eval()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(image, mask), model(image, mask))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("simplebaseline_resnt50", {}, ["no model 'resnt50'", "resnet50"]),
        ("simplebaseline_qqqqqqqqqqq", {}, ["no model 'qqqqqqqqqqq'", "timm.list_models()"]),
        ("simplebaseline_", {}, ["no model ''"]),
        ("simplebaseline_vit_tiny_patch16_224", {}, ["'vit_tiny_patch16_224' cannot be a backbone", "any size"]),
        (SMALL, {"mask_fusion": "add"}, [SMALL, "'add'", "none, concat, multiply"]),
        (SMALL, {"features": ("layer1",)}, ["'layer1'", "stride2, stride4, stride8, stride16, stride32"]),
        ("simplebaseline_convnext_atto", {"features": ("stride2",)}, ["'stride2'", "from stride4"]),
        ("simplebaseline_resnetv2_50x1_bit", {"mask_fusion": "concat"}, ["resnetv2_50x1_bit", "take 'multiply'"]),
    ],
)
def test_what_cannot_be_built_is_said_with_the_choices(name: str, options: dict, words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        models.create(name, **options)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize("stride", [4, 14, 24, 64])
def test_a_backbone_of_an_odd_stride_is_refused(stride: int, monkeypatch: pytest.MonkeyPatch) -> None:
    info = dataclasses.replace(inspect_backbone("test_resnet", None), stride=stride, indices={stride: 4})
    monkeypatch.setattr("kdkit_pose.models.simple_baseline.inspect_backbone", lambda *_: info)
    with pytest.raises(ConfigurationError, match=f"ends at stride {stride}; deconvolutions bring 8, 16 or 32"):
        models.create(SMALL)


def test_a_backbone_of_other_features_than_it_declares_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def channels_last(*arguments: object) -> nn.Module:
        backbone = build_backbone(*arguments)  # type: ignore[arg-type]
        forward = backbone.forward
        backbone.forward = lambda image: [value.permute(0, 2, 3, 1) for value in forward(image)]
        return backbone

    monkeypatch.setattr("kdkit_pose.models.timm_backbone.build_backbone", channels_last)
    with pytest.raises(ConfigurationError, match="should return 96 channels at stride 32"):
        models.create(SMALL)


def test_a_size_that_would_not_line_up_is_refused() -> None:
    with pytest.raises(BatchError, match="multiples of 32"):
        models.create(SMALL)(torch.zeros(1, 3, 64, 48))


def test_looking_at_a_backbone_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    inspect_backbone("test_resnet", None)
    assert torch.equal(torch.get_rng_state(), before)
