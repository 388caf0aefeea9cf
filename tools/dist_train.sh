#!/usr/bin/env bash
# Train on several devices of one or more machines; on CPUs through gloo.
#   bash tools/dist_train.sh CONFIG GPUS [options of train.py]
# GPUS is the number of processes on this machine. For several machines run it
# on each with NNODES, NODE_RANK (0 ...), MASTER_ADDR and PORT set.
# PYTHON is the interpreter to use.
set -euo pipefail

if [[ $# -lt 2 || ! $2 =~ ^[1-9][0-9]*$ ]]; then
    echo "usage: bash $0 CONFIG GPUS [options of train.py]" >&2
    echo "GPUS is the number of processes here, got '${2-nothing}'" >&2
    exit 2
fi
config=$1
gpus=$2
shift 2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [[ ${NNODES:-1} == 1 && -z ${PORT:-} ]]; then
    # Any free port, so that several runs can share a machine.
    rendezvous=(--standalone)
else
    rendezvous=(--nnodes "${NNODES:-1}" --node_rank "${NODE_RANK:-0}"
        --master_addr "${MASTER_ADDR:-127.0.0.1}"
        --master_port "${PORT:-29500}")
fi
if ((gpus > 1)); then
    # What torchrun and mmengine would choose, and warn of.
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
    export MKL_NUM_THREADS=${MKL_NUM_THREADS:-1}
fi
exec "${PYTHON:-python}" -m torch.distributed.run "${rendezvous[@]}" \
    --nproc_per_node "$gpus" \
    "$here/train.py" "$config" --launcher pytorch "$@"
