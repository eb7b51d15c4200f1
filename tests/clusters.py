"""Ray clusters of several nodes on this machine."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import contextmanager

import pytest


@contextmanager
def started(*cores, **of_head):
    """A cluster with a node for each number of cores, which is the one that `RAY_ADDRESS` names."""
    pytest.importorskip("ray", reason='Ray is not installed: pip install "normcraft[ray]"')
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        # So that Ray's workers find the tests' own.
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        cluster = Cluster()
        try:
            for index, number in enumerate(cores):
                add_node(cluster, number, **({} if index else of_head))
            patch.setenv("RAY_ADDRESS", cluster.address)
            yield cluster
        finally:
            cluster.shutdown()


def add_node(cluster, cores=1, **settings):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "os.fork")  # JAX's, of every child
        settings |= {"object_store_memory": 80_000_000, "include_dashboard": False}
        return cluster.add_node(num_cpus=cores, **settings)


def free_cores():
    """What nobody holds on the cluster."""
    from normcraft.executors._ray_cluster import connected

    with connected(None) as ray:
        return ray.available_resources().get("CPU")
