"""What gives a trial one thread, wherever it runs; its numbers follow from that."""

from __future__ import annotations

import os

__all__ = ["PLAN", "one_thread"]

PLAN = "1 thread a trial"

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}
XLA_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def one_thread() -> dict[str, str]:
    """Environment variables of a process that has one thread.

    Returns:
        What is to be set before any backend is loaded; flags of XLA that are set here stay.

    Example:
        >>> one_thread()["OMP_NUM_THREADS"]
        '1'
    """
    flags = " ".join(filter(None, (os.environ.get("XLA_FLAGS"), XLA_ONE_THREAD)))
    return {**ONE_THREAD, "XLA_FLAGS": flags}
