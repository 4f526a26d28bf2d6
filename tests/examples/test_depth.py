"""The depth example: its geometry, its losses and metrics, what gives no gradient, and a small run as a whole."""

import ast
import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import kdkit as kd
from kdkit.reduction import reduce_samples
from tests.started import WARNINGS

FOLDER = Path(__file__).parents[2] / "examples" / "depth"
DOMAIN = ("measures.py", "network.py", "scenes.py")


def load(name):
    # By its path, under a name of its own: the examples are no package, and others have modules of the same name.
    spec = importlib.util.spec_from_file_location(f"depth_example_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks there for its module
    spec.loader.exec_module(module)
    return module


measures, network, scenes = load("measures"), load("network"), load("scenes")


# Scenes


def rendered(shapes, monkeypatch, seed=0):
    """Return the depth [H, W] of given shapes, as the camera of ``seed`` sees them."""
    monkeypatch.setattr(scenes, "draw_shapes", lambda rng: shapes)
    return scenes.render(np.random.default_rng(seed))[1]


def room(wall):
    large = np.full(3, 100.0)
    return [scenes.Box(np.array([0, -100, 0]), large, 0), scenes.Box(np.array([0, 0, wall + 100.0]), large, 0)]


def camera(seed=0):
    """Return what is drawn first: the angle by which the camera looks down, and its height; and each row's y."""
    rng = np.random.default_rng(seed)
    y = (scenes.HEIGHT / 2 - np.arange(scenes.HEIGHT) - 0.5) / scenes.FOCAL
    return rng.uniform(0.05, 0.25), rng.uniform(1.4, 1.8), y


def test_the_ground_has_the_depth_of_a_plane_below_the_camera(monkeypatch):
    depth = rendered(room(1e6), monkeypatch)
    pitch, height, y = camera()
    below = y < 0
    expected = height / (math.sin(pitch) - y[below] * math.cos(pitch))
    np.testing.assert_allclose(depth[below], np.tile(expected[:, None], scenes.WIDTH), rtol=1e-9)


def test_the_wall_stands_where_it_was_put(monkeypatch):
    depth = rendered(room(12), monkeypatch)
    pitch, _, y = camera()
    above = slice(0, scenes.HEIGHT // 4)
    # Depth is counted along the optical axis, which looks down a little.
    expected = 12 / (y[above] * math.sin(pitch) + math.cos(pitch))
    np.testing.assert_allclose(depth[above], np.tile(expected[:, None], scenes.WIDTH), rtol=1e-9)


def test_the_nearer_shape_hides_the_farther_whatever_their_order(monkeypatch):
    near, far = (
        scenes.Ball(np.array([0.2, 1, 4.0]), 1.0),
        scenes.Box(np.array([1.8, 0.8, 7.0]), np.full(3, 0.8), 0.4),
    )
    alone = [rendered([*room(12), shape], monkeypatch) for shape in (near, far)]
    for order in ([near, far], [far, near]):
        np.testing.assert_array_equal(rendered([*room(12), *order], monkeypatch), np.minimum(*alone))
    assert (alone[0] < alone[1]).any()
    assert (alone[1] < alone[0]).any()
    # The ball really hides a part of the box.
    assert ((alone[0] < alone[1]) & (alone[1] < rendered(room(12), monkeypatch))).any()


@pytest.mark.parametrize("kind", ["ball", "box"])
@np.errstate(invalid="ignore", divide="ignore")
def test_a_ray_meets_a_shape_at_its_surface_and_not_before(kind):
    rng = np.random.default_rng(3)
    origin, rays = np.array([0, 1.6, 0]), np.stack([*rng.uniform(-0.4, 0.4, (2, 4000)), np.ones(4000)], -1)
    centre, half, yaw = np.array([0.3, 1.2, 5.0]), np.array([0.7, 0.9, 0.5]), 0.6
    shape = scenes.Ball(centre, 0.9) if kind == "ball" else scenes.Box(centre, half, yaw)
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])

    def outside(points):  # 1 on the surface, less inside
        if kind == "ball":
            return np.linalg.norm(points - centre, axis=-1) / 0.9
        return np.abs((points - centre) @ turn / half).max(-1)

    t, normal = shape.meet(origin, rays)
    hit = np.isfinite(t)
    assert 300 < hit.sum() < 3700
    np.testing.assert_allclose(outside(origin + t[hit, None] * rays[hit]), 1, atol=1e-9)
    assert (outside(origin + 0.999 * t[hit, None] * rays[hit]) > 1).all()
    np.testing.assert_allclose(np.linalg.norm(normal[hit], axis=-1), 1, atol=1e-9)
    assert ((normal * rays).sum(-1)[hit] < 0).all()  # towards the camera
    # What is said to pass by does so: no step along the ray lies inside.
    for step in np.linspace(2, 9, 200):
        assert (outside(origin + step * rays[~hit]) > 1 - 1e-9).all()


