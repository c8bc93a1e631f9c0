#!/bin/sh
# Measures batched trials on a GPU: `benches/gpu.sh [PROGRAM] [DEVICE] [TABLE]`.
#
# PROGRAM is torch/examples/bench.rs, built against a PyTorch 2.11 with CUDA (torch/README.md says how); nothing is built
# here and no network is needed. DEVICE is `cuda`, or `cpu` to rehearse the script with few steps. The script first
# compares losses with those of autograd on the CPU and stops where they differ; it ends within 8 minutes.
set -eu
program=${1:-target/release/examples/bench}
device=${2:-cuda}
table=${3:-benches/gpu.md}
# The libraries of the PyTorch that is installed come after those that the caller names.
if [ "$device" = cuda ] && torch=$(python3 -c 'import os, torch; print(os.path.dirname(torch.__file__))' 2>/dev/null); then
    LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$torch/lib
    export LD_LIBRARY_PATH
fi
card=CPU
[ "$device" = cpu ] || card=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1)

timeout 120 "$program" check "$device"
{
    echo "Batched trials of the default model with its paired hybrid term, 512 rows a step and trial, on $card:"
    echo
    echo "| gradient | trials | ms a step | million rows/s | GiB | loss |"
    echo "|---|---:|---:|---:|---:|---:|"
    if [ "$device" = cpu ]; then
        OMP_NUM_THREADS=1 timeout 60 "$program" train cpu autograd 1 5
        OMP_NUM_THREADS=1 timeout 60 "$program" train cpu launches 1 5
    else
        for trials in 1 8 32 128; do
            for way in ${WAYS:-autograd-tf32 launches-tf32 graph graph-tf32 graph-tf32-seeds}; do
                timeout 60 "$program" train cuda "$way" $trials 200
            done
        done
        timeout 60 "$program" train cuda graph-tf32-seeds 256 200
    fi
} | tee "$table"
timeout 60 "$program" profile "$device" "$([ "$device" = cpu ] && echo 1 || echo 128)"
