"""Stages as jobs of a SLURM cluster: submitted, watched, cancelled, accounted for."""
