"""What an ONNX file says of itself."""

from pathlib import Path

from kdkit.errors import CheckpointError
from kdkit_pose.export.extra import require_onnx


def read_onnx_metadata(path: str | Path) -> dict[str, str]:
    """Return the metadata of an ONNX file; see `usage_metadata` for the keys that `to_onnx` writes.

    Raises:
        CheckpointError: The file is missing, or no ONNX file.
        ConfigurationError: The extra `onnx` is not installed.
    """
    require_onnx()
    import onnx

    try:
        # Weights that a file of another program keeps beside it are not needed.
        model = onnx.load(path, load_external_data=False)
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no file {path}; check the path") from error
    # protobuf's DecodeError, whose package is onnx's dependency, not kdkit's.
    except Exception as error:
        raise CheckpointError(f"{path} is not an ONNX file: {error}") from error
    return {entry.key: entry.value for entry in model.metadata_props}
