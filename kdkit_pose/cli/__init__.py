"""The command line: ``kdkit-pose``."""

from kdkit_pose.cli.app import main

__all__ = ["main"]
