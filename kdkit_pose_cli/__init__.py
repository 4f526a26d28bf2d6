"""The program ``kdkit-pose``, beside the package that it runs: it helps without waiting for PyTorch.

Importing any part of ``kdkit_pose``, its commands too, imports the networks, which takes seconds.
"""

from kdkit_pose_cli.app import main

__all__ = ["main"]
