from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from kdkit import CheckpointError, ConfigurationError, DataError
from kdkit_pose import CocoKeypoints, Evaluator, loader, models
from kdkit_pose.codecs import DARK, MSRA
from kdkit_pose.data.masks import EncodedMask, encode_mask
from kdkit_pose.geometry import clip_box
from kdkit_pose.prediction import Predictor
from kdkit_pose.prediction.checks import encoded
from kdkit_pose.skeleton import COCO, CROWDPOSE
from kdkit_pose.synthetic import SyntheticPeople

CODEC = DARK(input_size=(32, 64))


@pytest.fixture(scope="module")
def people():
    return SyntheticPeople(3, seed=5, size=(128, 96))


def taught(network):
    """A network whose mask counts, though it enters by weights of 0 at first, and whose scores are above 0.2."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.mask_fusion.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        for name, parameter in network.named_parameters():
            if name.startswith("conv1"):
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
        network.final_layer.bias += 0.5
    return network


def predicted(predictor, people, *, masks=False):
    """What the predictor finds picture by picture with the ground truth's boxes, as the evaluator gives it."""
    content, found = people.annotations(), {}
    for entry in content["images"]:
        persons = [a for a in content["annotations"] if a["image_id"] == entry["id"]]
        size = entry["width"], entry["height"]
        encoded = [encode_mask(person["segmentation"], *size) for person in persons] if masks else None
        boxes = [clip_box(person["bbox"], *size) for person in persons]
        poses = predictor.predict(people.picture(entry), boxes, masks=encoded)
        for row in poses.distinct(COCO):
            found[persons[row]["id"]] = poses.select([row]).results(entry["id"])[0]
    return found


@pytest.mark.parametrize(
    ("fusion", "flip", "codec"),
    [("none", True, CODEC), ("none", False, MSRA(input_size=(32, 32))), ("concat", True, CODEC)],
)
def test_finds_what_the_evaluator_finds(small_network, people, fusion, flip, codec):
    network = taught(small_network(3, mask_fusion=fusion))
    masks = fusion != "none"
    data = CocoKeypoints(people.annotations(), people.picture, codec=codec, masks=masks)
    expected = Evaluator(loader(data, 4), people.annotations(), codec, flip=flip).results(network)
    found = predicted(Predictor(network, codec, flip=flip, batch_size=2), people, masks=masks)
    assert {result["id"] for result in expected} == set(found)
    for result in expected:
        mine = found[result["id"]]
        assert mine["image_id"] == result["image_id"]
        assert mine["category_id"] == result["category_id"]
        np.testing.assert_allclose(mine["keypoints"], result["keypoints"], rtol=1e-4, atol=1e-4)
        assert mine["score"] == pytest.approx(result["score"], rel=1e-4)
        assert mine["score"] > 0.2
        np.testing.assert_allclose(mine["scale"], result["scale"], rtol=1e-12)


def test_a_mask_in_the_pictures_shape_is_as_good_as_an_encoded_one(small_network, picture):
    predictor = Predictor(small_network(1, mask_fusion="multiply"), CODEC)
    mask = np.zeros(picture.shape[:2], dtype=np.uint8)
    mask[40:180, 60:130] = 1
    boxes = [[50, 30, 90, 160]]
    encoded = encode_mask([[60, 40, 130, 40, 130, 180, 60, 180]], 320, 240)
    one, other, none = (
        predictor.predict(picture, boxes, masks=[m]).keypoints for m in (mask.astype(bool), encoded, None)
    )
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert not np.allclose(one, none, atol=1e-3)


def test_without_boxes_the_picture_is_one_persons(small_network, picture):
    predictor = Predictor(small_network(), CODEC)
    whole = predictor.predict(picture)
    given = predictor.predict(picture, [[0, 0, 320, 240]])
    assert whole.boxes.tolist() == [[0, 0, 320, 240]]
    assert np.array_equal(whole.keypoints, given.keypoints)
    assert whole.keypoints.shape == (1, 17, 3)


