"""Where a step's time goes: the trace of torch's profiler, by part, kind of operator and convolution."""
