#!/usr/bin/env bash
# A sweep on a real Slurm equals a local one bit for bit, also when a task is killed and requeued.
#
# Starts munged, slurmctld and slurmd on loopback with a configuration of their own in a temporary folder, so
# that no Slurm of this machine is touched, and ends them by their process ids. Needs root; Debian's packages
# slurm-wlm and munge are installed if they are missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cvae=$(cd "$here/.." && pwd)/target/release/cvae

fail() { echo "test-slurm: $*" >&2; exit 1; }
[ -x "$cvae" ] || fail "$cvae is missing; run make build"
[ "$(id -u)" = 0 ] || fail "Slurm's daemons need root here; run as root"
if ! command -v slurmctld slurmd munged sbatch > /dev/null; then
    command -v apt-get > /dev/null || fail "slurm-wlm and munge are missing; install them"
    echo "installing slurm-wlm and munge"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge > /dev/null
fi

dir=$(mktemp -d /tmp/cvae-slurm.XXXXXX)
chmod 755 "$dir"
export SLURM_CONF=$dir/slurm.conf
munged_pid= ctld_pid= slurmd_pid=
clean() {
    status=$?
    if [ $status -ne 0 ]; then tail -n 20 "$dir"/*.log "$dir"/*/grid/slurm/*/*.log >&2 2> /dev/null || true; fi
    for pid in $slurmd_pid $ctld_pid $munged_pid; do kill "$pid" 2> /dev/null || true; done
    wait 2> /dev/null || true
    rm -rf "$dir"
    exit $status
}
trap clean EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
host=$(hostname -s)
sed -e "s#@DIR@#$dir#; s#@HOST@#$host#; s#@PORT@#$(free_port)#; s#@NODEPORT@#$(free_port)#; s#@CPUS@#$(nproc)#" \
    "$here/slurm.conf.in" > "$SLURM_CONF"
mkdir "$dir/state" "$dir/spool"
dd if=/dev/urandom of="$dir/munge.key" bs=1024 count=1 status=none
chmod 400 "$dir/munge.key"
# In the foreground each, so that their process ids are ours to end.
munged --foreground --force --key-file "$dir/munge.key" --socket "$dir/munge.socket" --pid-file "$dir/munged.pid" \
    --log-file "$dir/munged.log" --seed-file "$dir/munge.seed" > "$dir/munged.out.log" 2>&1 & munged_pid=$!
for _ in $(seq 50); do [ -S "$dir/munge.socket" ] && break; sleep 0.1; done
slurmctld -D -f "$SLURM_CONF" > "$dir/slurmctld.out.log" 2>&1 & ctld_pid=$!
slurmd -D -f "$SLURM_CONF" -N "$host" > "$dir/slurmd.out.log" 2>&1 & slurmd_pid=$!
for _ in $(seq 150); do sinfo -h -o %T 2> /dev/null | grep -q idle && break; sleep 0.2; done
sinfo -h -o %T | grep -q idle || fail "Slurm did not start"
echo "Slurm runs: $(sinfo --version), $(nproc) cores"

cd "$dir"
cat > grid.toml << 'CONFIG'
threads = 1
[model]
hidden_dim = 16
angles = 8
[beta]
rise = 20
[training]
steps = 6000
batch_size = 64
warm_up = 5
checkpoint_every = 10
[evaluation]
every = 2000
samples = 1
final_samples = 1
codes = 2
[sweep]
seeds = [1, 2, 3]
product = { "model.latent_dim" = [2, 3] }
CONFIG
"$cvae" sweep grid.toml --runs local 2> /dev/null
# A path with all that a shell or Slurm could misread.
runs="my 'runs' \"of\" %a \$x"
submit() { "$cvae" sweep grid.toml --runs "$runs" --launcher slurm --sbatch "--time=10 --comment='two words'" "$@" 2> submitted.txt; }
[ -z "$("$cvae" sweep grid.toml --runs "$runs" --launcher slurm --sbatch --test-only 2> tried.txt)" ] && grep -q "nothing was submitted" tried.txt ||
    fail "--test-only: $(cat tried.txt)"
job=$(submit)
echo "submitted job array $job"
# From now on the config says something else: the tasks must not care.
cp grid.toml whole.toml
sed -i 's/seeds = .*/seeds = [7]/; s/steps = .*/steps = 900/' grid.toml
"$cvae" sweep grid.toml --runs "$runs" --status | tee status.txt
grep -q "slurm job $job, frozen as submitted on .* 6 of them are not in the config any more" status.txt || fail "--status does not tell of the job"
cp whole.toml grid.toml
[ -z "$(submit)" ] && grep -q "nothing to submit" submitted.txt || fail "submitted twice: $(cat submitted.txt)"
sed -i 's/seeds = .*/seeds = [7]/; s/steps = .*/steps = 900/' grid.toml

# Kill a task in the middle of its training, as a node that dies would.
running_task() { # the process and the number of a task that has a checkpoint
    local proc index trial
    for proc in /proc/[0-9]*; do
        tr '\0' '\n' < "$proc/cmdline" 2> /dev/null | grep -qx -- --task || continue
        index=$(tr '\0' '\n' < "$proc/environ" 2> /dev/null | sed -n 's/^SLURM_ARRAY_TASK_ID=//p')
        trial=$(tr '\0' '\n' < "$proc/cmdline" 2> /dev/null | sed -n '/^--output$/{n;p}')
        [ -n "$index" ] && [ -f "$trial/checkpoint/checkpoint.safetensors" ] || continue
        case $trial in "$dir/$runs"/*) echo "${proc#/proc/} $index"; return ;; esac
    done
}
victim=
for _ in $(seq 300); do
    read -r pid index < <(running_task) || true
    if [ -n "${pid:-}" ] && kill -9 "$pid" 2> /dev/null; then victim=$index; break; fi
    sleep 0.1
done
[ -n "$victim" ] || fail "no task could be killed in time"
echo "killed task $victim with -9"
for _ in $(seq 300); do
    state=$(scontrol show job "${job}_$victim" -o | sed -n 's/.*JobState=\([A-Z]*\).*/\1/p')
    [ "$state" = FAILED ] && break
    sleep 0.2
done
[ "$state" = FAILED ] || fail "task $victim is $state after kill -9, expected FAILED"
"$cvae" sweep whole.toml --runs "$runs" --status > /dev/null
scontrol requeue "${job}_$victim"
# Tell another to stop, as the end of its time would: it keeps its steps, ends with 75, and is put back into the queue.
for _ in $(seq 300); do
    read -r pid index < <(running_task) || true
    if [ -n "${pid:-}" ] && [ "$index" != "$victim" ] && kill -USR1 "$pid" 2> /dev/null; then echo "told task $index to stop"; break; fi
    pid=; sleep 0.1
done
for _ in $(seq 600); do [ -z "$(squeue -h -j "$job")" ] && break; sleep 0.5; done
[ -z "$(squeue -h -j "$job")" ] || fail "the job did not end"
cp whole.toml grid.toml
"$cvae" sweep grid.toml --runs "$runs" --status | tee status.txt
grep -q "6 trials: 6 finished" status.txt || fail "not all trials are finished"
"$cvae" sweep grid.toml --runs "$runs" 2> /dev/null # rebuilds results.csv, and finds nothing to do
[ -s "$runs/grid/slurm/1/$victim.log" ] || fail "no log of task $victim"
rm -r "$runs/grid/slurm"

python3 "$here/same.py" local/grid "$runs/grid" || fail "results differ"
resumed=$(grep -l "resumed after" "$runs"/grid/*/log.txt | wc -l)
[ "$resumed" -ge 1 ] || fail "no trial was taken up at its checkpoint"
echo "6 trials on Slurm equal the local ones bit for bit; $resumed was taken up at its checkpoint"
echo "1 passed, 0 failed"
