#!/usr/bin/env bash
# Train a host package's config on a backbone: what dist_train.sh,
# slurm_train.sh and mim_dist_train.sh in the folders of the hosts call.
#   bash tools/benchmarks/HOST/HOW_train.sh CONFIG CHECKPOINT GPUS [options]
# CONFIG      a file, or a name that python -m dora_mm.cfg prints the path of
# CHECKPOINT  a published backbone, a checkpoint of ours or of the authors'
#             code (published into BACKBONES, default work_dirs/backbones), or
#             'random' to start from random weights
# GPUS        in all; 1 trains in one process, also where there is no GPU
# options     of the host's tools/train.py; --trust lets it load files that
#             hold more than tensors and plain data, which RUNS their code;
#             --num-heads, --img-size, --norm-eps and --activation are those
#             of tools/publish_backbone.py, where CHECKPOINT does not say them
# PYTHON is the interpreter to use. Several machines with dist_train.sh: set
# NNODES, NODE_RANK, MASTER_ADDR and PORT; GPUS is then the number on each.
# slurm_train.sh and mim_dist_train.sh with PARTITION set: GPUS_PER_NODE,
# CPUS_PER_TASK, SRUN_ARGS.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python}

die() { echo "$*" >&2; exit 2; }

host=$1
how=$2
shift 2
if [[ $# -lt 3 || ! $3 =~ ^[1-9][0-9]*$ ]]; then
    die "usage: bash tools/benchmarks/$host/${how}_train.sh CONFIG" \
        "CHECKPOINT GPUS [options of train.py]; GPUS is a number, got" \
        "'${3-nothing}'"
fi
config=$1
checkpoint=$2
gpus=$3
shift 3
asked=() own=()  # for prepare_backbone.py and for train.py
while [[ $# -gt 0 ]]; do
    case $1 in
        --trust) asked+=("$1") ;;
        --num-heads | --norm-eps | --activation)
            asked+=("$1" "${2-}")
            shift
            ;;
        --img-size)
            asked+=("$1")
            while [[ ${2-} =~ ^[0-9]+$ ]]; do asked+=("$2"); shift; done
            ;;
        *) own+=("$1") ;;
    esac
    shift
done
set -- ${own[@]+"${own[@]}"}

case $host in
    mmsegmentation) module=mmseg package=mmsegmentation ;;
    mmpretrain) module=mmpretrain package=mmpretrain ;;
    mmdetection)
        module=mmdet
        # Each mim knows its own stack's name only.
        package=$("$python" -c 'import importlib.metadata as m
names = {d.metadata["Name"] for d in m.distributions()}
print("mmdetection" if "onedl-mim" in names else "mmdet")')
        ;;
    *) die "no host package $host" ;;
esac

[[ -f $config ]] || config=$("$python" -m dora_mm.cfg "$config")
backbone=$("$python" "$here/prepare_backbone.py" "$checkpoint" \
    "${BACKBONES:-work_dirs/backbones}" ${asked[@]+"${asked[@]}"} \
    --run "$config" --cfg-options model.backbone.init_cfg=None "$@")
if [[ $checkpoint == random ]]; then
    weights=model.backbone.init_cfg=None
else
    weights=model.backbone.init_cfg.checkpoint=$backbone
fi
# Before the user's own options, which win.
options=(--cfg-options "$weights" "$@")
read -r -a srun_args <<<"${SRUN_ARGS:-}"
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}

if [[ $how == mim_dist ]]; then
    launcher=(--launcher none)
    if [[ -n ${PARTITION:-} ]]; then
        launcher=(--launcher slurm --partition "$PARTITION" --gpus-per-node
            "$per_node" --cpus-per-task "${CPUS_PER_TASK:-8}")
        [[ -z ${SRUN_ARGS:-} ]] || launcher+=(--srun-args "$SRUN_ARGS")
    elif [[ $gpus -gt 1 ]]; then
        launcher=(--launcher pytorch --gpus-per-node "$per_node")
    fi
    if ! "$python" -c 'import sys, torch
sys.exit(not torch.cuda.is_available())'; then
        gpus=0  # what mim calls a CPU
    fi
    exec "$python" -m mim train "$package" "$config" --gpus "$gpus" \
        "${launcher[@]}" -y "${options[@]}"
fi

# Not an import: it takes seconds, and srun's machine is another one.
train=$("$python" -c "import importlib.util as u
print(u.find_spec('$module').submodule_search_locations[0])" 2>/dev/null) ||
    die "$module is not installed for $python"
train=$train/.mim/tools/train.py

if [[ $how == slurm ]]; then
    exec srun --partition "${PARTITION:?set PARTITION}" \
        --job-name "$(basename "$config" .py)" \
        --ntasks "$gpus" --ntasks-per-node "$per_node" \
        --gres "gpu:$per_node" --cpus-per-task "${CPUS_PER_TASK:-8}" \
        --kill-on-bad-exit=1 ${srun_args[@]+"${srun_args[@]}"} \
        "$python" -u "$train" "$config" --launcher slurm "${options[@]}"
fi
if [[ $gpus == 1 && ${NNODES:-1} == 1 ]]; then
    exec "$python" "$train" "$config" "${options[@]}"
fi
if [[ ${NNODES:-1} == 1 && -z ${PORT:-} ]]; then
    rendezvous=(--standalone)
else
    rendezvous=(--nnodes "${NNODES:-1}" --node_rank "${NODE_RANK:-0}"
        --master_addr "${MASTER_ADDR:-127.0.0.1}"
        --master_port "${PORT:-29500}")
fi
exec "$python" -m torch.distributed.run "${rendezvous[@]}" \
    --nproc_per_node "$gpus" "$train" "$config" --launcher pytorch \
    "${options[@]}"
