#!/usr/bin/env bash
# Faults of the machine and of the user: a full disk, read-only folders, missing files, folders in the place of
# files, closed pipes, SIGTERM, lack of memory, a clock that jumps, two processes on one run. Each must end in a
# message and an exit code of the table in docs/commands.md, and finished work must stay as it was.
#
#   tests/faults.sh      as root, or where user namespaces are allowed
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cvae=$(cd "$here/.." && pwd)/target/release/cvae
model=$(cd "$here/.." && pwd)/model

# Messages as a user sees them.
unset RUST_BACKTRACE

fail() { echo "faults: $*" >&2; exit 1; }
[ -x "$cvae" ] || fail "$cvae is missing; run make build"
# Mounts of its own, gone with the process.
if [ -z "${FAULTS_INSIDE:-}" ]; then
    options=(--mount); [ "$(id -u)" = 0 ] || options+=(--map-root-user)
    unshare "${options[@]}" true || fail "no mounts here: run it as root, or allow user namespaces"
    FAULTS_INSIDE=1 exec unshare "${options[@]}" "$0" "$@"
fi
dir=$(mktemp -d "${TMPDIR:-/tmp}/cvae-faults.XXXXXX")
trap 'cd /; umount -l "$dir"/full "$dir"/readonly 2> /dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
cat > tiny.toml << 'CONFIG'
threads = 1
[model]
hidden_dim = 16
angles = 8
[beta]
rise = 20
[training]
steps = 200
batch_size = 64
warm_up = 5
checkpoint_every = 5
[evaluation]
every = 50
samples = 1
final_samples = 1
codes = 2
[sweep]
seeds = [1, 2]
CONFIG
printf '[MON] [DEC] [False] [196]\n[WED] [JAN] [False] [180]' > conditions.txt

passed=0
# expect CODE WORDS COMMAND...: the command ends with the code and says the words on standard error; "" for nothing.
expect() {
    local wanted=$1 words=$2 code=0; shift 2
    "$@" > stdout.txt 2> stderr.txt || code=$?
    [ "$code" = "$wanted" ] || fail "exit code $code, expected $wanted: $*: $(cat stderr.txt)"
    [ -z "$words" ] || grep -qF -- "$words" stderr.txt || fail "no '$words' in: $*: $(cat stderr.txt)"
    ! grep -qE 'panicked|internal error' stderr.txt || fail "a panic in: $*: $(cat stderr.txt)"
    passed=$((passed + 1))
}
same() { python3 "$here/same.py" "$1" "$2" || fail "$3"; passed=$((passed + 1)); }
begin() { echo "== $*"; }

"$cvae" sweep tiny.toml --runs undisturbed 2> /dev/null
finished=$(echo undisturbed/tiny/*seed1-*)
sums=$(sha256sum undisturbed/tiny/*/* undisturbed/tiny/results.csv)

