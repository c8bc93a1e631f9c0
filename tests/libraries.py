#!/usr/bin/env python3
"""Compares `cvae` with independent libraries: networks with pyAgrum, scores with sdmetrics.

    make test-libraries

Fetches the networks asia, survey and sachs in the wheel of pgmpy into a temporary folder.
"""

import csv
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import zipfile

NETWORKS = {"asia": ["xray", "dysp", "smoke"], "survey": ["A", "T"], "sachs": ["Akt", "Jnk", "PIP2"]}
PROGRAM = pathlib.Path(__file__).resolve().parent.parent / "target" / "release" / "cvae"


def cvae(*arguments):
    return subprocess.run([str(PROGRAM), *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def networks(folder):
    import gzip

    import pyagrum

    fetch = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), "pgmpy==0.1.26"]
    subprocess.run(fetch, check=True)
    wheel = zipfile.ZipFile(next(folder.glob("pgmpy-*.whl")))
    for name, given in NETWORKS.items():
        packed = folder / f"{name}.bif.gz"
        packed.write_bytes(wheel.read(f"pgmpy/utils/example_models/{name}.bif.gz"))
        plain = folder / f"{name}.bif"
        plain.write_bytes(gzip.decompress(packed.read_bytes()))
        cvae("data", "--network", packed, "--given", ",".join(given), "-o", folder)
        network = pyagrum.loadBN(str(plain))
        joint = pyagrum.Tensor().fillWith(1.0)
        for node in network.nodes():
            joint = joint * network.cpt(node)
        worst, total, rows = 0.0, 0.0, 0
        with open(folder / f"{name}.csv", newline="") as file:
            for row in csv.DictReader(file):
                weight = float(row.pop("weight"))
                worst = max(worst, abs(weight - joint[row]))
                total, rows = total + weight, rows + 1
        print(f"{name}: {rows} rows, largest difference {worst:.1e}, sum {total:.12f}")
        assert worst < 1e-7 and abs(total - 1) < 1e-9


def scores(folder):
    import pandas
    from sdmetrics.column_pairs import ContingencySimilarity
    from sdmetrics.single_column import CategoryCoverage, TVComplement

    chance = random.Random(1)
    columns = {"a": "xyz", "b": "pq", "c": "klmno"}
    tables = []
    for name, skew in (("real", 1.0), ("synth", 2.0)):
        rows = [{c: v[int(len(v) * chance.random() ** skew)] for c, v in columns.items()} for _ in range(500)]
        if name == "synth":
            rows = [row for row in rows if row["c"] != "o"]
        tables.append(pandas.DataFrame(rows))
        tables[-1].to_csv(folder / f"{name}.csv", index=False)
    real, synth = tables
    ours = json.loads(cvae("score", folder / "real.csv", folder / "synth.csv", "--given", "a", "--json"))
    mean = lambda values: sum(values) / len(values)
    pairs = [["a", "b"], ["a", "c"], ["b", "c"]]
    theirs = {
        "tv_complement": mean([TVComplement.compute(real[c], synth[c]) for c in columns]),
        "category_coverage": mean([CategoryCoverage.compute(real[c], synth[c]) for c in columns]),
        "contingency_similarity": mean([ContingencySimilarity.compute(real[p], synth[p]) for p in pairs]),
    }
    for name, value in theirs.items():
        print(f"{name}: {ours[name]:.9f}, sdmetrics {value:.9f}")
        assert abs(ours[name] - value) < 1e-9


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        networks(pathlib.Path(temporary))
        scores(pathlib.Path(temporary))
