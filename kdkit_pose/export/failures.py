"""What the exporter's errors, pages long, come down to."""

import re
from collections.abc import Iterator

from torch.export import ExportedProgram

from kdkit.errors import ExportError

_OPERATOR = re.compile(r"OpOverload\(op='([^']+)'")
_REMEDY = "write that part with operators that ONNX has, or export to safetensors"


def tracing_error(name: str, error: Exception) -> ExportError:
    """Return the error for a network that cannot be captured as a graph.

    Args:
        name: The network's name.
        error: What `torch.export.export` raised.
    """
    text = str(error)
    if "specialized" in text or "Constraints violated" in text:
        return ExportError(
            f"{name} cannot be exported: its forward fixes the batch size ({_first_line(text)}); take the size"
            " from the tensors, as in x.shape[0], instead of writing a number"
        )
    places = re.findall(r'File "([^"]+)", line (\d+), in ', text)
    where = f" at {places[-1][0]}, line {places[-1][1]}" if places else ""
    return ExportError(
        f"{name} cannot be captured as a graph{where}: {type(error).__name__}: {_first_line(text)}; a forward"
        " must not depend on the values of its tensors, only on their shapes"
    )


def translation_error(name: str, program: ExportedProgram, error: Exception) -> ExportError:
    """Return the error for a graph that has no ONNX form, naming the operator and the module that calls it.

    Args:
        name: The network's name.
        program: The captured graph.
        error: What `torch.onnx.export` raised.
    """
    texts = [str(link) for link in _chain(error)]
    found = next((match for text in texts if (match := _OPERATOR.search(text))), None)
    if found is None:
        return ExportError(f"{name} cannot be exported to ONNX: {_first_line(texts[-1])}")
    operator = found.group(1)
    module = _calling_module(program, operator)
    where = f", called in its module {module}," if module else ""
    return ExportError(f"{name} cannot be exported: ONNX has no operator for {operator}{where}: {_REMEDY}")


def _calling_module(program: ExportedProgram, operator: str) -> str | None:
    """Return the path and class of the innermost module that calls the operator, None if it is not found."""
    for node in program.run_decompositions().graph.nodes:
        stack = [entry for entry in (node.meta.get("nn_module_stack") or {}).values() if entry[0]]
        if node.op == "call_function" and str(node.target).rpartition(".")[0] == operator and stack:
            path, kind = stack[-1]
            kind = kind if isinstance(kind, str) else kind.__qualname__
            return f"'{path.removeprefix('network.')}' ({kind.rpartition('.')[2]})"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, what caused it, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _first_line(text: str) -> str:
    """Return the first line that says something, without the colours of a terminal."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return next((line.strip().rstrip(".") for line in plain.splitlines() if line.strip()), "no reason is given")
