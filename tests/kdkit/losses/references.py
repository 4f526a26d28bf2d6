"""Every loss once more, slowly: loops over Python's floats, written from the papers' equations."""

import math
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

Vector = list[float]


def result(values: list, shape: tuple[int, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def maps(tensor: Tensor) -> list[list[Vector]]:
    """[B][C][position]."""
    return tensor.reshape(tensor.shape[0], tensor.shape[1], -1).tolist()


def columns(tensor: Tensor) -> list[list[Vector]]:
    """[B][position][C]."""
    return [[list(vector) for vector in zip(*sample, strict=True)] for sample in maps(tensor)]


def one_channel(tensor: Tensor) -> tuple[int, ...]:
    return (tensor.shape[0], 1, *tensor.shape[2:])


def length(vector: Vector) -> float:
    return math.sqrt(sum(value * value for value in vector))


def normalised(vector: Vector) -> Vector:
    return [value / length(vector) if length(vector) > 0 else 0.0 for value in vector]


def dot(a: Vector, b: Vector) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def minus(a: Vector, b: Vector) -> Vector:
    return [x - y for x, y in zip(a, b, strict=True)]


def softmax(values: Vector, temperature: float = 1.0) -> Vector:
    powers = [math.exp((value - max(values)) / temperature) for value in values]
    return [power / sum(powers) for power in powers]


def divergence(p: Vector, q: Vector) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def huber(a: float, b: float) -> float:
    return 0.5 * (a - b) ** 2 if abs(a - b) <= 1 else abs(a - b) - 0.5


def elementwise(function: Callable[..., float]) -> Callable[..., Tensor]:
    def reference(prediction: Tensor, target: Tensor, **options: float) -> Tensor:
        pairs = zip(prediction.flatten().tolist(), target.flatten().tolist(), strict=True)
        return result([function(a, b, **options) for a, b in pairs], tuple(prediction.shape))

    return reference


def binary_of_probability(p: float, t: float) -> float:
    return -t * math.log(p) - (1 - t) * math.log(1 - p)


def binary(logit: float, truth: float) -> float:
    probability = 1 / (1 + math.exp(-logit))
    return -truth * math.log(probability) - (1 - truth) * math.log(1 - probability)


def smooth(a: float, b: float, beta: float = 1.0) -> float:
    return 0.5 * (a - b) ** 2 / beta if abs(a - b) < beta else abs(a - b) - 0.5 * beta


def spatial_kl(prediction: Tensor, target: Tensor, temperature: float = 1.0) -> Tensor:
    values = [
        temperature**2 * divergence(softmax(t, temperature), softmax(s, temperature))
        for student, teacher in zip(maps(prediction), maps(target), strict=True)
        for s, t in zip(student, teacher, strict=True)
    ]
    return result(values, tuple(prediction.shape[:2]))


def heatmap_kl(prediction: Tensor, target: Tensor, temperature: float = 1.0) -> Tensor:
    values = []
    for student, teacher in zip(maps(prediction), maps(target), strict=True):
        for logits, heat in zip(student, teacher, strict=True):
            heat = [max(value, 0.0) for value in heat]
            share = [value / sum(heat) if sum(heat) > 0 else 0.0 for value in heat]
            values.append(divergence(share, softmax(logits, temperature)))
    return result(values, tuple(prediction.shape[:2]))


def at_each_position(function: Callable[..., float]) -> Callable[..., Tensor]:
    def reference(prediction: Tensor, target: Tensor, **options: float) -> Tensor:
        values = [
            function(s, t, **options)
            for student, teacher in zip(columns(prediction), columns(target), strict=True)
            for s, t in zip(student, teacher, strict=True)
        ]
        return result(values, one_channel(prediction))

    return reference


def angle(student: Vector, teacher: Vector) -> float:
    return 1 - dot(normalised(student), normalised(teacher))


def channel_kl(student: Vector, teacher: Vector, temperature: float = 1.0) -> float:
    return temperature**2 * divergence(softmax(teacher, temperature), softmax(student, temperature))


def attention_transfer(prediction: Tensor, target: Tensor, power: float = 2.0) -> Tensor:
    values = []
    for student, teacher in zip(columns(prediction), columns(target), strict=True):
        q_s, q_t = ([sum(abs(a) ** power for a in place) for place in places] for places in (student, teacher))
        values += [(s - t) ** 2 for s, t in zip(normalised(q_s), normalised(q_t), strict=True)]
    return result(values, one_channel(prediction))


def nodes(features: Tensor, patch: int) -> list[list[Vector]]:
    if patch == 1:
        return columns(features)
    samples, channels, height, width = features.shape
    values = features.tolist()
    found: list[list[Vector]] = []
    for b in range(samples):
        found.append([])
        for top, left in product(range(0, height, patch), range(0, width, patch)):
            rows, lines = range(top, min(top + patch, height)), range(left, min(left + patch, width))
            cells = list(product(rows, lines))
            found[-1].append([sum(values[b][c][y][x] for y, x in cells) / len(cells) for c in range(channels)])
    return found


def pairwise_similarity(prediction: Tensor, target: Tensor, patch: int = 1, max_nodes: int = 4096) -> Tensor:
    values = []
    for student, teacher in zip(nodes(prediction, patch), nodes(target, patch), strict=True):
        count = len(student)
        assert count <= max_nodes
        s, t = [normalised(node) for node in student], [normalised(node) for node in teacher]
        values.append([(dot(s[i], s[j]) - dot(t[i], t[j])) ** 2 for i in range(count) for j in range(count)])
    return result(values, (len(values), count, count))


def relative_distances(samples: Tensor) -> list[Vector]:
    rows = samples.flatten(1).tolist()
    distances = [[length(minus(a, b)) for b in rows] for a in rows]
    different = [distances[i][j] for i in range(len(rows)) for j in range(len(rows)) if i != j]
    mean = sum(different) / len(different) if different else 0.0
    return [[value / mean if mean > 0 else 0.0 for value in row] for row in distances]


def relational_distance(prediction: Tensor, target: Tensor) -> Tensor:
    s, t = relative_distances(prediction), relative_distances(target)
    count = range(len(s))
    return result([[huber(s[i][j], t[i][j]) for j in count] for i in count], (len(s), len(s)))


def relational_angle(prediction: Tensor, target: Tensor) -> Tensor:
    student, teacher = prediction.flatten(1).tolist(), target.flatten(1).tolist()

    def cosine(rows: list[Vector], j: int, i: int, k: int) -> float:
        return dot(normalised(minus(rows[i], rows[j])), normalised(minus(rows[k], rows[j])))

    size = len(student)
    triples = product(range(size), repeat=3)
    return result([huber(cosine(student, *at), cosine(teacher, *at)) for at in triples], (size, size, size))


def decoupled_kl(
    prediction: Tensor,
    target: Tensor,
    label: Tensor,
    alpha: float = 1.0,
    beta: float = 8.0,
    temperature: float = 4.0,
    ignore_index: int = -100,
) -> Tensor:
    labels = label.reshape(label.shape[0], -1).tolist()
    values = []
    for student, teacher, truths in zip(columns(prediction), columns(target), labels, strict=True):
        for s, t, truth in zip(student, teacher, truths, strict=True):
            if truth == ignore_index:
                values.append(0.0)
                continue
            q, p = softmax(s, temperature), softmax(t, temperature)
            others = [c for c in range(len(p)) if c != truth]
            rest_p, rest_q = sum(p[c] for c in others), sum(q[c] for c in others)
            tckd = divergence([p[truth], rest_p], [q[truth], rest_q])
            nckd = divergence([p[c] / rest_p for c in others], [q[c] / rest_q for c in others])
            values.append(temperature**2 * (alpha * tckd + beta * nckd))
    return result(values, one_channel(prediction))


def centred(values: Vector) -> Vector:
    return normalised([value - sum(values) / len(values) for value in values])


def dist(
    prediction: Tensor, target: Tensor, inter: float = 1.0, intra: float = 1.0, temperature: float = 1.0
) -> Tensor:
    student, teacher = (
        [[softmax(v, temperature) for v in sample] for sample in columns(logits)]
        for logits in (prediction, target)
    )
    samples, positions, classes = len(student), len(student[0]), len(student[0][0])
    values = torch.zeros(samples, classes, positions, dtype=torch.float64)
    everywhere = list(product(range(samples), range(positions)))
    for c in range(classes):
        s, t = (centred([probabilities[b][n][c] for b, n in everywhere]) for probabilities in (student, teacher))
        for (b, n), x, y in zip(everywhere, s, t, strict=True):
            values[b, c, n] = intra * (1 - len(everywhere) * x * y)
    for b, n in everywhere:
        values[b, :, n] += inter * (1 - dot(centred(student[b][n]), centred(teacher[b][n])))
    return (temperature**2 * values).reshape(prediction.shape)


def cross_entropy(prediction: Tensor, target: Tensor, ignore_index: int = -100) -> Tensor:
    values = []
    if target.is_floating_point():
        truths = columns(target)
    else:
        classes = range(prediction.shape[1])
        truths = [
            [[float(truth == c) if truth != ignore_index else 0.0 for c in classes] for truth in sample]
            for sample in target.reshape(target.shape[0], -1).tolist()
        ]
    for logits, truth in zip(columns(prediction), truths, strict=True):
        values += [-dot(t, [math.log(p) for p in softmax(s)]) for s, t in zip(logits, truth, strict=True)]
    return result(values, one_channel(prediction))
