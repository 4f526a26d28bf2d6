"""The SimpleBaselines that kdkit builds: a backbone of timm and a head of deconvolutions."""

from dataclasses import dataclass
from difflib import get_close_matches

from kdkit.errors import ConfigurationError

PREFIX = "simplebaseline_"


@dataclass(frozen=True)
class SimpleBaselineConfig:
    """What distinguishes one SimpleBaseline from another.

    Args:
        title: How people call the network, as in `SimpleBaseline-50`.
        backbone: timm's name of the classifier whose trunk it has, perhaps with the tag of its weights.
        channels: Of every deconvolution.
        output_stride: Of the backbone's last features, in pixels of the input. Less than the backbone's own
            dilates its convolutions, where timm can: finer features, more computation, fewer deconvolutions.
    """

    title: str
    backbone: str
    channels: int = 256
    output_stride: int | None = None


# Those that are tested; any other backbone of timm is found by `config_for`.
CONFIGS = {
    PREFIX + config.backbone: config
    for config in (
        SimpleBaselineConfig("SimpleBaseline-18", "resnet18"),
        SimpleBaselineConfig("SimpleBaseline-50", "resnet50"),
        SimpleBaselineConfig("SimpleBaseline on MobileNetV2", "mobilenetv2_100"),
        SimpleBaselineConfig("SimpleBaseline on MobileNetV3-Large", "mobilenetv3_large_100"),
        SimpleBaselineConfig("SimpleBaseline on EfficientNet-Lite0", "efficientnet_lite0"),
    )
}


def config_for(name: str) -> SimpleBaselineConfig | None:
    """Return the configuration of `simplebaseline_<timm name>`, None for a name of another form.

    Raises:
        ConfigurationError: timm has no such model; those of similar names are given.
    """
    if name in CONFIGS:
        return CONFIGS[name]
    if not name.startswith(PREFIX):
        return None
    import timm

    backbone = name.removeprefix(PREFIX)
    if not timm.is_model(backbone):
        near = get_close_matches(backbone, timm.list_models(), n=4)
        remedy = f"perhaps one of {', '.join(near)}" if near else "timm.list_models() gives their names"
        raise ConfigurationError(f"{name!r}: timm has no model {backbone!r}; {remedy}")
    return SimpleBaselineConfig(f"SimpleBaseline on {backbone}", backbone)
