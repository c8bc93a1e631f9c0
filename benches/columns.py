#!/usr/bin/env python3
"""Where the tasks that the recipe falls short on are not learned: the likelihood gap of each generated column.

    make build
    python3 benches/columns.py

Trains the models of experiments/suite.toml with seed 1 again, with z and without, and writes columns.csv beside this
script: for each column the entropy of the truth and the gap, nats, of training and of validation conditions, given the
condition and the columns before it. Rows that the table holds already are not measured again. Ten minutes on two cores.
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
MODELS = (("algebra", 0), ("permutations", 0), ("dyck", 0), ("algebra", 8), ("permutations", 8))
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
    header = ["task", "latent_dim", "part", "column", "entropy", "nll_gap", "nll_gap_error"]
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
                    gap = column["nll_gap"]
                    figures = (column["entropy"], gap["value"], gap["error"])
                    table.writerow([task, latent, part, column["column"], *(f"{value:.6g}" for value in figures)])
            file.flush()


if __name__ == "__main__":
    main()
