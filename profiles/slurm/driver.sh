#!/bin/bash
# Snakemake itself as a job, where a login node must be left alone: sbatch profiles/slurm/driver.sh all   (docs/cluster.md)
#SBATCH --job-name=mindgauge
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH --time=3-00:00:00
#SBATCH --output=mindgauge-%j.log
# Two minutes before the time is up Snakemake gets what Ctrl-C sends: it cancels its jobs, and training saves a checkpoint.
#SBATCH --signal=B:INT@120
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:?this is for sbatch}"
source .venv/bin/activate
# exec, so that the signal reaches Snakemake and not a shell in front of it.
exec snakemake --profile profiles/slurm "$@"
