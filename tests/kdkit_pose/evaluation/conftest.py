from typing import Any

import numpy as np
import pytest


@pytest.fixture
def truth() -> dict[str, Any]:
    """A keypoint ground truth of three pictures with two persons each, the last person wholly unlabelled."""
    rng = np.random.default_rng(0)
    annotations = []
    for index in range(6):
        box = [float(10 + 100 * (index % 2)), 10.0, 90.0, 120.0]
        keypoints = rng.uniform([box[0], box[1]], [box[0] + 90, box[1] + 120], size=(17, 2))
        visible = rng.integers(0, 3, size=17) if index < 5 else np.zeros(17, dtype=int)
        annotations.append(
            {
                "id": 100 + index,
                "image_id": 7 + index // 2,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": box,
                "area": 6000.0 if index % 2 else 12000.0,
                "num_keypoints": int((visible > 0).sum()),
                "keypoints": np.column_stack([keypoints, visible]).ravel().tolist(),
            }
        )
    images = [{"id": 7 + index, "width": 220, "height": 150} for index in range(3)]
    return {"images": images, "categories": [{"id": 1, "name": "person"}], "annotations": annotations}


@pytest.fixture
def perfect(truth: dict[str, Any]) -> list[dict[str, Any]]:
    """Results that say exactly what the ground truth says."""
    return [
        {
            "image_id": annotation["image_id"],
            "category_id": 1,
            "keypoints": [1.0 if i % 3 == 2 else value for i, value in enumerate(annotation["keypoints"])],
            "score": 0.9,
        }
        for annotation in truth["annotations"]
    ]
