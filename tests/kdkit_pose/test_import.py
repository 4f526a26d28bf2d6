import subprocess
import sys

import pytest

from tests.started import WARNINGS


# Each is slow to import, and only some functions need it.
@pytest.mark.parametrize("library", ["timm", "torchvision", "torch._dynamo", "matplotlib", "onnx"])
def test_import_is_quick(library):
    program = f"import sys, kdkit_pose; sys.exit({library!r} in sys.modules)"
    assert subprocess.run([sys.executable, *WARNINGS, "-c", program], check=False).returncode == 0
