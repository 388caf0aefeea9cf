#!/usr/bin/env bash
# Train on a slurm cluster.
#   [GPUS=8] [GPUS_PER_NODE=8] [CPUS_PER_TASK=8] [SRUN_ARGS=...] \
#       bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [options of train.py]
# PYTHON is the interpreter to use; MASTER_PORT the port if 29500 is taken.
set -euo pipefail

if [[ $# -lt 3 ]]; then
    echo "usage: bash $0 PARTITION JOB_NAME CONFIG [options of train.py]" >&2
    exit 2
fi
partition=$1
job_name=$2
config=$3
shift 3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
# Several arguments, split at spaces.
read -r -a srun_args <<<"${SRUN_ARGS:-}"

exec srun --partition "$partition" --job-name "$job_name" \
    --ntasks "$gpus" --ntasks-per-node "$per_node" \
    --gres "gpu:$per_node" --cpus-per-task "${CPUS_PER_TASK:-8}" \
    --kill-on-bad-exit=1 ${srun_args[@]+"${srun_args[@]}"} \
    "${PYTHON:-python}" -u "$here/train.py" "$config" --launcher slurm "$@"
