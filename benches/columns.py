#!/usr/bin/env python3
"""Where the tasks that the recipe falls short on are not learned: the likelihood gap and the invalid mass of each
generated column.

    make build
    python3 benches/columns.py

Trains the models of experiments/suite.toml with seed 1 again, with z and without, and writes columns.csv beside this
script: for each column the entropy of the truth, the gap, nats, and the probability that a sample fails in it, given the
condition and the columns before it, of training and of validation conditions. Models that the table holds already are not
measured again. Ten minutes on two cores.
"""

import csv
import json
import pathlib
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CVAE = HERE.parent / "target" / "release" / "cvae"
TABLE = HERE / "columns.csv"
# Tasks with latent dimensions. `dyck` with a code would take half an hour more: it is learned no better.
MODELS = (
    ("iso_weeks", 0), ("algebra", 0), ("permutations", 0), ("dyck", 0),
    ("iso_weeks", 8), ("algebra", 8), ("permutations", 8),
)
CODES = 512


def measured(task, latent):
    """What `cvae inspect --by-column` says of a model that is trained for it."""
    keys = {
        "data.task": task, "model.latent_dim": latent, "training.steps": 6000, "seed": 1,
        # What is measured during training changes no weight.
        "evaluation.every": 6000, "evaluation.codes": 1, "evaluation.final_samples": 1,
    }
    with tempfile.TemporaryDirectory() as folder:
        options = [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]
        command = [CVAE, "train", HERE.parent / "experiments" / "frozen.toml", *options, "--runs", folder]
        model = pathlib.Path(folder) / "model"
        subprocess.run([*command, "--output", model], check=True, stdout=subprocess.DEVNULL)
        command = [CVAE, "inspect", "--by-column", "--model", model, "--codes", str(CODES), "--json"]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main():
    figures = ("nll_gap", "invalid_mass")
    estimates = [f"{figure}{suffix}" for figure in figures for suffix in ("", "_error")]
    header = ["task", "latent_dim", "part", "column", "entropy", *estimates]
    known = set()
    if TABLE.exists():
        with open(TABLE, newline="") as file:
            known = {(row["task"], int(row["latent_dim"])) for row in csv.DictReader(file)}
    with open(TABLE, "a", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        if not known:
            table.writerow(header)
        for task, latent in (model for model in MODELS if model not in known):
            for part, found in measured(task, latent).items():
                for column in found["columns"]:
                    of_column = (column[figure][key] for figure in figures for key in ("value", "error"))
                    values = (f"{value:.6g}" for value in (column["entropy"], *of_column))
                    table.writerow([task, latent, part, column["column"], *values])
            file.flush()


if __name__ == "__main__":
    main()
