#!/usr/bin/env python3
"""Measures the trials of an experiment on their sealed conditions, which nothing else reads.

    cvae sweep experiments/released_sealed.toml
    python3 scripts/sealed.py released_sealed

Needs the weights of the finished trials. Writes runs/EXPERIMENT/sealed.csv, a row for each trial, and the experiment's table
of sealed conditions in docs/results.md. Figures are exact, over 1,024 codes for each condition; greedy ones are of 1,000
draws.
"""

import csv
import json
import math
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import tomllib

from intervals import interval

ROOT = pathlib.Path(__file__).resolve().parent.parent
CVAE = ROOT / "target" / "release" / "cvae"
RESULTS = ROOT / "docs" / "results.md"
EXACT = ("invalid_mass", "nll_gap", "tv", "prior_mi", "entropy_given_z", "worst_invalid_mass")


def share(value):
    """A share in per cent, cut off and not rounded: nearly all is not to look like more."""
    return f"{math.floor(1e6 * value) / 1e4:.4f} %"


# What is asked of the recipe: the column, its heading, how it is written, and the bar.
ASKED = (
    ("invalid_mass", "invalid mass", lambda value: f"{1e5 * value:.1f}e-5", "at most 5e-5"),
    ("sampled_pass", "sampled pass", share, ""),
    ("greedy_pass", "greedy pass", share, "at least 99.999 %"),
    ("tv", "tv", lambda value: f"{value:.4f}", "at most 0.01"),
    ("nll_gap", "NLL gap, nats", lambda value: f"{value:.5f}", "at most 0.001"),
    ("prior_mi", "prior MI, nats", lambda value: f"{value:.3f}", "at least 2.5"),
    ("entropy_given_z", "H given z, nats", lambda value: f"{value:.3f}", ""),
    ("greedy_tv", "greedy tv", lambda value: f"{value:.4f}", ""),
    ("worst_invalid_mass", "invalid mass, worst condition", lambda value: f"{value:.1e}", ""),
    ("train_seconds", "training on two threads, s", lambda value: f"{value:.0f}", "at most 180"),
)
# Splits that such an experiment has.
SPLITS = 5


def measured(folder):
    """A trial's row."""
    words = [CVAE, "inspect", "--all", "--sealed", "--json", "--model", folder]
    with tempfile.TemporaryDirectory() as place:
        # Where its tables and charts of every condition go.
        told = json.loads(subprocess.run(words, cwd=place, check=True, capture_output=True, text=True).stdout)
    config = tomllib.loads((folder / "config.toml").read_text())
    with open(folder / "metrics.csv", newline="") as file:
        seconds = next(csv.DictReader(file))["train_seconds"]
    exact = told["exact"]["by_date"]
    row = {
        "trial": folder.name,
        "seed": config["seed"],
        "data_seed": config["data"]["seed"],
        "split": told["split"],
        "conditions": told["conditions"],
        "samples": told["samples"],
        "greedy_pass": told["pass"]["mean"],
        "greedy_tv": told["tv"]["value"],
        "train_seconds": float(seconds),
    }
    row["sampled_pass"] = 1 - exact["invalid_mass"]["value"]
    for name in EXACT:
        row |= {name: exact[name]["value"], f"{name}_error": exact[name]["error"]}
    return row


def table(rows):
    """Means over data seeds, each the mean of its training seeds, with 95 % intervals."""
    seeds = sorted({row["data_seed"] for row in rows})
    lines = ["| figure, sealed conditions | measured | asked |", "|---|---:|---:|"]
    for column, heading, written, bar in ASKED:
        means = [statistics.mean(row[column] for row in rows if row["data_seed"] == seed) for seed in seeds]
        mean, half = interval(means)
        lines.append(f"| {heading} | {written(mean)} ± {written(half).removesuffix(' %')} | {bar} |")
    return lines


def main():
    if len(sys.argv) != 2:
        raise SystemExit("sealed: name one experiment, for example released_sealed")
    name = sys.argv[1]
    runs = ROOT / "runs" / name
    rows = [measured(folder.parent) for folder in sorted(runs.glob("*/model.safetensors"))]
    if len({row["data_seed"] for row in rows}) != SPLITS:
        raise SystemExit(f"sealed: the trials of five data seeds are asked for; run cvae sweep experiments/{name}.toml")
    with open(runs / "sealed.csv", "w", newline="") as file:
        written = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        written.writeheader()
        written.writerows(rows)
    text = RESULTS.read_text()
    between = re.compile(rf"(<!-- sealed conditions of {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not between.search(text):
        raise SystemExit(f"sealed: docs/results.md has no place for the table of {name}")
    RESULTS.write_text(between.sub(lambda found: "\n".join([found[1], *table(rows), "", found[2]]), text))


if __name__ == "__main__":
    main()
