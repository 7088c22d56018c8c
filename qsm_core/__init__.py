"""The science of qsm. Knows nothing of Prefect, Dask or SLURM.

Every entry of this package runs alone as `python -m qsm_core.<module> --spec spec.json`.
"""
