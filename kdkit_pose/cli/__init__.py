"""The commands of ``kdkit-pose``, and the program itself as a function."""

from kdkit_pose_cli import main

__all__ = ["main"]
