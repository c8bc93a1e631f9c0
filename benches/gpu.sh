#!/bin/bash
# Measures training and evaluation on a GPU: `benches/gpu.sh [PROGRAM] [DEVICE] [TABLE] [RUNS]`.
#
# PROGRAM is cvae-torch, built against a PyTorch 2.11 with CUDA (torch/README.md says how); beside it, torch/examples/bench.rs
# as `bench` is measured as well where it is there. Nothing is built here and no network is needed. DEVICE is `cuda`, or
# `cpu` to rehearse the script with few steps. Run folders go to RUNS. The script compares losses with those on the CPU
# and stops where they differ. Without evaluation, products, memory and steps it took 6 minutes on an H100. PARTS, if set,
# names the parts that are run: parity, alone, evaluation, seeds, latent_beta, many, products, memory, steps; MANY and SOME
# are numbers of trials.
set -eu
program=$(realpath "${1:-target/release/cvae-torch}")
device=${2:-cuda}
table=${3:-benches/gpu.md}
runs=${4:-$(mktemp -d)}
here=$(dirname "$0")
. "$here/gpu_libraries.sh"
began=$SECONDS
card=CPU
[ "$device" = cpu ] || card=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1)
if [ "$device" = cpu ]; then
    # Few steps of few small trials; libtorch in place of the GPU.
    short=(--set training.steps=60 --set training.warm_up=5 --set beta.rise=10 --set evaluation.every=60 --set evaluation.codes=8
        --set evaluation.final_samples=2 --set model.hidden_dim=16 --set model.angles=6 --set engine=torch)
    many=3 some=2 together=(--together 4) full=() side=()
else
    short=() many=${MANY:-256} some=${SOME:-8} together=() side=(--jobs 5)
    full=(--set evaluation.final_samples=1000 --set evaluation.codes=1024)
fi

# sweep NAME CONFIG [OPTIONS]: trains an experiment; its seconds go to RUNS/NAME.seconds.
sweep() {
    local name=$1 config=$2 start
    shift 2
    start=$(date +%s.%N)
    timeout 240 "$program" sweep "$config" --runs "$runs/$name" "$@" 2> "$runs/$name.log" || {
        tail -n 5 "$runs/$name.log" >&2
        echo "failed: $name" >&2
        return 1
    }
    echo "$(date +%s.%N) $start" | awk '{ print $1 - $2 }' > "$runs/$name.seconds"
    echo "$name: $(cat "$runs/$name.seconds") s" >&2
}
# seeds N FILE BASE: a config of N seeds.
seeds() {
    printf 'base = "%s"\n[sweep]\nseeds = [%s]\n' "$(realpath "$3")" "$(seq -s ', ' "$1")" > "$2"
}

part() { case " ${PARTS:-parity alone evaluation seeds latent_beta many products memory steps} " in *" $1 "*) ;; *) return 1 ;; esac }

mkdir -p "$runs"
default=$here/../experiments/default.toml
# One recipe of 3,000 steps in every part: that of quick.toml without its sweep.
sed '/^\[sweep/,$d; s|^base = .*|base = "'"$(realpath "$default")"'"|' "$here/../experiments/quick.toml" > "$runs/recipe.toml"

# 1. The first 50 steps of four trials, on this device as one and on the CPU one by one: the same losses. Same noise, too:
# libtorch draws it by a counter on every device.
if part parity; then
    seeds 4 "$runs/parity.toml" "$runs/recipe.toml"
    parity=(--set training.steps=50 --set training.warm_up=5 --set beta.schedule=constant --set evaluation.every=5
        --set evaluation.samples=1 --set evaluation.final_samples=5 --set evaluation.codes=2 --set threads=2)
    sweep parity-cpu "$runs/parity.toml" --device cpu --set engine=torch "${parity[@]}" || true
    sweep parity-device "$runs/parity.toml" --device "$device" --set engine=torch "${parity[@]}" --together 4 || true
    python3 "$here/gpu.py" parity "$runs/parity-cpu/parity" "$runs/parity-device/parity"
fi

