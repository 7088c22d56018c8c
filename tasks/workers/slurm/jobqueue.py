"""dask-jobqueue, without two habits of its import and its configuration.

It takes SIGINT for itself when it is imported, to leave with exit status 0 (`runner.py` of 0.9.0).
Ctrl-C is for whoever runs the flow; and in a thread other than the main one, where a worker of
Prefect imports a flow, taking a signal is an error.

It fills in what it is not given from the user's own files of Dask, section `jobqueue.slurm`. Our
classes read a section of their own, which holds the library's defaults.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dask
import yaml

CONFIG_SECTION = "qsm"


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Let no handler of a signal be replaced in the block."""
    replace = signal.signal
    signal.signal = lambda *_: signal.SIG_DFL
    try:
        yield
    finally:
        signal.signal = replace


with _signals_kept():
    import dask_jobqueue
    from dask_jobqueue.slurm import SLURMCluster, SLURMJob

_defaults = yaml.safe_load(Path(dask_jobqueue.__file__).with_name("jobqueue.yaml").read_text())
dask.config.update_defaults({"jobqueue": {CONFIG_SECTION: _defaults["jobqueue"]["slurm"]}})

__all__ = ["CONFIG_SECTION", "SLURMCluster", "SLURMJob"]