def test_a_sample_depends_on_seed_id_and_view_alone():
    one, several = scenes.Scenes([7], seed=1, flip=True), scenes.Scenes([3, 7], seed=1, flip=True)
    for view in range(6):
        for name, value in one[0, view].items():
            assert torch.equal(value, several[1, view][name])
    assert not torch.equal(one[0, 0]["depth"], several[0, 0]["depth"])
    assert not torch.equal(scenes.Scenes([7], seed=2)[0, 0]["depth"], scenes.Scenes([7], seed=1)[0, 0]["depth"])


def test_views_are_the_scene_or_its_mirror_image_in_every_field():
    plain, flipping = scenes.Scenes([7], seed=1), scenes.Scenes([7], seed=1, flip=True)
    mirrored = []
    for view in range(20):
        assert torch.equal(plain[0, view]["image"], plain[0, 0]["image"])
        mirrored.append(not torch.equal(flipping[0, view]["image"], plain[0, 0]["image"]))
        for name, value in flipping[0, view].items():
            assert torch.equal(value.flip(-1) if mirrored[-1] else value, plain[0, 0][name])
    assert 3 <= sum(mirrored) <= 17


def test_the_sensor_misses_far_and_edges_and_the_points_are_exact():
    samples = [scenes.Scenes(range(12), seed=0)[index, 0] for index in range(12)]
    depth, valid, log_depth, image = (
        torch.stack([one[name] for one in samples]) for name in ("depth", "valid", "log_depth", "image")
    )
    assert depth.isfinite().all()
    assert depth.min() > 0.5
    assert 0 <= image.min() <= image.max() <= 1
    assert log_depth.isfinite().all()  # also where nothing was measured: silog asks for it
    assert set(valid.unique().tolist()) == {0.0, 1.0}
    assert valid[depth < 5].mean() > 0.75 > 0.4 > valid[depth > 11].mean() > 0
    error = (log_depth.exp() - depth).abs() * valid
    assert error[(depth > 9) & (valid > 0)].median() > 3 * error[(depth < 4) & (valid > 0)].median() > 0
    for one in samples:
        known = one["points"][1] > 0
        assert 0.01 < known.float().mean() < 0.03
        torch.testing.assert_close(one["points"][0][known], one["depth"][0][known].log())
        assert (one["points"][0][~known] == 0).all()


def test_the_measured_depth_at_an_edge_lies_between_near_and_far():
    depth = np.full((scenes.HEIGHT, scenes.WIDTH), 3.0)
    depth[:, 30:] = 9.0
    measured, valid = scenes.measure(depth, np.random.default_rng(0))
    edge = valid[:, 29:31]
    assert 0 < edge.mean() < 0.6
    kept = measured[:, 29:31][edge]
    assert ((kept > 2) & (kept < 10)).all()
    assert ((kept > 4) & (kept < 8)).mean() > 0.3


# Losses and metrics


def maps(seed=0, size=(3, 1, 5, 4)):
    generator = torch.Generator().manual_seed(seed)
    prediction = torch.randn(size, generator=generator, dtype=torch.float64)
    target = torch.randn(size, generator=generator, dtype=torch.float64)
    valid = (torch.rand(size, generator=generator) < 0.6).double()
    return prediction, target, valid


