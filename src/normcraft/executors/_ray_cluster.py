"""The Ray cluster that a study runs on: connected to, and left as it was found."""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from normcraft._core.errors import MissingDependencyError, WorkerError

__all__ = ["connected", "room"]

ANSWERS_WITHIN = 10  # seconds


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Connects to a cluster for as long as it is open.

    A Ray that runs in this process already is used as it is, and left running. Else this package's
    own source goes to the workers with the connection, so that it need not be installed there.

    Args:
        address: What `ray.init` takes; None for `RAY_ADDRESS` or else a Ray on this machine that
            ends with the connection.

    Yields:
        The module `ray`.

    Raises:
        WorkerError: If no cluster can be reached or begun.
    """  # noqa: DOC502 - raised further down
    ray = _ray()
    if ray.is_initialized():
        yield ray
        return
    _begin(ray, address or os.environ.get("RAY_ADDRESS") or "local")
    try:
        yield ray
    finally:
        ray.shutdown()


def _begin(ray: Any, address: str) -> None:
    here = {"include_dashboard": False} if address == "local" else {}
    code = {"py_modules": [str(Path(__file__).parents[1])], "excludes": ["__pycache__"]}
    quiet = {"logging_level": "ERROR", "log_to_driver": False}
    try:
        _check_answers(address)
        with warnings.catch_warnings():
            # JAX warns of every fork; Ray's children run another program at once.
            warnings.filterwarnings("ignore", "os.fork")
            ray.init(address=address, runtime_env=code, **quiet, **here)
    except Exception as error:  # by its address Ray raises what it likes
        raise WorkerError(
            "no Ray cluster can be reached",
            received=f"address {address!r} ({' '.join(str(error).split())[:200]})",
            expected="auto, host:port or ray://host:port of a cluster that runs",
            hint="set RAY_AUTH_MODE=token if it asks for Ray's token, or leave --ray-address out",
        ) from error


def _check_answers(address: str) -> None:
    # Ray itself tries for minutes.
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWERS_WITHIN).close()


def room(ray: Any, resources: Mapping[str, float]) -> int:
    """How many workers the nodes of the cluster hold, at present.

    Args:
        ray: The module, connected.
        resources: What a worker takes.

    Returns:
        A number; what others run on the cluster is not taken off.
    """
    nodes = (node["Resources"] for node in ray.nodes() if node["Alive"])
    return sum(
        min(int(node.get(name, 0.0) // amount) for name, amount in resources.items() if amount)
        for node in nodes
    )


def _ray() -> Any:
    # What Ray tells of workers that were lost it prints to stdout, where the result belongs. It is
    # read when Ray is imported.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError(
            "Ray is not installed",
            received="executor 'ray'",
            hint='pip install "normcraft[ray]"',
        ) from error
    return ray
