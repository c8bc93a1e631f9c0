#!/usr/bin/env python3
"""Says whether two experiment folders hold the same results: weights bit for bit, tables but for times."""

import csv
import pathlib
import sys

TIMES = {"train_seconds", "dates_per_second"}


def table(path):
    with open(path, newline="") as file:
        return [{key: value for key, value in row.items() if key not in TIMES} for row in csv.DictReader(file)]


def main():
    left, right = map(pathlib.Path, sys.argv[1:3])
    trials = [sorted(path.name for path in side.iterdir() if (path / "metrics.csv").exists()) for side in (left, right)]
    if not trials[0] or trials[0] != trials[1]:
        return f"other trials: {trials}"
    for trial in trials[0]:
        if (left / trial / "model.safetensors").read_bytes() != (right / trial / "model.safetensors").read_bytes():
            return f"{trial}: other weights"
        for name in ("history.csv", "metrics.csv"):
            if table(left / trial / name) != table(right / trial / name):
                return f"{trial}: other {name}"
    if table(left / "results.csv") != table(right / "results.csv"):
        return "other results.csv"
    leftovers = [str(path) for side in (left, right) for path in side.rglob("*.partial")]
    return f"left over: {leftovers}" if leftovers else None


if __name__ == "__main__":
    sys.exit(main())
