#!/usr/bin/env bash
# Kills a small sweep with -9 at random moments, again and again, and runs the same command after each kill:
# the results must equal those of a sweep that was left alone, bit for bit, with nothing left over.
#
#   tests/kill.sh [KILLS] [SEED]      200 kills if not given
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cvae=$(cd "$here/.." && pwd)/target/release/cvae
kills=${1:-200}
RANDOM=${2:-1}

fail() { echo "kill: $*" >&2; exit 1; }
[ -x "$cvae" ] || fail "$cvae is missing; run make build"
dir=$(mktemp -d "${TMPDIR:-/tmp}/cvae-kill.XXXXXX")
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > grid.toml << 'CONFIG'
threads = 1
[model]
hidden_dim = 16
angles = 8
[beta]
rise = 20
[training]
steps = 300
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
product = { "model.latent_dim" = [2, 3] }
CONFIG

left_running() { # processes of this test's folder other than this shell
    local proc found=
    for proc in /proc/[0-9]*; do
        case $(readlink "$proc/exe" 2> /dev/null) in "$cvae") ;; *) continue ;; esac
        [ "$(readlink "$proc/cwd" 2> /dev/null)" != "$dir" ] || found="$found ${proc#/proc/}"
    done
    echo "$found"
}

"$cvae" sweep grid.toml --runs undisturbed 2> /dev/null
killed=0 sweeps=0 midway=0
while [ "$killed" -lt "$kills" ]; do
    sweeps=$((sweeps + 1))
    while :; do
        "$cvae" sweep grid.toml --runs "killed$sweeps" > /dev/null 2> stderr.txt & pid=$!
        # 0.1 to 2 s, each as likely: before the first trial begins, in the middle of them, in an evaluation, at the end.
        wait_ms=$((100 + RANDOM % 1901))
        sleep "$(printf '%d.%03d' $((wait_ms / 1000)) $((wait_ms % 1000)))"
        if [ "$killed" -ge "$kills" ] || ! kill -9 "$pid" 2> /dev/null; then
            wait "$pid" || fail "the sweep failed: $(cat stderr.txt)"
            break
        fi
        wait "$pid" 2> /dev/null && break
        killed=$((killed + 1))
        # What a kill in the middle leaves: a checkpoint, or a file that was being written.
        if compgen -G "killed$sweeps/grid/*/checkpoint/*" > /dev/null || [ -n "$(find "killed$sweeps" -name '*.partial' 2> /dev/null)" ]; then
            midway=$((midway + 1))
        fi
        # The trials end with their sweep.
        for _ in $(seq 50); do [ -z "$(left_running)" ] && break; sleep 0.02; done
        [ -z "$(left_running)" ] || fail "processes left running after kill $killed:$(left_running)"
    done
    python3 "$here/same.py" undisturbed/grid "killed$sweeps/grid" || fail "sweep $sweeps, after $killed kills, differs"
    echo "$killed kills, $midway of them in the middle of a trial, $sweeps sweeps: equal to the undisturbed one"
    rm -rf "killed$sweeps"
done
[ "$midway" -gt 0 ] || fail "no kill was in the middle of a trial; let them be longer"
echo "1 passed, 0 failed"
