#!/usr/bin/env bash
# model/predict.py under every installed Python from 3.7 on, and model/eval.py from 3.6 on, each with the packages that
# model/requirements.txt names for it: all must write the same dates and the same scores.
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
input=data/example_input.txt
[ -e $input ] || { echo "$input is missing; run cvae data first" >&2; exit 1; }
# One date for all: a few lines pass, most fail.
sed 's/$/ 3-12-1962/' $input > "$folder/scored.txt"

# The first result of a kind is kept, later ones are compared with it.
same() {
    [ -e "$folder/$1" ] || cp "$folder/$1.new" "$folder/$1"
    cmp "$folder/$1" "$folder/$1.new"
}

passed=0
for minor in 6 7 8 9 10 11 12 13 14; do
    python=""
    for candidate in "python3.$minor" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.$minor.*/bin/python; do
        # A version that is installed and not active has a command that fails.
        if "$candidate" -c "" 2> /dev/null; then python=$candidate; fi
    done
    [ -n "$python" ] || continue
    if [ $minor -gt 6 ]; then
        "$python" -m venv "$folder/$minor"
        "$folder/$minor/bin/python" -m pip install --quiet --no-deps --require-hashes --only-binary :all: \
            -r model/requirements.txt 2> "$folder/pip.log" || { cat "$folder/pip.log" >&2; exit 1; }
        "$folder/$minor/bin/python" model/predict.py -i $input "$folder/dates.new" --decode sample 2> /dev/null
        same dates
    fi
    "$python" model/eval.py "$folder/scored.txt" --json > "$folder/scores.new"
    same scores
    echo "$("$python" --version)"
    passed=$((passed + 1))
done
[ $passed -gt 0 ] || { echo "no Python was found" >&2; exit 1; }
echo "$passed passed, 0 failed"
