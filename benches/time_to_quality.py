#!/usr/bin/env python3
"""How long training takes to reach a quality, by run lengths: from the trials of experiments/time_to_quality.toml.

    cvae sweep experiments/time_to_quality.toml
    python3 benches/time_to_quality.py

Every run is trained to its own end, since the learning rate falls to the end of a run: what a longer run has reached by
then is worse than what a run of that length reaches. Quality is that of validation conditions, exact, over 1,024 codes.
Writes time_to_quality.csv (a row for each trial) and TIME_TO_QUALITY.md beside this script.
"""

import csv
import math
import pathlib
import statistics
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "scripts"))
from intervals import interval  # noqa: E402, found by the line above
from results import Table  # noqa: E402

RUNS = HERE.parent / "runs" / "time_to_quality"
# Of the model's failures, and nats above the entropy of the truth.
BARS = {"invalid_mass": (1e-4, 5e-5), "nll_gap": (0.002, 0.001)}
COLUMNS = ["recipe", "steps", "seed", "data_seed", "train_seconds", *BARS, *(f"{name}_error" for name in BARS)]


def trials():
    """A row for each finished trial."""
    for path in sorted(RUNS.glob("*/metrics.csv")):
        config = tomllib.loads((path.parent / "config.toml").read_text())
        with open(path, newline="") as file:
            metrics = next(csv.DictReader(file))
        row = {
            "recipe": config["objective"]["noise"],
            "steps": config["training"]["steps"],
            "seed": config["seed"],
            "data_seed": config["data"]["seed"],
            "train_seconds": float(metrics["train_seconds"]),
        }
        for name in BARS:
            row[name] = float(metrics[f"{name}_validation"])
            row[f"{name}_error"] = float(metrics[f"{name}_validation_error"])
        yield row


def reached(means, bar):
    """The steps at which the means by length reach a bar, on a straight line between logarithms; none if they don't."""
    lengths = sorted(means)
    if means[lengths[0]] <= bar:
        return lengths[0], True
    for shorter, longer in zip(lengths, lengths[1:]):
        above, below = means[shorter], means[longer]
        if above > bar >= below:
            share = math.log(above / bar) / math.log(above / below)
            return shorter * (longer / shorter) ** share, False
    return None, False


def against_pytorch():
    """How many times as long the same step takes in PyTorch, by form, as results.csv has it."""
    table = Table()
    with open(HERE / "results.csv", newline="") as file:
        for row in csv.DictReader(file):
            table.add(row["measure"], row["who"], row["unit"], float(row["value"]))
    step = "training, match"
    forms = ("eager, plain", "eager, tuned", "compiled, tuned")
    ratios = {form: table.ratio((step, "cvae"), (step, f"PyTorch {form}")) for form in forms}
    return {form: ratio for form, ratio in ratios.items() if ratio is not None}


def main():
    rows = sorted(trials(), key=lambda row: [row[column] for column in COLUMNS[:4]])
    if not rows:
        raise SystemExit(f"no finished trials in {RUNS.name}; run cvae sweep experiments/time_to_quality.toml")
    with open(HERE / "time_to_quality.csv", "w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    recipes = sorted({row["recipe"] for row in rows})
    pace = {r: statistics.median(row["train_seconds"] / row["steps"] for row in rows if row["recipe"] == r) for r in recipes}
    text = [
        "# Time to quality",
        "",
        "By `python3 benches/time_to_quality.py`, from the trials of `cvae sweep experiments/time_to_quality.toml`: the default",
        "recipe, which differs in `training.steps` and `objective.noise` alone. Figures are exact, of validation conditions, by",
        "row: mean and 95 % interval over the trials (training seeds times data seeds). Every trial is in `time_to_quality.csv`.",
        "",
        "| noise | steps | trials | invalid mass | NLL gap, nats | training, s |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    means = {}
    for recipe in recipes:
        for steps in sorted({row["steps"] for row in rows if row["recipe"] == recipe}):
            own = [row for row in rows if (row["recipe"], row["steps"]) == (recipe, steps)]
            (invalid, invalid_half), (gap, gap_half) = (interval([row[name] for row in own]) for name in BARS)
            for name, mean in zip(BARS, (invalid, gap)):
                means.setdefault((recipe, name), {})[steps] = mean
            text.append(
                f"| {recipe} | {steps:,} | {len(own)} | {1e5 * invalid:.1f}e-5 ± {1e5 * invalid_half:.1f}e-5 | "
                f"{gap:.5f} ± {gap_half:.5f} | {steps * pace[recipe]:.0f} |"
            )
    text += [
        "",
        "Seconds are of training steps alone, on one thread beside a second trial: steps times the median time of a step.",
        "",
        "Steps until the mean reaches a bar, on a straight line between the lengths above (logarithms of both), and what they",
        "take:",
        "",
        "| bar | " + " | ".join(f"{recipe}, steps | s" for recipe in recipes) + " |",
        "|---|" + "---:|" * (2 * len(recipes)),
    ]
    for name, bars in BARS.items():
        for bar in bars:
            cells = []
            for recipe in recipes:
                steps, at_once = reached(means[recipe, name], bar)
                least = "at most " if at_once else ""
                cells.append("not reached | " if steps is None else f"{least}{steps:,.0f} | {least}{steps * pace[recipe]:.0f}")
            text.append(f"| {name.replace('_', ' ')} {bar:g} | " + " | ".join(cells) + " |")
    needed = {recipe: [reached(means[recipe, name], bars[-1])[0] for name, bars in BARS.items()] for recipe in recipes}
    bars = " and ".join(f"{name.replace('_', ' ')} {bars[-1]:g}" for name, bars in BARS.items())
    ratios = against_pytorch()
    text += [
        "",
        f"The same recipe in PyTorch, until {bars}. It takes the same steps:",
        "before anything is timed, `make bench` compares loss and updated weights of both. So its seconds are those above times",
        "the ratio of a step on one thread in [RESULTS.md](RESULTS.md), which was measured on another day and not beside a",
        "second trial. No recipe was trained to its end in PyTorch.",
        "",
        "| noise | cvae, s | " + " | ".join(f"PyTorch {form}, s (ratio)" for form in ratios) + " |",
        "|---|---:|" + "---:|" * len(ratios),
    ]
    for recipe in (recipe for recipe, steps in needed.items() if None not in steps):
        seconds = max(needed[recipe]) * pace[recipe]
        cells = [f"{seconds * ratio:.0f} ({ratio:.2f})" for ratio in ratios.values()]
        text.append(f"| {recipe} | {seconds:.0f} | " + " | ".join(cells) + " |")
    (HERE / "TIME_TO_QUALITY.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
