#!/usr/bin/env python3
"""What the exact figures of one model come to by the number of codes they are computed from, two seeds of each.

    make build
    python3 benches/codes.py

Writes codes.csv beside this script: figures of the released model over all conditions, by date, with their standard errors.
"""

import csv
import json
import pathlib
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
CODES = (128, 256, 512, 1024)
SEEDS = (1, 2)
FIGURES = ("invalid_mass", "nll_gap", "tv", "prior_mi", "entropy_given_z")


def figures(codes, seed):
    """The exact figures by date from so many codes."""
    with tempfile.TemporaryDirectory() as output:
        options = ["--codes", str(codes), "--seed", str(seed), "--samples", "10", "--json", "-o", output]
        command = [ROOT / "target" / "release" / "cvae", "inspect", "--all", "--model", ROOT / "model", *options]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["exact"]["by_date"]


def main():
    columns = [name + end for name in FIGURES for end in ("", "_error")]
    with open(HERE / "codes.csv", "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["codes", "seed", *columns])
        for codes in CODES:
            for seed in SEEDS:
                found = figures(codes, seed)
                values = [found[name][part] for name in FIGURES for part in ("value", "error")]
                table.writerow([codes, seed, *(f"{value:.6g}" for value in values)])
                file.flush()


if __name__ == "__main__":
    main()
