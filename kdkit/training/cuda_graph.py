"""Recording as CUDA graphs."""

import gc
import warnings
from collections.abc import Callable

import torch

from kdkit.errors import ConfigurationError
from kdkit.training.recorder import Recorder, Replay, Result

_WAITS = "called a synchronizing CUDA operation"
_PROTOTYPE = "Synchronization debug mode is a prototype"


class CudaGraphRecorder(Recorder):
    """Records as CUDA graphs, which are replayed on the current stream.

    All of them share one pool of memory. That is safe as long as nothing but what the recorded functions returned,
    and the gradients that are held on to, outlives a replay.

    Args:
        device: the CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # Rehearsals and recordings run on one stream, so that what libraries set up for a stream is there.
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self.forget()

    def rehearse(self, function: Callable[[], Result]) -> tuple[Result, str]:
        """Run a function on the recordings' stream, and look whether it makes the host wait for the device."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            before = torch.cuda.get_sync_debug_mode()
            torch.cuda.set_sync_debug_mode("warn")
            try:
                with torch.cuda.stream(self._stream):
                    result = function()
            finally:
                torch.cuda.set_sync_debug_mode(before)
        current.wait_stream(self._stream)
        fault = ""
        for warning in caught:
            said = str(warning.message)
            if _WAITS in said:
                fault = fault or f"the host waits for the device at {warning.filename}:{warning.lineno}"
            elif _PROTOTYPE not in said:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        return result, fault

    def record(self, function: Callable[[], Result]) -> tuple[Result, Replay]:
        """Capture a function and replay it once: capturing alone does nothing on the device.

        Raises:
            ConfigurationError: if CUDA refuses to capture it.
        """
        graph = torch.cuda.CUDAGraph()
        # A graph or an event that is collected while another is captured would break the capture.
        gc.collect()
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        # A capture that fails would leave its stream as the current one.
        with torch.cuda.stream(current):
            # Calls of other threads, such as a loader's that pins memory, must not break the capture.
            capture = torch.cuda.graph(
                graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
            )
            try:
                with capture:
                    result = function()
            except RuntimeError as error:
                raise ConfigurationError(
                    f"the step cannot be recorded as a CUDA graph ({_cause(error)}): leave out "
                    f"Performance(cuda_graph=True), or what makes the host wait, or decide, in the step"
                ) from error
        graph.replay()
        return result, graph.replay

    def forget(self) -> None:
        """Use another pool from now on: one whose graphs are gone cannot be recorded into."""
        self._pool = torch.cuda.graph_pool_handle()


def _cause(error: BaseException) -> str:
    """Return the first line of what went wrong first: the end of a broken capture fails as well."""
    while error.__context__ is not None:
        error = error.__context__
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
