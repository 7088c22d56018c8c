#!/bin/bash

#SBATCH -J qsm-0123abcd-gpu-large
#SBATCH -p 3090
#SBATCH -n 1
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH -t 12:00:00
#SBATCH --gres=gpu:1
#SBATCH --output="/scratch/me/logs/%x-%j.log"
#SBATCH --open-mode=append
#SBATCH --no-requeue
#SBATCH --comment="/scratch/me/qsm-0123abcd-gpu-large.x1y2z3/gpu-large-0a1b2c3d"
umask 027
export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=false
export PREFECT_SERVER_EPHEMERAL_ENABLED=false
export PREFECT_SERVER_ANALYTICS_ENABLED=false
export DO_NOT_TRACK=1
export HF_HUB_OFFLINE=1
export TOKENIZERS_PARALLELISM=false
export HF_HOME=${HF_HOME:-$HOME/.cache/huggingface}
status=$?; if [ $status -ne 0 ]; then echo 'qsm: this line of the environment failed: export HF_HOME=${HF_HOME:-$HOME/.cache/huggingface}' >&2; exit $status; fi
export PYTHONPATH=/checkout${PYTHONPATH:+:$PYTHONPATH}
export OMP_NUM_THREADS=8 MKL_NUM_THREADS=8 OPENBLAS_NUM_THREADS=8
export SLURM_JOB_END_TIME=${SLURM_JOB_END_TIME:-$(( $(date +%s) + 43200 ))}
export QSM_STOP_MARGIN_S=600
. /scratch/me/qsm-0123abcd-gpu-large.x1y2z3/environment
status=$?; if [ $status -ne 0 ]; then echo 'qsm: this line of the environment failed: . /scratch/me/qsm-0123abcd-gpu-large.x1y2z3/environment' >&2; exit $status; fi
exec /venv/bin/python -m distributed.cli.dask_worker tls://10.0.0.1:41000 --name gpu-large-0a1b2c3d --nthreads 1 --memory-limit 0.0B --no-nanny --death-timeout 120 --local-directory "${TMPDIR:-/tmp}" --no-dashboard --dashboard-address 127.0.0.1:0 --interface ib0 --protocol tls://
