"""One cluster of two processes for all tests of this folder that need one."""

from __future__ import annotations

import logging

import dask
import pytest
from distributed import Client, LocalCluster


@pytest.fixture(scope="session")
def cluster():
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    # a busy machine restarts a process slowly; Dask gives it up after 15 s by default
    patience = "distributed.comm.timeouts.connect", "distributed.deploy.lost-worker-timeout"
    with (
        dask.config.set(dict.fromkeys(patience, "300s")),
        LocalCluster(**options, silence_logs=logging.CRITICAL) as cluster,
    ):
        yield cluster


@pytest.fixture
def client(cluster):
    with Client(cluster) as client:
        client.wait_for_workers(2, timeout=300)
        yield client
