"""The demonstration: ODKD from end to end on synthetic people."""

from kdkit_pose.demo.demonstration import DemoResult, run_demo
from kdkit_pose.demo.settings import DemoSettings

__all__ = ["DemoResult", "DemoSettings", "run_demo"]
