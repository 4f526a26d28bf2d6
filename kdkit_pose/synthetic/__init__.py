"""Drawn, articulated people with keypoints and masks: a data set that needs no download.

Each picture is drawn when asked for, and is the same whenever and wherever it is drawn:

>>> from kdkit_pose.synthetic import SyntheticPeople
>>> people = SyntheticPeople(100, seed=7, crowded=0.5)
>>> picture = people[3]
>>> picture.image.shape
(240, 320, 3)
>>> person = picture.annotations[0]
>>> len(person["keypoints"]) // 3  # x, y and visibility of COCO's 17
17

In the crowded half of the pictures people overlap closely and often dress alike, so that the box of one
holds joints of others; the visible-region mask tells whose are meant. `write_coco` makes files that
pycocotools reads:

>>> import tempfile
>>> from pathlib import Path
>>> from pycocotools.coco import COCO
>>> from kdkit_pose.synthetic import write_coco
>>> folder = tempfile.TemporaryDirectory()
>>> path = write_coco(SyntheticPeople(2), Path(folder.name), "train")
>>> path.name
'person_keypoints_train.json'
>>> sorted(file.name for file in Path(folder.name, "images", "train").iterdir())
['000000000001.jpg', '000000000002.jpg']
>>> folder.cleanup()
"""

from kdkit_pose.synthetic.annotator import Annotator
from kdkit_pose.synthetic.coco_format import write_coco
from kdkit_pose.synthetic.people import SyntheticPeople, SyntheticPicture

__all__ = ["Annotator", "SyntheticPeople", "SyntheticPicture", "write_coco"]
