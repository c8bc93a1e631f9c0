#!/usr/bin/env python3
"""Compares the decoder in model/ with what the Rust program made of the same codes; run by tests/parity.rs.

    python tests/parity.py MODEL_FOLDER CASE.safetensors
"""

import ast
import pathlib
import sys

import numpy as np
import safetensors.numpy

PROGRAMS = pathlib.Path(__file__).resolve().parent.parent / "model"
sys.path.insert(0, str(PROGRAMS))
import decoder as python  # noqa: E402, found by the path above

# 32-bit sums in another order made 2e-5 of difference where this was written.
TOLERANCE = 5e-4


def close_call(logits, dates, others, choose_margin):
    """Rows whose dates differ although no two choices lay within the tolerance at the first field that differs."""
    wrong = 0
    for row in np.flatnonzero((dates != others).any(axis=1)):
        field = int(np.flatnonzero(dates[row] != others[row])[0])
        wrong += choose_margin(logits[field][row]) > TOLERANCE
    return wrong


def greedy_margin(logits):
    best = np.sort(logits)
    return best[-1] - best[-2]


def median_margin(temperature):
    """How far from 1/2 the nearest value of the distribution function is."""

    def margin(logits):
        weights = np.exp((logits - logits.max()) / temperature)
        return np.abs(np.cumsum(weights) / weights.sum() - 0.5).min()

    return margin


def main():
    for path in PROGRAMS.glob("*.py"):
        ast.parse(path.read_text(), feature_version=(3, 6) if path.name == "eval.py" else (3, 7))
    folder, case = map(pathlib.Path, sys.argv[1:])
    model = python.load_model(folder)
    rust = safetensors.numpy.load_file(case)
    conditions, z = rust["conditions"].astype(np.int64), rust["z"]
    names = [column.name for column in model.schema.generated]
    median = np.full((len(z), len(names)), 0.5, dtype=np.float32)
    decodings = {"greedy": (python.greedy, greedy_margin)}
    for name in sorted(name for name in rust if name.startswith("sampled.") and name.endswith(".dates")):
        name = name[: -len(".dates")]
        temperature = float(name[len("sampled."):])
        decodings[name] = python.sampling(median, temperature), median_margin(temperature)
    assert len(decodings) == 3, decodings
    largest, close, wrong = 0.0, 0, 0
    for name, (choose, margin) in decodings.items():
        theirs = rust[f"{name}.dates"].astype(np.int64)
        dates, logits = model.decode(conditions, z, choose)
        wrong += close_call(logits, dates, theirs, margin)
        close += int((dates != theirs).any(axis=1).sum())
        # After a close call the later fields answer to another date.
        same = (dates == theirs).all(axis=1)
        for field, own in zip(names, logits):
            largest = max(largest, float(np.abs(own - rust[f"{name}.{field}"])[same].max()))
    print(f"{len(z)} conditions, {len(decodings)} decodings: logits differ by {largest:.1e} at most; {close} dates differ "
          f"where two choices lie within {TOLERANCE}, {wrong} elsewhere")
    return 0 if wrong == 0 and largest < TOLERANCE and close <= len(z) // 1000 + 1 else 1


if __name__ == "__main__":
    sys.exit(main())