@pytest.mark.parametrize("balance", [0.0, 0.5, 0.85, 1.0])
def test_silog_is_the_published_loss_of_each_sample(balance):
    prediction, target, valid = maps()
    found = measures.silog(prediction, target, valid, balance=balance)
    assert found.shape == prediction.shape
    for sample in range(3):
        differences = [
            prediction[sample, 0, y, x].item() - target[sample, 0, y, x].item()
            for y in range(5)
            for x in range(4)
            if valid[sample, 0, y, x]
        ]
        count = len(differences)
        assert 0 < count < 20
        # Equation 4 of arXiv 1406.2283.
        expected = sum(d * d for d in differences) / count - balance * sum(differences) ** 2 / count**2
        mean = reduce_samples(found[[sample]], valid[[sample]], "weighted_mean").item()
        assert mean == pytest.approx(expected, rel=0, abs=1e-10)


def test_silog_forgives_a_common_factor_at_balance_1_and_counts_it_at_0():
    prediction, target, valid = maps()

    def loss(shift, balance):
        return measures.silog(prediction + shift, target, valid, balance=balance)[valid > 0].sum()

    torch.testing.assert_close(loss(0.7, 1.0), loss(0.0, 1.0))
    assert loss(5.0, 0.0) > loss(0.0, 0.0)


def test_silog_of_nothing_measured_is_zero():
    prediction, target, valid = maps()
    assert (measures.silog(prediction, target, valid * 0) == 0).all()


def test_the_losses_gradients_are_right():
    prediction, target, valid = maps(size=(2, 1, 3, 2))
    prediction.requires_grad_()
    assert torch.autograd.gradcheck(lambda value: measures.silog(value, target, valid), prediction)
    parameters = maps(seed=1, size=(2, 2, 3, 2))[0].requires_grad_()
    assert torch.autograd.gradcheck(lambda value: measures.laplace(value, target), parameters)


def test_laplace_is_the_negative_logarithm_of_the_density():
    parameters, target = maps(size=(3, 2, 5, 4))[0], maps(seed=1)[1]
    location, log_scale = parameters[:, :1], parameters[:, 1:]
    expected = -torch.distributions.Laplace(location, log_scale.exp()).log_prob(target) - math.log(2)
    torch.testing.assert_close(measures.laplace(parameters, target), expected, rtol=0, atol=1e-10)


def test_the_metrics_equal_loops_over_pixels():
    depth, truth = maps()[0].abs() + 0.5, maps(seed=1)[0].abs() + 0.5
    pairs = list(zip(depth.flatten().tolist(), truth.flatten().tolist(), strict=True))
    found = measures.depth_metrics(depth, truth)
    assert found["AbsRel"] == pytest.approx(sum(abs(d - t) / t for d, t in pairs) / len(pairs), abs=1e-12)
    assert found["RMSE"] == pytest.approx(math.sqrt(sum((d - t) ** 2 for d, t in pairs) / len(pairs)), abs=1e-12)
    close = sum(max(d / t, t / d) < 1.25 for d, t in pairs)
    assert found["delta"] == pytest.approx(close / len(pairs), abs=1e-6)
    assert 0 < close < len(pairs)


# Networks, and what they learn from


def test_a_confident_network_halves_its_confidence_where_it_expects_to_be_wrong_by_a_tenth():
    torch.manual_seed(0)
    made = network.DepthNetwork(4, 5, confident=True)
    made.head.weight.data[1] = torch.tensor([3.0, -3.0, 3.0, -3.0])[
        :, None, None
    ]  # so that it is unsure in places only
    found = made(torch.rand(2, 3, 32, 48), torch.rand(2, 2, 32, 48))
    scale, confidence = found["laplace"][:, 1:].exp(), found["confidence"]
    assert found["log_depth"].shape == confidence.shape == (2, 1, 32, 48)
    assert torch.equal(found["laplace"][:, :1], found["log_depth"])
    assert 0 < confidence.min() < 0.5 < confidence.max() < 1
    assert torch.equal(confidence > 0.5, scale < 0.1)


class Pixels(nn.Module):
    """A prediction of its own for every pixel, so that its gradient says which of them learn."""

    def __init__(self):
        super().__init__()
        self.values = nn.Parameter(torch.zeros(1, 1, 4, 6))

    def forward(self, image):
        return self.values.expand(len(image), -1, -1, -1)


class HalfSure(kd.Teacher):
    name, reads, outputs = "half", (), ("log_depth", "confidence")

    def targets(self, batch):
        confidence = torch.ones_like(batch["valid"])
        confidence[..., :3] = 0
        return {"log_depth": torch.ones_like(confidence), "confidence": confidence}


