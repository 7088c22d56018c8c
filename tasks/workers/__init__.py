"""Where stages run: this machine or a SLURM cluster, and the processes there."""