begin "full disk"
mkdir full; mount -t tmpfs -o size=1m tmpfs full
echo old > full/data.txt
expect 1 "free some room and run the same command again" "$cvae" data -o full
[ "$(cat full/data.txt)" = old ] && [ "$(ls -A full)" = data.txt ] || fail "a full disk left $(ls -A full)"
cp -r undisturbed/tiny/*seed1-* full/; rm full/data.txt
mkdir -p full/runs/tiny; mv full/*seed1-* full/runs/tiny/
head -c 800000 /dev/zero > full/filler 2> /dev/null || true
expect 1 "free some room" "$cvae" sweep tiny.toml --runs full/runs --jobs 1
before=$(cd undisturbed/tiny; sha256sum *seed1-*/*); after=$(cd full/runs/tiny; sha256sum *seed1-*/*)
[ "$before" = "$after" ] || fail "a full disk changed a finished trial"
cat /dev/zero > full/filler 2> /dev/null || true
expect 1 "free some room" "$cvae" predict -i conditions.txt full/predictions.txt --model "$finished"
[ ! -e full/predictions.txt ] || fail "a full disk left half predictions"
rm full/filler
expect 0 "" "$cvae" sweep tiny.toml --runs full/runs --retry-failed
same undisturbed/tiny full/runs/tiny "a sweep on a disk that was full ended otherwise"
expect 1 "standard output" bash -c '"$0" eval "$1" > /dev/full' "$cvae" <(sed 's/$/ 3-12-1962/' conditions.txt)
expect 1 "standard output" bash -c '"$0" predict -i conditions.txt - --model "$1" > /dev/full' "$cvae" "$finished"

begin "read-only folders"
mkdir readonly; mount -t tmpfs -o ro,size=1m tmpfs readonly
for command in "data -o readonly/data" "train tiny.toml --runs readonly" "train tiny.toml -o readonly" "sweep tiny.toml --runs readonly" \
    "predict -i conditions.txt readonly/out.txt --model $finished" "inspect --all -o readonly/inspect --model $finished -n 1" "man -o readonly/man"; do
    # shellcheck disable=SC2086
    expect 1 "choose a place that can be written to" "$cvae" $command
done
mkdir locked; cp -r undisturbed/tiny/*seed1-* locked/trial; chmod -R a-w locked
if [ "$(id -u)" = 0 ] && setpriv --reuid 65534 --clear-groups test -x "$cvae" && chmod a+rx . ; then
    expect 1 "check its permissions or choose another place" setpriv --reuid 65534 --clear-groups "$cvae" data -o locked
    expect 0 "" setpriv --reuid 65534 --clear-groups "$cvae" predict -i conditions.txt - --model locked/trial
fi
chmod -R u+w locked

begin "missing files"
expect 2 "none.toml" "$cvae" train none.toml
expect 2 "check the path" "$cvae" sweep none.toml
expect 2 "none.txt: No such file or directory (os error 2); check the path" "$cvae" predict -i none.txt - --model "$finished"
expect 2 "none.txt" "$cvae" eval none.txt
expect 2 "none" "$cvae" compare none
expect 2 "cannot load a model from none" "$cvae" predict -i conditions.txt - --model none
mkdir halfmodel; cp "$finished/config.toml" halfmodel
expect 1 "halfmodel holds no weights" "$cvae" predict -i conditions.txt - --model halfmodel
echo 'base = "none.toml"' > based.toml
expect 2 "none.toml" "$cvae" train based.toml
mkdir empty
expect 2 "no finished trial" "$cvae" compare empty

begin "folders in the place of files, files in the place of folders"
for command in "train empty" "sweep empty" "predict -i empty - --model $finished" "eval empty"; do
    # shellcheck disable=SC2086
    expect 2 "it is a folder, name a file" "$cvae" $command
done
expect 1 "it is a folder, name a file" "$cvae" predict -i conditions.txt empty --model "$finished"
for command in "train tiny.toml --runs tiny.toml" "sweep tiny.toml --runs tiny.toml" "data -o tiny.toml" "predict -i conditions.txt - --model tiny.toml" \
    "predict -i conditions.txt tiny.toml/out --model $finished" "compare tiny.toml"; do
    # shellcheck disable=SC2086
    expect 1 "tiny.toml" "$cvae" $command
    grep -qE 'check the path|choose another place' stderr.txt || fail "no remedy in: $command: $(cat stderr.txt)"
done
expect 0 "" "$cvae" train tiny.toml --set training.steps=30 -o whole
rm whole/metrics.csv whole/SHA256SUMS
for name in config.toml history.csv lock metrics.csv log.txt checkpoint/checkpoint.safetensors model.safetensors SHA256SUMS; do
    cp -r whole taken; rm -rf "taken/$name"; mkdir -p "taken/$name"
    expect 1 "$name" "$cvae" train tiny.toml --set training.steps=30 -o taken
    grep -qE "it is a folder|it is not a file" stderr.txt || fail "a folder $name is not told: $(cat stderr.txt)"
    rm -r taken
done
cp -r whole taken; touch taken/checkpoint
expect 1 "taken/checkpoint" "$cvae" train tiny.toml --set training.steps=30 -o taken
rm -r taken; cp -r whole taken; rm taken/lock; mkfifo taken/lock
expect 1 "lock: it is not a file; remove it" timeout 20 "$cvae" train tiny.toml --set training.steps=30 -o taken
rm -r whole taken

begin "folders of the user's own"
for name in checkpoint/weights.bin data.partial error.txt SHA256SUMS notes.md; do
    mkdir -p "own/$(dirname "$name")"; echo mine > "own/$name"
    expect 1 "name an empty folder, or one that is not there yet" "$cvae" train tiny.toml -o own
    [ "$(cat "own/$name")" = mine ] && [ "$(find own -type f | wc -l)" = 1 ] || fail "a folder with $name was written to"
    rm -r own
done

begin "closed pipes"
for command in "predict -i conditions.txt - -n 100000 --model $finished" "inspect --all --model $finished -n 1 -o inspected" "man" "completions bash" "compare undisturbed --csv"; do
    # shellcheck disable=SC2086
    expect 0 "" bash -c 'set -o pipefail; "$0" "$@" | head -c 1 > /dev/null' "$cvae" $command
    ! grep -qi "error\|pipe" stderr.txt || fail "a closed pipe is no error: $command: $(cat stderr.txt)"
done
expect 0 "" bash -c '"$0" inspect --all --model "$1" -n 1 -o unread | true; exit "${PIPESTATUS[0]}"' "$cvae" "$finished"
[ -s unread/conditions.csv ] && [ -s unread/tv.png ] || fail "charts that nobody reads the text of were not written"
printf 'nonsense\n[MON] [DEC] [False] [196]' > bad.txt
expect 3 "" bash -c '"$0" predict -i bad.txt - --keep-going -n 100000 --model "$1" | true; exit "${PIPESTATUS[0]}"' "$cvae" "$finished"
# Another pipe than standard output is a file that could not be written.
mkfifo closing; head -c 1 closing > /dev/null & reader=$!
expect 1 "cannot write closing" "$cvae" predict -i conditions.txt closing -n 1000000 --model "$finished"
wait "$reader"
expect 1 "" bash -c '"$0" train tiny.toml --runs closed >&- 2>&-' "$cvae"
[ -s closed/tiny/*seed1-*/metrics.csv ] || fail "a run with closed streams did not finish"
expect 0 "" bash -c '"$0" sweep tiny.toml --runs closed 2>&1 >&- | head -c 1 > /dev/null; exit "${PIPESTATUS[0]}"' "$cvae"
same undisturbed/tiny closed/tiny "a sweep whose messages nobody reads ended otherwise"