def test_there_is_a_pose_for_each_box_in_its_order_whatever_the_batches(small_network, picture):
    network = small_network()
    rng = np.random.default_rng(0)
    boxes = np.column_stack([rng.uniform(-20, 150, (7, 2)), rng.uniform(30, 150, (7, 2))])
    trust = rng.uniform(size=7)
    all_at_once = Predictor(network, CODEC).predict(picture, boxes, box_scores=trust, heatmaps=True)
    by_two = Predictor(network, CODEC, batch_size=2).predict(picture, boxes, box_scores=trust, heatmaps=True)
    np.testing.assert_allclose(all_at_once.keypoints, by_two.keypoints, rtol=1e-4, atol=1e-3)
    assert np.array_equal(all_at_once.boxes, boxes)
    assert all_at_once.heatmaps.shape == (7, 17, 16, 8)
    for row in range(7):
        alone = Predictor(network, CODEC).predict(picture, boxes[row : row + 1], box_scores=trust[row : row + 1])
        np.testing.assert_allclose(alone.keypoints[0], all_at_once.keypoints[row], rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(alone.scores[0], all_at_once.scores[row], rtol=1e-4)


def test_a_poses_score_is_its_boxs_times_that_of_its_keypoints(small_network, picture):
    predictor = Predictor(taught(small_network()), CODEC)
    boxes = [[10, 10, 90, 200], [100, 10, 90, 200]]
    trust = np.array([0.5, 0.25])
    doubted = predictor.predict(picture, boxes, box_scores=trust)
    plain = predictor.predict(picture, boxes)
    assert (plain.scores > 0.2).all()
    np.testing.assert_allclose(doubted.scores, trust * plain.scores, rtol=1e-6)
    assert np.array_equal(plain.box_scores, [1, 1])
    assert np.array_equal(doubted.box_scores, trust)


def test_no_box_gives_no_pose(small_network, picture):
    poses = Predictor(small_network(), CODEC).predict(picture, [], heatmaps=True)
    assert len(poses) == 0
    assert poses.keypoints.shape == (0, 17, 3)
    assert poses.heatmaps.shape == (0, 17, 16, 8)
    assert poses.results(1) == []
    assert poses.distinct(COCO) == []


def test_a_box_given_twice_is_one_person(small_network, picture):
    poses = Predictor(small_network(), CODEC).predict(picture, [[10, 10, 90, 200], [10, 10, 90, 200]])
    assert len(poses) == 2
    assert len(poses.distinct(COCO)) == 1
    assert len(poses.select(poses.distinct(COCO))) == 1


def test_heatmaps_are_those_that_were_decoded(small_network, picture):
    poses = Predictor(small_network(), CODEC).predict(picture, [[10, 10, 90, 200]], heatmaps=True)
    _, scores = CODEC.decode(torch.from_numpy(poses.heatmaps))
    np.testing.assert_allclose(scores.numpy(), poses.keypoints[..., 2], rtol=1e-6)
    assert Predictor(small_network(), CODEC).predict(picture).heatmaps is None


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (7, 5, 3)])
def test_the_smallest_pictures_have_keypoints_too(small_network, shape):
    poses = Predictor(small_network(), CODEC).predict(np.full(shape, 90, dtype=np.uint8))
    assert np.isfinite(poses.keypoints).all()


def test_the_network_is_left_as_it_was(small_network, picture):
    network = small_network().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    Predictor(network, CODEC).predict(picture)
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_five_lines_from_a_file_to_keypoints(small_network, picture, tmp_path):
    network = small_network()
    metadata = {**CODEC.to_metadata(), **COCO.to_metadata()}
    models.save(network, tmp_path / "student.safetensors", **metadata)
    predictor = Predictor.from_file(tmp_path / "student.safetensors")
    assert predictor.codec == CODEC
    assert predictor.skeleton == COCO
    expected = Predictor(network, CODEC).predict(picture).keypoints
    assert np.array_equal(predictor.predict(picture).keypoints, expected)


def test_the_file_says_the_skeleton_or_one_gives_it(small_network, tmp_path):
    network = small_network(num_keypoints=14)
    models.save(network, tmp_path / "a.safetensors", **CODEC.to_metadata(), **CROWDPOSE.to_metadata())
    assert Predictor.from_file(tmp_path / "a.safetensors").skeleton == CROWDPOSE
    models.save(network, tmp_path / "b.safetensors", **CODEC.to_metadata())
    with pytest.raises(ConfigurationError, match="14 keypoints and does not say which"):
        Predictor.from_file(tmp_path / "b.safetensors")
    assert Predictor.from_file(tmp_path / "b.safetensors", skeleton=CROWDPOSE).skeleton == CROWDPOSE