def gradient(*objectives):
    student = kd.Student(Pixels(), "image", "log_depth")
    distiller = kd.Distiller(student, kd.Curriculum(kd.Stage("one", objectives, kd.Epochs(1))))
    valid = torch.zeros(2, 1, 4, 6)
    valid[..., 2:, :] = 1
    batch = {"image": torch.zeros(2, 3, 4, 6), "valid": valid, "log_depth": torch.full((2, 1, 4, 6), 2.0)}
    distiller(batch).total.backward()
    return student.module.values.grad[0, 0]


@pytest.mark.parametrize("reduction", ["mean", "weighted_mean"])
def test_what_was_not_measured_gives_no_gradient(reduction):
    found = gradient(
        kd.Supervise("log_depth", kd.losses.l1, region="valid", reduction=reduction, name="l1"),
        kd.Supervise("log_depth", measures.silog, region="valid", reduction=reduction, fields=("valid",)),
    )
    assert (found[:2] == 0).all()
    assert (found[2:] < 0).all()


def test_a_place_of_no_confidence_gives_no_gradient():
    teacher = HalfSure()
    sure = kd.TeacherRegion(teacher, "confidence")
    found = gradient(kd.Distill(teacher, "log_depth", kd.losses.l1, region=sure))
    assert (found[:, :3] == 0).all()
    assert (found[:, 3:] < 0).all()
    both = gradient(kd.Distill(teacher, "log_depth", kd.losses.l1, region=("valid", sure)))
    assert (both[:2] == 0).all()
    assert (both[:, :3] == 0).all()
    assert (both[2:, 3:] < 0).all()


# The example as a whole


def run(*options, cwd):
    return subprocess.run(
        [sys.executable, *WARNINGS, str(FOLDER / "distill.py"), *options],
        cwd=cwd,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_it_runs_from_any_folder_and_its_student_loads_into_the_plain_network(tmp_path):
    done = run("--scenes", "9", "--epochs", "3", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line.strip()}
    for name in ("floor", "junior", "senior", "plain", "distilled"):
        size, *metrics = table[name]
        assert len([float(value) for value in metrics]) == 3
        assert (size == "0") == (name == "floor")
    assert table["plain"][0] == table["distilled"][0]
    assert "Only teachers see: points." in done.stdout
    assert (tmp_path / "out" / "depth.png").stat().st_size > 10_000

    lines = {
        name: [json.loads(line) for line in (tmp_path / "out" / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("plain", "distilled")
    }
    assert [line["stage"] for line in lines["distilled"]] == ["junior", "senior", "senior"]
    # Two batches an epoch, as many epochs for both.
    assert [line["step"] for line in lines["plain"]] == [line["step"] for line in lines["distilled"]] == [2, 4, 6]

    student = network.DepthNetwork(4)
    student.load_state_dict(load_file(tmp_path / "out" / "distilled" / "student.safetensors"))
    held_out = scenes.Scenes(range(10**6, 10**6 + 100), seed=0)
    batch = {name: torch.stack([held_out[index, 0][name] for index in range(100)]) for name in ("image", "depth")}
    found = measures.evaluate(student, batch, ("image",))
    assert [float(value) for value in table["distilled"][1:]] == pytest.approx(list(found.values()), abs=6e-3)

    other = run("--scenes", "9", "--epochs", "3", "--out", "out", "--seed", "1", cwd=tmp_path)
    assert other.returncode != 0
    assert "seed" in other.stderr  # another run's folder is not gone on with


def test_too_few_epochs_for_two_teachers_are_refused(tmp_path):
    done = run("--epochs", "1", cwd=tmp_path)
    assert done.returncode == 2
    assert "--epochs at least 2" in done.stderr


@pytest.mark.parametrize("name", DOMAIN)
def test_the_domain_needs_only_kdkit_torch_and_numpy(name):
    tree = ast.parse((FOLDER / name).read_text(encoding="utf-8"))
    found = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    found |= {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
    others = {module.split(".")[0] for module in found} - set(sys.stdlib_module_names)
    assert others <= {"kdkit", "torch", "numpy"}


def test_the_domain_is_under_200_lines():
    assert sorted(DOMAIN) == sorted(path.name for path in FOLDER.glob("*.py") if path.name != "distill.py")
    lines = [line for name in DOMAIN for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]
    assert sum(bool(line.strip()) for line in lines) < 200
