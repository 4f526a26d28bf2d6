"""What a file says about the network in it, beside the weights."""

import json

from kdkit import __version__
from kdkit_pose.codecs import Codec
from kdkit_pose.export.decoding import decoding_numbers, describe_decoding
from kdkit_pose.export.preprocessing import describe_preprocessing, preprocessing_numbers
from kdkit_pose.skeleton import Skeleton


def usage_metadata(
    codec: Codec, skeleton: Skeleton, *, pixels: bool = False, mask: bool = False
) -> dict[str, str]:
    """Return how a network is to be used, as strings for a file's header.

    | key | holds |
    |---|---|
    | `codec`, `codec_input_size`, `codec_sigma`, `codec_decoder` | what `codecs.from_metadata` reads |
    | `skeleton` | JSON, what `Skeleton.from_metadata` reads: names, flip pairs, limbs, OKS sigmas |
    | `preprocessing`, `preprocessing_description` | JSON of `preprocessing_numbers`; the same in words |
    | `decoding`, `decoding_description` | JSON of `decoding_numbers`; the same in words |
    | `kdkit_version` | of the kdkit that wrote the file |

    Beside these stand the keys of `models.describe`: `model`, `num_keypoints`, `mask_fusion`, and
    `activation` where the heatmaps are behind one.

    Args:
        codec: The heatmaps' convention.
        skeleton: The keypoints.
        pixels: As for `to_onnx`.
        mask: Whether the network reads the person's mask too.
    """
    return {
        **codec.to_metadata(),
        **skeleton.to_metadata(),
        "preprocessing": json.dumps(preprocessing_numbers(codec, pixels=pixels, mask=mask)),
        "preprocessing_description": describe_preprocessing(codec, pixels=pixels, mask=mask),
        "decoding": json.dumps(decoding_numbers(codec)),
        "decoding_description": describe_decoding(codec),
        "kdkit_version": __version__,
    }
