"""What benches/gpu.sh makes of the run folders: `parity CPU DEVICE` compares histories, `table RUNS CARD ...` writes the table."""

import csv
import math
import statistics
import sys
import tomllib
from pathlib import Path


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def by_seed(experiment):
    """The folders of an experiment by what tells its trials apart: the seed, and nothing else here."""
    trials = {}
    for history in sorted(Path(experiment).glob("*/history.csv")):
        config = (history.parent / "config.toml").read_text()
        seed = next(line for line in config.splitlines() if line.startswith("seed = "))
        trials[seed] = history.parent
    return trials


def parity(cpu, device):
    """Losses of the first 50 steps, in means of five, and what was drawn and weighed at the end."""
    reference, measured = by_seed(cpu), by_seed(device)
    assert reference and reference.keys() == measured.keys(), (reference, measured)
    worst_loss = worst_share = 0.0
    for seed, folder in reference.items():
        pairs = list(zip(rows(folder / "history.csv"), rows(measured[seed] / "history.csv"), strict=True))
        for one, other in pairs:
            for column in ("train_loss", "train_recon", "train_kl", "test_recon", "test_kl"):
                worst_loss = max(worst_loss, abs(float(one[column]) - float(other[column])))
        for column in ("greedy_pass", "greedy_coverage_at_rows", "invalid_mass", "tv"):
            worst_share = max(worst_share, abs(float(pairs[-1][0][column]) - float(pairs[-1][1][column])))
    print(f"parity: losses of 50 steps differ by {worst_loss:.1e} nats, shares and masses by {worst_share:.1e}", file=sys.stderr)
    assert worst_loss < 5e-3 and worst_share < 5e-3, "the device does not compute what the CPU does"
    Path(device, "parity.txt").write_text(f"{worst_loss} {worst_share}")


def seconds(runs, name):
    path = Path(runs, f"{name}.seconds")
    return float(path.read_text()) if path.exists() else math.nan


def trials(runs, name):
    return sum(1 for _ in Path(runs, name).glob("*/*/metrics.csv"))


def metrics(runs, name, column):
    values = [rows(path)[-1].get(column, "") for path in sorted(Path(runs, name).glob("*/*/metrics.csv"))]
    return [float(value) for value in values if value not in ("", "NaN")]


# Trials that train as one at most (src/experiment/groups.rs); groups follow each other.
TOGETHER = 128


def million_rows(runs, name):
    """Training rows a second of trials of one shape. Those of a group take the same seconds."""
    taken, seconds_of = 0, []
    for path in Path(runs, name).glob("*/*/metrics.csv"):
        config = tomllib.loads((path.parent / "config.toml").read_text())
        taken += config["training"]["steps"] * config["training"]["batch_size"]
        seconds_of.append(float(rows(path)[-1]["train_seconds"]))
    if not taken:
        return math.nan
    return taken / (statistics.mean(seconds_of) * math.ceil(len(seconds_of) / TOGETHER)) / 1e6


def mean_and_error(values):
    if len(values) < 2:
        return "-"
    return f"{statistics.mean(values):.5f} ± {statistics.stdev(values) / math.sqrt(len(values)):.5f}"


def table(runs, card, program, device):
    compared = Path(runs, "parity-device/parity/parity.txt")
    loss, share = compared.read_text().split() if compared.exists() else ("nan", "nan")
    print(f"Training and evaluation on {card}, whole experiments with their evaluations, from the start of the program to its end.")
    print(f"Losses of the first 50 steps differ from the CPU's by {float(loss):.1e} nats at most, shares and masses by {float(share):.1e}.")
    print()
    print("| work | trials finished | seconds | seconds a trial | million rows/s of training |")
    print("|---|---:|---:|---:|---:|")
    names = {
        "alone-builtin": "one trial of 3,000 steps, built-in engine on two CPU threads",
        "alone-device": "the same here",
        "evaluation": "one step and one evaluation: 6,804 conditions of 1,000 draws, 1,024 codes",
        "seeds": "`seeds.toml`: ten seeds of the recipe, 18,000 steps",
        "latent_beta": "`latent_beta.toml`, 1,000 steps, its five shapes side by side (`--jobs 5`)",
        "many": "the recipe of `quick.toml`, 3,000 steps",
        "products-fp32": "the same, products of 32-bit factors",
        "products-tf32": "the same, factors of 10 bits",
        "memory": "500 steps with 1.1 GiB of memory free",
    }
    for name, words in names.items():
        if Path(runs, f"{name}.seconds").exists():
            finished, took = trials(runs, name), seconds(runs, name)
            each = took / finished if finished else math.nan
            # A rehearsal has smaller groups, latent_beta several at the same time, and one step says nothing.
            unknown = device == "cpu" or name in ("latent_beta", "evaluation")
            speed = "-" if unknown else f"{million_rows(runs, name):.2f}"
            print(f"| {words} | {finished} | {took:.1f} | {each:.2f} | {speed} |")
    print()
    print("| final metrics over seeds | 32-bit factors | factors of 10 bits |")
    print("|---|---:|---:|")
    for column in ("test_elbo", "test_kl", "greedy_pass", "greedy_coverage_at_rows", "greedy_tv", "invalid_mass", "nll_gap", "tv", "prior_mi"):
        fp32, tf32 = (metrics(runs, f"products-{kind}", column) for kind in ("fp32", "tf32"))
        print(f"| {column} | {mean_and_error(fp32)} | {mean_and_error(tf32)} |")


if __name__ == "__main__":
    {"parity": parity, "table": table}[sys.argv[1]](*sys.argv[2:])
