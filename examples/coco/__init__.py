"""What examples/coco_odkd.py is made of."""