def test_a_file_without_a_codec_needs_one(small_network, tmp_path):
    models.save(small_network(), tmp_path / "student.safetensors")
    with pytest.raises(ConfigurationError, match="codec"):
        Predictor.from_file(tmp_path / "student.safetensors")
    assert Predictor.from_file(tmp_path / "student.safetensors", codec=CODEC).codec == CODEC
    with pytest.raises(CheckpointError, match=r"none\.safetensors"):
        Predictor.from_file(tmp_path / "none.safetensors", codec=CODEC)


@pytest.mark.parametrize("window", [(300, 0, 40, 10), (0, 230, 10, 20), (-1, 0, 10, 10)])
def test_a_mask_of_another_picture_is_refused(window):
    with pytest.raises(DataError, match="must lie within the picture, 320 x 240 pixels"):
        encoded(EncodedMask(window, b""), 320, 240)
    inside = EncodedMask((310, 230, 10, 10), b"")
    assert encoded(inside, 320, 240) is inside


def test_a_files_codec_is_not_overridden(small_network, tmp_path):
    path = tmp_path / "student.safetensors"
    models.save(small_network(), path, **CODEC.to_metadata())
    centroid = DARK(input_size=CODEC.input_size, decoder="centroid")
    assert Predictor.from_file(path, codec=centroid).codec == centroid
    for other in (MSRA(input_size=CODEC.input_size), DARK(input_size=(64, 64)), DARK(CODEC.input_size, sigma=3.0)):
        with pytest.raises(
            ConfigurationError, match=r"student.safetensors was trained with another codec.*misread"
        ):
            Predictor.from_file(path, codec=other)


def test_a_files_keypoints_are_not_overridden(small_network, tmp_path):
    path = tmp_path / "student.safetensors"
    models.save(small_network(), path, **CODEC.to_metadata(), **COCO.to_metadata())
    assert Predictor.from_file(path, skeleton=COCO).skeleton == COCO
    renamed = replace(COCO, name="cats", keypoints=("snout", *COCO.keypoints[1:]))
    with pytest.raises(ConfigurationError, match="number 1 is 'nose' there and 'snout' here"):
        Predictor.from_file(path, skeleton=renamed)


@pytest.mark.parametrize("names", [COCO.keypoints, ("snout", *COCO.keypoints[1:])])
def test_a_file_of_mmpose_says_codec_and_keypoints(small_network, tmp_path, names):
    state = {
        ("head." if key.startswith("final_layer.") else "backbone.") + key: value
        for key, value in small_network().state_dict().items()
    }
    meta = {
        "cfg": "codec = dict(type='MSRAHeatmap', input_size=(64, 96), sigma=2)",
        "dataset_meta": {"keypoint_id2name": dict(enumerate(names))},
    }
    torch.save({"meta": meta, "state_dict": state}, tmp_path / "mmpose.pth")
    if names == COCO.keypoints:
        predictor = Predictor.from_file(tmp_path / "mmpose.pth")
        assert (predictor.codec, predictor.skeleton) == (MSRA(input_size=(64, 96)), COCO)
    else:
        with pytest.raises(ConfigurationError, match="'snout' there and 'nose' here"):
            Predictor.from_file(tmp_path / "mmpose.pth")
        cats = replace(COCO, name="cats", keypoints=names)
        assert Predictor.from_file(tmp_path / "mmpose.pth", skeleton=cats).skeleton == cats


def test_masks_are_given_where_they_are_read_and_nowhere_else(small_network, picture):
    plain, aware = Predictor(small_network(), CODEC), Predictor(small_network(mask_fusion="add"), CODEC)
    assert (plain.reads_masks, aware.reads_masks) == (False, True)
    with pytest.raises(ConfigurationError, match="reads each person's mask: give masks"):
        aware.predict(picture)
    with pytest.raises(ConfigurationError, match="reads no masks"):
        plain.predict(picture, masks=[None])
    with pytest.raises(DataError, match="1 boxes need as many masks, found 2"):
        aware.predict(picture, masks=[None, None])
    with pytest.raises(DataError, match="picture's shape"):
        aware.predict(picture, masks=[np.ones((4, 4), dtype=bool)])


@pytest.mark.parametrize(
    ("picture", "found"),
    [
        (np.zeros((4, 4), dtype=np.uint8), r"uint8 \[4, 4\]"),
        (np.zeros((4, 4, 4), dtype=np.uint8), r"uint8 \[4, 4, 4\]"),
        (np.zeros((4, 4, 3)), "float64"),
        (np.zeros((0, 4, 3), dtype=np.uint8), r"\[0, 4, 3\]"),
        ([[1]], "list"),
    ],
)
def test_what_is_no_picture_is_refused(small_network, picture, found):
    with pytest.raises(DataError, match=found):
        Predictor(small_network(), CODEC).predict(picture)


