"""Where stages run: on this machine or on a SLURM cluster, and the processes there."""