# started LOG-FOLDER...: waits until a run has written its first checkpoint.
started() { for _ in $(seq 6000); do compgen -G "$1" > /dev/null && return; sleep 0.05; done; fail "no $1 after 5 min"; }
# listening PROCESS: waits until it takes signals, which a thread of its own does.
listening() { for _ in $(seq 6000); do grep -qs '^ctrl-c' /proc/"$1"/task/*/comm && return; sleep 0.05; done; fail "$1 takes no signals"; }
long=(--set training.steps=100000 --set evaluation.every=100000)

begin "SIGTERM"
"$cvae" train tiny.toml -o stopped "${long[@]}" > /dev/null 2> stderr.txt & pid=$!
started stopped/checkpoint/checkpoint.safetensors
kill -TERM "$pid"; code=0; wait "$pid" || code=$?
[ "$code" = 130 ] && grep -q "the same command goes on from there" stderr.txt || fail "SIGTERM: $code: $(cat stderr.txt)"
"$cvae" train tiny.toml -o stopped "${long[@]}" > /dev/null 2>&1 & pid=$!
started stopped/lock; sleep 1
kill -TERM "$pid"; code=0; wait "$pid" || code=$?
[ "$code" = 130 ] || fail "SIGTERM of a resumed run: $code"
grep -q "resumed after step" stopped/log.txt || fail "not resumed: $(cat stopped/log.txt)"
# A command that is no run ends at once, and leaves nothing.
for _ in $(seq 500); do cat conditions.txt; echo; done > many.txt
for signal in TERM INT; do
    # A shell has its jobs in the background ignore SIGINT, and so does the program then.
    env --default-signal=INT "$cvae" predict -i many.txt stopped.txt -n 1000000 --model "$finished" 2> stderr.txt & pid=$!
    started ".stopped.txt.*.partial"
    kill -"$signal" "$pid"; code=0; wait "$pid" || code=$?
    [ "$code" = 130 ] && grep -q "interrupted; stopped.txt was not written, its partial file is removed" stderr.txt ||
        fail "SIG$signal of predict: $code: $(cat stderr.txt)"
    [ -z "$(compgen -G '.stopped.txt*' || true)" ] && [ ! -e stopped.txt ] || fail "SIG$signal left half predictions"
    mkdir -p whole; env --default-signal=INT "$cvae" inspect --all -n 1000000 -o whole/charts --model "$finished" 2> stderr.txt & pid=$!
    listening "$pid"; started whole/charts
    kill -"$signal" "$pid"; code=0; wait "$pid" || code=$?
    [ "$code" = 130 ] && grep -q interrupted stderr.txt || fail "SIG$signal of inspect: $code: $(cat stderr.txt)"
    [ -z "$(ls -A whole/charts)" ] || fail "SIG$signal of inspect left $(ls -A whole/charts)"
    rm -rf whole; mkfifo endless; sleep 600 > endless & writer=$!
    env --default-signal=INT "$cvae" eval endless 2> stderr.txt & pid=$!
    listening "$pid"
    kill -"$signal" "$pid"; code=0; wait "$pid" || code=$?
    kill "$writer"; wait "$writer" 2> /dev/null || true; rm endless
    [ "$code" = 130 ] && grep -q interrupted stderr.txt || fail "SIG$signal of eval: $code: $(cat stderr.txt)"
    passed=$((passed + 3))
done
passed=$((passed + 3))

begin "signals in evaluations"
# Hours of evaluation, after a step in the middle and after the last; the only checkpoint is the one before it.
for every in 20 200; do
    for signal in TERM INT HUP USR1 XCPU; do
        env --default-signal=HUP,INT "$cvae" train tiny.toml -o "evaluated$every" --set training.checkpoint_every=1000 --set evaluation.every="$every" \
            --set evaluation.samples=1000000 --set evaluation.final_samples=1000000 > /dev/null 2> stderr.txt & pid=$!
        listening "$pid"; started "evaluated$every/checkpoint/checkpoint.safetensors"; sleep 0.5
        told=$(date +%s%N); kill -"$signal" "$pid"; code=0; wait "$pid" || code=$?
        took=$((($(date +%s%N) - told) / 1000000))
        [ "$code" = 130 ] && grep -q stopping stderr.txt && [ "$took" -lt 5000 ] ||
            fail "SIG$signal in an evaluation: code $code after $took ms: $(cat stderr.txt)"
        [ -s "evaluated$every/checkpoint/checkpoint.safetensors" ] || fail "SIG$signal in an evaluation lost the checkpoint"
        passed=$((passed + 1))
    done
    [ "$(grep -c "interrupted after step $every" "evaluated$every/log.txt")" = 5 ] || fail "steps were lost: $(cat "evaluated$every/log.txt")"
done

begin "two processes on one run"
"$cvae" train tiny.toml -o shared "${long[@]}" > /dev/null 2>&1 & pid=$!
started shared/checkpoint/checkpoint.safetensors
expect 75 "another process is running this trial" "$cvae" train tiny.toml -o shared "${long[@]}"
expect 75 "another process is running this trial" env - "$cvae" train tiny.toml -o shared "${long[@]}"
kill -TERM "$pid"; code=0; wait "$pid" || code=$?
[ "$code" = 130 ] || fail "SIGTERM: $code"

begin "file systems without locks"
cat > nolocks.c << 'CODE'
#include <errno.h>
/* As on NFS without its lock daemon. */
int flock(int file, int operation) { errno = ENOLCK; return -1; }
CODE
cc -shared -fPIC -O1 nolocks.c -o nolocks.so
expect 1 "set CVAE_LOCKS=off and never let two processes run one trial" env LD_PRELOAD="$dir/nolocks.so" "$cvae" sweep tiny.toml --runs nolocks
[ "$(grep -c 'set CVAE_LOCKS=off' stderr.txt)" = 1 ] && ! compgen -G 'nolocks/tiny/*/error.txt' > /dev/null || fail "a lock that can't be had: $(cat stderr.txt)"
expect 1 "set CVAE_LOCKS=off" env LD_PRELOAD="$dir/nolocks.so" "$cvae" train tiny.toml --runs nolocks
# No trial has failed: nothing is to be tried again.
expect 0 "" env LD_PRELOAD="$dir/nolocks.so" CVAE_LOCKS=off "$cvae" sweep tiny.toml --runs nolocks
same undisturbed/tiny nolocks/tiny "a sweep without locks ended otherwise"
rm nolocks/tiny/*/metrics.csv
expect 1 "set CVAE_LOCKS=off" env LD_PRELOAD="$dir/nolocks.so" "$cvae" sweep tiny.toml --runs nolocks --status
if [ "$(id -u)" = 0 ] && setpriv --reuid 65534 --clear-groups test -x "$cvae"; then
    # A colleague who may only read sees what runs.
    "$cvae" sweep tiny.toml --runs watched "${long[@]}" > /dev/null 2>&1 & pid=$!
    started "watched/tiny/*/checkpoint/checkpoint.safetensors"
    # A checkpoint that is being written may be renamed while chmod walks over it.
    until chmod -R a+rX watched tiny.toml 2> /dev/null; do sleep 0.01; done; chmod a+rx .
    expect 0 "" setpriv --reuid 65534 --clear-groups "$cvae" sweep tiny.toml --runs watched --status "${long[@]}"
    grep -qE '[12] running' stdout.txt || fail "a reader does not see what runs: $(cat stdout.txt)"
    kill -TERM "$pid"; wait "$pid" || true
fi

begin "pipes in the place of files"
for name in config.toml history.csv metrics.csv error.txt lock log.txt SHA256SUMS checkpoint/checkpoint.safetensors; do
    for kept in metrics.csv none; do
        rm -rf piped; cp -r "$finished" piped; [ $kept = metrics.csv ] || rm piped/metrics.csv
        rm -rf "piped/$name"; mkdir -p "$(dirname "piped/$name")"; mkfifo "piped/$name"
        for command in "compare piped" "plot --logs piped" "train tiny.toml -o piped" "predict -i conditions.txt - --model piped" "eval conditions.txt --model piped"; do
            code=0
            # shellcheck disable=SC2086
            timeout -k 1 30 "$cvae" $command > stdout.txt 2> stderr.txt || code=$?
            [ "$code" -lt 124 ] || fail "a pipe $name hangs: $command"
            ! grep -qE 'panicked|internal error' stderr.txt || fail "a panic in: $command: $(cat stderr.txt)"
            passed=$((passed + 1))
        done
    done
done
rm -rf piped

begin "inputs without an end"
mkdir small; mount -t tmpfs -o size=1m tmpfs small
for input in /dev/zero /dev/urandom; do
    for command in "eval $input" "predict -i $input - --model $finished"; do
        # shellcheck disable=SC2086
        expect 1 "cannot read $input: it is a device without an end, name a file" env TMPDIR="$dir/small" timeout -k 1 30 "$cvae" $command
    done
done
expect 1 "a line of it has no end" bash -c 'cat /dev/zero | timeout -k 1 60 "$0" eval -' "$cvae"
expect 1 "write a temporary file in" bash -c 'yes "[MON] [DEC] [False] [196]" | TMPDIR=$2 timeout -k 1 60 "$0" predict -i - - --model "$1"' "$cvae" "$finished" "$dir/small"
[ -z "$(ls -A small)" ] || fail "temporary files are left: $(ls -A small)"
umount small; rmdir small

begin "hostile checkpoints"
"$cvae" train tiny.toml -o hostile "${long[@]}" > /dev/null 2>&1 & pid=$!
started hostile/checkpoint/checkpoint.safetensors
kill -TERM "$pid"; wait "$pid" || true
cat > hostile.py << 'CODE'
"""Changes the counters of a checkpoint, or all numbers of a tensor, and seals the file again."""
import hashlib, json, struct, sys
path, change = sys.argv[1], json.loads(sys.argv[2])
data = open(path, "rb").read()
end = 8 + struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8:end])
meta = header.pop("__metadata__")
tensors = {name: data[end + entry["data_offsets"][0] : end + entry["data_offsets"][1]] for name, entry in header.items()}
for name, value in change.pop("tensors", {}).items():
    tensors[name] = struct.pack("<f", float(value)) * (len(tensors[name]) // 4)
tensors["state"] = json.dumps({**json.loads(tensors["state"]), **change}).encode()
header["state"]["shape"] = [len(tensors["state"])]
place, order = 0, sorted(header, key=lambda name: header[name]["data_offsets"])
for name in order:
    header[name]["data_offsets"] = [place, place + len(tensors[name])]
    place += len(tensors[name])
text = json.dumps({"__metadata__": {**meta, "sha256": "0" * 64}, **header}, separators=(",", ":")).encode()
whole = struct.pack("<Q", len(text)) + text + b"".join(tensors[name] for name in order)
digest = hashlib.sha256(whole).hexdigest().encode()
open(path, "wb").write(whole.replace(b"0" * 64, digest, 1))
CODE
zero='[0, 0, 0, 0]'
for change in '{"step": 18446744073709551615}' '{"step": 0}' '{"step": -1}' '{"step": 1e300}' '{"summed": 18446744073709551615}' '{"seconds": -5.0}' \
    '{"seconds": 1e999}' '{"sums": [1, 2]}' "{\"pending\": [$zero, $zero, $zero, $zero, $zero, $zero, $zero, $zero, $zero, $zero]}" \
    '{"run": "another"}' '{"extra": 1}' '{"tensors": {"first": "nan"}}' '{"tensors": {"second": "-1"}}' '{"tensors": {"second": "inf"}}'; do
    rm -rf changed; cp -r hostile changed
    python3 hostile.py changed/checkpoint/checkpoint.safetensors "$change"
    expect 1 "remove it to train from the start" timeout -k 1 60 "$cvae" train tiny.toml -o changed "${long[@]}"
    [ ! -e changed/metrics.csv ] || fail "a hostile checkpoint finishes: $change"
done
rm -rf changed; cp -r hostile changed
# Sealed again without a change it is taken up.
python3 hostile.py changed/checkpoint/checkpoint.safetensors '{}'
"$cvae" train tiny.toml -o changed "${long[@]}" > /dev/null 2> stderr.txt & pid=$!
listening "$pid"; sleep 1; kill -TERM "$pid"; code=0; wait "$pid" || code=$?
# Phases may begin within that second, and are in the log as well.
tail -n +$(($(wc -l < hostile/log.txt) + 1)) changed/log.txt > since.txt
[ "$code" = 130 ] && grep -q "resumed after step" since.txt || fail "a sealed checkpoint is refused: $(cat stderr.txt)"
passed=$((passed + 1))

begin "frozen submissions"
mkdir bin frozen; cp tiny.toml frozen/grid.toml
printf '#!/bin/bash\necho 7\n' > bin/sbatch
printf '#!/bin/bash\necho 7 0 PENDING; echo 7 1 PENDING\n' > bin/squeue
printf '#!/bin/bash\nexit 1\n' > bin/scontrol
chmod +x bin/*
slurm() { env PATH="$dir/bin:$PATH" "$cvae" sweep frozen/grid.toml --runs frozen/runs "$@"; }
task() { code=0; env SLURM_ARRAY_TASK_ID="$1" bash frozen/runs/grid/slurm/1/job.sh || code=$?; }
expect 0 "submitted 2 trials as job 7" slurm --launcher slurm
# Whatever becomes of the config, the trials' folders and the list of tasks: a task trains what it was asked for, or nothing.
rm frozen/grid.toml
task 0
[ "$code" = 0 ] && [ -s frozen/runs/grid/*seed1-*/metrics.csv ] || fail "a task trained nothing: $(cat frozen/runs/grid/slurm/1/0.log)"
trial=$(echo frozen/runs/grid/*seed2-*)
cp "$trial/config.toml" whole.toml; sed -i 's/^steps = .*/steps = 90/' "$trial/config.toml"
task 1
[ "$code" != 0 ] && [ ! -e "$trial/metrics.csv" ] || fail "an edited config was trained under the name of the trial that was submitted"
cp whole.toml "$trial/config.toml"
task 99
[ "$code" != 0 ] || fail "a task without a trial ended well"
cp tiny.toml frozen/grid.toml
printf 'nonsense' > frozen/runs/grid/slurm/1/tasks
expect 0 "" slurm --status
printf '\377\n' > frozen/runs/grid/slurm/1/job
expect 0 "what is queued is not known" slurm --status
passed=$((passed + 3))

begin "limits on files"
expect 1 "raise it (ulimit -f) and run the same command again" \
    bash -c 'ulimit -f 1; exec "$0" predict -i conditions.txt limited.txt -n 100000 --model "$1"' "$cvae" "$finished"
[ ! -e limited.txt ] && [ -z "$(compgen -G '.limited.txt*' || true)" ] || fail "a limit on files left half predictions"
expect 1 "raise it (ulimit -f)" bash -c 'ulimit -f 1; exec "$0" train tiny.toml -o limited' "$cvae"
expect 1 "set TMPDIR to a folder that can be written to" env TMPDIR=/nonexistent "$cvae" predict -i - - < /dev/null

begin "lack of memory"
# The system's way: the largest process is killed.
"$cvae" sweep tiny.toml --runs killed --jobs 2 --set training.steps=2000 > /dev/null 2> stderr.txt & pid=$!
started "killed/tiny/*seed1-*/checkpoint/checkpoint.safetensors"
child=$(pgrep -P "$pid" | head -n 1)
kill -9 "$child"; code=0; wait "$pid" || code=$?
[ "$code" = 1 ] && grep -q "out of memory? The same command takes it up where it was" stderr.txt || fail "killed child: $code: $(cat stderr.txt)"
[ "$(wc -l < killed/tiny/results.csv)" = 2 ] || fail "the other trial did not finish"
expect 0 "" "$cvae" sweep tiny.toml --runs killed --set training.steps=2000
expect 0 "" "$cvae" sweep tiny.toml --runs alone --set training.steps=2000
same alone/tiny killed/tiny "a trial killed for memory ended otherwise"
# Memory that can't be had is noticed before training.
expect 1 "with too little memory, lower training.batch_size or model.hidden_dim" \
    bash -c 'ulimit -v 4000000; exec "$0" train tiny.toml -o large --set model.hidden_dim=8192 --set training.batch_size=100000' "$cvae"
grep -q "too little memory" large/error.txt || fail "error.txt does not tell of the memory"
# Other commands: done, or a message, or the end by Rust's runtime; never a panic, and never a half-written
# file. 126 and 127 are the shell's and the loader's, which did not even start the program.
scarce() { # PROGRAM LIMIT...: predicts within so many KiB
    local program=$1 limit least=0
    shift
    for limit in "$@"; do
        code=0
        bash -c 'ulimit -v "$1"; exec "$0" predict -i conditions.txt scarce.txt -n 100000 --model "$2"' "$program" "$limit" "$finished" \
            > stdout.txt 2> stderr.txt || code=$?
        case $code in
        0) [ "$(wc -l < scarce.txt)" = 200000 ] || fail "half predictions in $limit KiB" ;;
        1) grep -qE 'error: .*memory' stderr.txt || fail "no message of memory in $limit KiB: $(cat stderr.txt)" ;;
        126 | 127 | 134) ;;
        *) fail "$program predict in $limit KiB: exit code $code: $(cat stderr.txt)" ;;
        esac
        ! grep -qE 'panicked|internal error' stderr.txt || fail "a panic in $limit KiB: $(cat stderr.txt)"
        [ "$code" = 0 ] || [ ! -e scarce.txt ] || fail "predict failed in $limit KiB and wrote a file"
        # An end from outside leaves the partial file, as kill -9 does.
        case $(cat stderr.txt) in error:*) [ -z "$(compgen -G '.scarce.txt*' || true)" ] || fail "a partial file is left in $limit KiB" ;; esac
        rm -f scarce.txt .scarce.txt.*.partial
        [ "$code" != 0 ] || { [ "$least" != 0 ] || least=$limit; }
        passed=$((passed + 1))
    done
    [ "$least" != 0 ] || fail "$program predict needs more than $limit KiB"
    [ "$least" != "$1" ] || fail "$program predict needs less than $1 KiB: none of these limits is scarce"
}
scarce "$cvae" 20000 40000 60000 80000 90000 100000 120000 160000 200000 300000 600000
# A sweep whose trials lack memory says so and can be run again.
expect 1 "trials failed; --retry-failed runs them again" \
    bash -c 'ulimit -v 4000000; exec "$0" sweep tiny.toml --runs scarce --jobs 1 --set model.hidden_dim=8192 --set training.batch_size=100000' "$cvae"