@pytest.mark.parametrize(
    ("boxes", "scores", "message"),
    [
        ([1, 2, 3, 4], None, r"boxes must be of shape \[N, 4\], found \[4\]"),
        ([[1, 2, 3]], None, r"found \[1, 3\]"),
        ([[1, 2, float("nan"), 4]], None, "finite"),
        ([["a", 2, 3, 4]], None, "numbers"),
        ([[10, 10, 0, 0]], None, "shows nothing"),
        ([[10, 10, 5, 5]], [1.0, 0.5], r"box_scores must be of shape \[1\]"),
        ([[10, 10, 5, 5]], [float("inf")], "finite"),
    ],
)
def test_boxes_that_are_none_are_refused(small_network, picture, boxes, scores, message):
    with pytest.raises(DataError, match=message):
        Predictor(small_network(), CODEC).predict(picture, boxes, box_scores=scores)


def test_a_predictor_of_parts_that_do_not_fit_is_refused(small_network):
    with pytest.raises(ConfigurationError, match="finds 17 keypoints, skeleton 'crowdpose' has 14"):
        Predictor(small_network(), CODEC, CROWDPOSE)
    with pytest.raises(ConfigurationError, match="batch_size"):
        Predictor(small_network(), CODEC, batch_size=0)


@dataclass
class Half:
    """Stands for a predictor of masks: the left half of each box, and none for narrow ones."""

    predictor: torch.nn.Module = field(default_factory=torch.nn.Identity)
    source: str = "half/student.safetensors"
    asked: list[list[float]] = field(default_factory=list)

    def predict(self, picture, boxes, *, batch_size):
        assert batch_size == 3
        self.asked += boxes.tolist()
        height, width = picture.shape[:2]
        return [
            encode_mask([[x, y, x + w / 2, y, x + w / 2, y + h, x, y + h]], width, height) if w > 20 else None
            for x, y, w, h in boxes
        ]


def test_masks_that_are_missing_are_predicted_and_read(small_network, picture):
    network, half = taught(small_network(1, mask_fusion="multiply")), Half()
    own = encode_mask([[60, 40, 130, 40, 130, 180, 60, 180]], 320, 240)
    boxes = np.array([[50.0, 30, 90, 160], [150, 20, 80, 200], [200, 20, 10, 100]])
    predictor = Predictor(network, CODEC, batch_size=3, mask_predictor=half)
    found = predictor.predict(picture, boxes, masks=[own, None, None])
    assert half.asked == boxes[1:].tolist()
    left = half.predict(picture, boxes[1:2], batch_size=3)[0]
    assert found.masks == (own, left, None)
    assert found.select([1]).masks == (left,)
    expected = Predictor(network, CODEC).predict(picture, boxes, masks=[own, left, None])
    np.testing.assert_allclose(found.keypoints, expected.keypoints)
    ones = Predictor(network, CODEC).predict(picture, boxes, masks=[own, None, None])
    assert ones.masks == (own, None, None)
    assert not np.allclose(found.keypoints[1], ones.keypoints[1], atol=1e-3)
    half.asked.clear()
    assert predictor.predict(picture).masks[0].window[1:] == (0, 161, 240)
    assert predictor.predict(picture, boxes).masks[0].window[:2] == (50, 30)
    assert half.asked == [[0, 0, 320, 240], *boxes.tolist()]
    predictor.predict(picture, boxes[:1], masks=[own])
    assert len(half.asked) == 4
    assert Predictor(small_network(), CODEC).predict(picture).masks is None


def test_a_mask_predictor_goes_to_the_device_and_to_networks_that_read_masks(small_network, tmp_path):
    aware, half = small_network(mask_fusion="concat"), Half(predictor=torch.nn.Linear(1, 1))
    assert Predictor(aware, CODEC, device="meta", mask_predictor=half).mask_predictor is half
    assert half.predictor.weight.is_meta
    with pytest.raises(ConfigurationError, match="reads no masks, so a mask predictor would change nothing"):
        Predictor(small_network(), CODEC, mask_predictor=half)
    models.save(small_network(mask_fusion="concat"), tmp_path / "a.safetensors", **CODEC.to_metadata())
    assert Predictor.from_file(tmp_path / "a.safetensors", mask_predictor=half).mask_predictor is half
