#!/usr/bin/env python3
"""Makes run folders of many trials, as training writes them, for measuring what reads them.

    python3 tests/make_runs.py /tmp/many --trials 1000 --experiments 10 --rows 23

Histories, configs and checksums are those of a committed trial with other numbers. Every tenth trial is unfinished.
"""

import argparse
import csv
import hashlib
import pathlib
import random

ROOT = pathlib.Path(__file__).resolve().parent.parent


def template():
    """The folder of a committed trial, whose tables are varied."""
    folders = sorted(path.parent for path in (ROOT / "runs" / "seeds").glob("*/history.csv"))
    assert folders, "runs/seeds has no trial to go by"
    return folders[0]


def varied(rows, random_numbers):
    """The same rows with every measured number a little different."""
    for row in rows:
        cells = []
        for cell in row:
            if "." in cell:
                cell = repr(float(cell) * random_numbers.uniform(0.9, 1.0))
            cells.append(cell)
        yield cells


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--experiments", type=int, default=10)
    parser.add_argument("--rows", type=int, default=23)
    arguments = parser.parse_args()
    source = template()
    config = (source / "config.toml").read_text()
    with open(source / "history.csv", newline="") as file:
        header, *history = csv.reader(file)
    with open(source / "metrics.csv", newline="") as file:
        metrics_header, metrics = csv.reader(file)
    history = (history * (arguments.rows // len(history) + 1))[: arguments.rows]
    numbers = random.Random(1)
    for trial in range(arguments.trials):
        experiment = f"experiment{trial % arguments.experiments:02}"
        folder = arguments.folder / experiment / f"value0.6-steps{18000 + trial}-trial{trial:05}"
        folder.mkdir(parents=True)
        files = {
            # Another seed, so that no two are the same trial.
            "config.toml": config.replace("seed = 1\n", f"seed = {trial + 1}\n", 1),
            "history.csv": "\n".join(",".join(row) for row in [header, *varied(history, numbers)]) + "\n",
        }
        if trial % 10 != 9:
            rows = [metrics_header, *varied([metrics], numbers)]
            files["metrics.csv"] = "\n".join(",".join(row) for row in rows) + "\n"
            sums = [f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in files.items()]
            files["SHA256SUMS"] = "".join(sums)
        files["log.txt"] = "2026-01-01T00:00:00Z started on the CPU\n"
        files["lock"] = ""
        for name, text in files.items():
            (folder / name).write_text(text)


if __name__ == "__main__":
    main()
