"""Settings in which our Dask schedulers and workers differ from Dask's defaults."""

from __future__ import annotations

DASK_SETTINGS = {
    # A worker that dies takes its task with it: whether and where to try again is decided where
    # the reason is known.
    "distributed.scheduler.allowed-failures": 0,
    # A worker that shows no sign of life for some minutes need not be dead: the lid of a laptop was
    # closed, a job suspended (SIGSTOP, `scontrol suspend`), Python's lock held by a library. One
    # that died closes its connection, a machine that died stops answering TCP: that is noticed.
    "distributed.scheduler.worker-ttl": None,
    # The profiler reads the frames of running threads a hundred times a second. On Python 3.11 that
    # races with them: a worker was seen to end in a segmentation fault (compare CPython's issue
    # 106883). Dask leaves its other profiler, that of the event loop, out there for this reason.
    "distributed.worker.profile.enabled": False,
    # Dask has the allocator give memory back after every 64 KiB, which also turns off its own
    # adjustment: each tensor is then a fresh mapping whose pages the kernel has to clear. A
    # training or an analysis spent up to a third of its time there.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
}
