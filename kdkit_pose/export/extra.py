"""The packages of the extra `onnx`, which nothing else in kdkit needs."""

from importlib import import_module

from kdkit.errors import ConfigurationError

PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def require_onnx() -> None:
    """Require what an ONNX file is written, and checked, with.

    Raises:
        ConfigurationError: A package is not installed, or cannot be imported; the message says how to install
            them.
    """
    for name in PACKAGES:
        try:
            import_module(name)
        except ImportError as error:
            raise ConfigurationError(
                f"ONNX files need the package {name}, which cannot be imported ({error}):"
                " pip install 'kdkit[onnx]'"
            ) from error