# 2. One trial alone, here and by the built-in engine on two threads.
if part alone; then
    seeds 1 "$runs/alone.toml" "$runs/recipe.toml"
    sweep alone-builtin "$runs/alone.toml" --device cpu --set threads=2 ${short[@]+"${short[@]}"} --set engine=builtin
    sweep alone-device "$runs/alone.toml" --device "$device" ${short[@]+"${short[@]}"}
fi

# 3. Evaluation as the default has it, 1,000 draws of each condition and 1,024 codes, once a trial after a single step.
if part evaluation; then
    seeds "$some" "$runs/evaluation.toml" "$runs/recipe.toml"
    sweep evaluation "$runs/evaluation.toml" --device "$device" "${together[@]}" ${short[@]+"${short[@]}"} --set training.steps=1 \
        --set training.warm_up=0 --set beta.schedule=constant --set evaluation.every=1 ${full[@]+"${full[@]}"}
fi

# 4. The experiments. A GPU has room for the five shapes of latent_beta side by side: one starts while another trains.
if part seeds; then
    sweep seeds "$here/../experiments/seeds.toml" --device "$device" "${together[@]}" ${short[@]+"${short[@]}"}
fi
if part latent_beta; then
    sweep latent_beta "$here/../experiments/latent_beta.toml" --device "$device" "${together[@]}" ${short[@]+"${short[@]}"} \
        ${side[@]+"${side[@]}"}
fi
if part many; then
    seeds "$many" "$runs/many.toml" "$runs/recipe.toml"
    sweep many "$runs/many.toml" --device "$device" "${together[@]}" ${short[@]+"${short[@]}"}
fi

# 5. Products with factors of 10 bits, over seeds.
if part products; then
    seeds "$some" "$runs/products.toml" "$runs/recipe.toml"
    CVAE_TF32=0 sweep products-fp32 "$runs/products.toml" --device "$device" "${together[@]}" ${short[@]+"${short[@]}"}
    CVAE_TF32=1 sweep products-tf32 "$runs/products.toml" --device "$device" "${together[@]}" ${short[@]+"${short[@]}"}
fi

# 6. Too little memory: a group that does not fit is trained in smaller ones. Another process holds nearly all of it.
if part memory && [ "$device" = cuda ]; then
    python3 -c 'import time, torch; f, _ = torch.cuda.mem_get_info(); x = torch.empty(f - (1100 << 20), dtype=torch.uint8, device="cuda"); print("held", flush=True); time.sleep(90)' > "$runs/hog.log" &
    hog=$!
    for _ in $(seq 40); do grep -q held "$runs/hog.log" && break || sleep 0.5; done
    sweep memory "$runs/products.toml" --device cuda --set training.steps=500 --set beta.schedule=constant \
        --set evaluation.every=500 --set evaluation.codes=16 --set evaluation.final_samples=10 || true
    kill "$hog" && wait "$hog" 2>/dev/null || true
    grep -h "going on" "$runs"/memory/products/*/log.txt | cut -d' ' -f2- | sort | uniq -c >&2 || true
fi

{
    python3 "$here/gpu.py" table "$runs" "$card" "$program" "$device"
    bench=$(dirname "$program")/bench
    if part steps && [ -x "$bench" ] && [ "$device" = cuda ]; then
        timeout 60 "$bench" check "$device" >&2
        echo
        echo "Steps alone, on made-up data: the default model with its paired hybrid term, 512 rows a step and trial."
        echo "\`graph\` is the gradient derived by hand, as a CUDA graph; \`tf32\` rounds the factors of products; \`seeds\` draws noise on the GPU."
        echo
        echo "| gradient | trials | ms a step | million rows/s | GiB | loss |"
        echo "|---|---:|---:|---:|---:|---:|"
        for trials in 1 8 32 128; do
            for way in ${WAYS:-graph-seeds graph-tf32-seeds}; do
                timeout 60 "$bench" train cuda "$way" $trials 200
            done
        done
        echo
        echo "Parts of the evaluation of one trial, 6,804 conditions, each twice but for the start: seconds."
        echo
        echo "| part | s |"
        echo "|---|---:|"
        timeout 60 "$bench" evaluate "$device"
    fi
} | tee "$table"
echo "all of it took $((SECONDS - began)) s" >&2