grep -q "too little memory" scarce/tiny/*/error.txt || fail "no error.txt tells of the memory"
expect 0 "" "$cvae" sweep tiny.toml --runs scarce
same undisturbed/tiny/ scarce/tiny "a sweep beside one that lacked memory ended otherwise"

begin "a clock that jumps"
cat > clock.c << 'CODE'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
/* The wall clock jumps by a day, now forth, now back, at every look at it. */
int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    static long looks;
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(clock, time);
    if (clock == CLOCK_REALTIME) time->tv_sec += (looks++ % 3 - 1) * 86400;
    return code;
}
CODE
cc -shared -fPIC -O1 clock.c -o clock.so -ldl
expect 0 "" env LD_PRELOAD="$dir/clock.so" "$cvae" sweep tiny.toml --runs jumping
same undisturbed/tiny jumping/tiny "a sweep under a jumping clock ended otherwise"
python3 - jumping/tiny/*/log.txt << 'CODE' || fail "the clock did not jump"
import sys
days = {line[:10] for path in sys.argv[1:] for line in open(path)}
sys.exit(len(days) < 2)
CODE
python3 - jumping/tiny/*/metrics.csv << 'CODE' || fail "a jumping clock shows in the seconds of training"
import csv, sys
seconds = [float(row["train_seconds"]) for path in sys.argv[1:] for row in csv.DictReader(open(path))]
sys.exit(not all(0 < second < 3600 for second in seconds))
CODE
passed=$((passed + 2))

[ "$sums" = "$(sha256sum undisturbed/tiny/*/* undisturbed/tiny/results.csv)" ] || fail "finished work has changed"
expect 0 "" "$cvae" predict -i conditions.txt - --model "$model"
echo "$passed passed, 0 failed"
