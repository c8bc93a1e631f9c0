#!/bin/bash
# Trains experiments on a GPU and packs their run folders: `benches/gpu_experiments.sh PROGRAM OUT CONFIG...`.
#
# PROGRAM is cvae-torch, built against a PyTorch 2.11 with CUDA (torch/README.md). Nothing is built here and no network is
# needed. OUT gets runs.tar.gz in parts of 15 MiB, which `cat OUT/runs.tar.gz.* | tar xz` unpacks into runs/<experiment>/.
# LIMIT=SECONDS ends training in time (400 if not given); what is not finished then is packed with its checkpoint, and
# the same command goes on from there. OPTIONS are added to every sweep. DEVICE=cpu rehearses the script.
set -u
program=$(realpath "$1") out=$2
shift 2
. "$(dirname "$0")/gpu_libraries.sh"
end=$((SECONDS + ${LIMIT:-400}))
runs=$(mktemp -d)
mkdir -p "$out"
for config in "$@"; do
    left=$((end - SECONDS))
    [ "$left" -gt 5 ] || { echo "no time left for $config" >&2; continue; }
    start=$SECONDS
    # Told to stop, a sweep keeps what it has.
    # shellcheck disable=SC2086
    timeout --signal=INT --kill-after=20 "$left" "$program" sweep "$config" --device "${DEVICE:-cuda}" --runs "$runs/runs" ${OPTIONS:-} \
        2> "$out/$(basename "$config" .toml).log"
    echo "$config: exit code $?, $((SECONDS - start)) s" | tee -a "$out/experiments.txt"
    tail -n 3 "$out/$(basename "$config" .toml).log"
done
tar -C "$runs" -cz --exclude=lock runs | split -b 15m - "$out/runs.tar.gz."
ls -la "$out"
rm -rf "$runs"
