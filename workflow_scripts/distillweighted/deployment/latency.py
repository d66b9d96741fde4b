"""How long one image takes on this machine."""

from __future__ import annotations

import platform
import statistics
import time
from pathlib import Path

import numpy as np


def cpu_name() -> str:
    """What this machine's processor calls itself."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def latency_ms(path: Path, size: int, *, threads: int, repeats: int = 50) -> float:
    """Milliseconds that an ONNX file takes for one image: the median of some runs.

    Args:
        path: The file; reads uint8 [n, 3, size, size].
        size: Side of its images, in pixels.
        threads: CPU threads.
        repeats: Timed runs, after a fifth as many that are not.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).integers(0, 256, (1, 3, size, size), np.uint8)
    inputs = {session.get_inputs()[0].name: image}
    times = []
    for run in range(repeats + repeats // 5):
        start = time.perf_counter()
        session.run(None, inputs)
        if run >= repeats // 5:
            times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)
