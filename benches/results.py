"""The table of measurements, as CSV and as a page."""

import csv
import os
import pathlib
import re
import statistics
import subprocess

LEAST, MOST = "at least", "at most"


def cpu():
    """The processor's name, as the system tells it."""
    found = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return found.group(1).strip() if found else "unknown"


class Table:
    """Measurements in the order in which they were taken."""

    def __init__(self):
        self.rows, self.notes = [], []

    def add(self, measure, who, unit, value):
        self.rows.append({"measure": measure, "who": who, "unit": unit, "value": value})

    def note(self, text):
        self.notes.append(text)

    def values(self, measure, who="cvae"):
        return [row["value"] for row in self.rows if (row["measure"], row["who"]) == (measure, who)]

    def median(self, measure, who="cvae"):
        values = self.values(measure, who)
        return statistics.median(values) if values else None

    def ratio(self, measure, over, under):
        """The median of the ratios of measurements that were taken next to each other."""
        pairs = list(zip(self.values(measure, over), self.values(measure, under)))
        return statistics.median(left / right for left, right in pairs) if pairs else None

    def growth(self, measures, sizes):
        """Cost of a unit at the largest size over that at the middle one: 1 where it grows linearly."""
        medians = [self.median(measure) for measure in measures]
        if None in medians:
            return None
        return ((medians[2] - medians[0]) / (sizes[2] - sizes[0])) / ((medians[1] - medians[0]) / (sizes[1] - sizes[0]))

    def goals(self):
        """What was asked, and what was measured: name, value, unit, whether a least or a most, and the bound."""
        plain, tuned = "PyTorch eager, plain", "PyTorch eager, tuned"
        limit = max(row["value"] for row in self.rows if row["measure"].startswith("matrix product, square"))
        share = self.median("arithmetic, match") / limit
        side, after = self.median("2 trials, side by side"), self.median("2 trials, one after the other")
        predicted = {row["measure"] for row in self.rows if re.fullmatch(r"predict [\d,]+ lines", row["measure"])}
        most = max(predicted, key=len)
        steps, example = "training, match", "predict example_input.txt"
        return [
            ("training steps, match, over PyTorch eager, plain", self.ratio(steps, "cvae", plain), "", LEAST, 3),
            ("the same over PyTorch eager, tuned", self.ratio(steps, "cvae", tuned), "", None, None),
            ("the step's arithmetic over the machine's fp32 products", share, "", LEAST, 0.5),
            ("two trials side by side over one after the other", after / side, "", LEAST, 1.85),
            ("start to 99.9 % pass rate", self.median("training run, start to 99.9 % pass rate"), "s", MOST, 60),
            ("peak memory of training", self.median("training run, memory"), "MiB", MOST, 600),
            (f"{example}, PyTorch over cvae", self.ratio(example, "PyTorch", "cvae"), "", LEAST, 8),
            (most, self.median(most), "s", MOST, 5),
            (f"{most}, memory", self.median(f"{most}, memory"), "MiB", MOST, 500),
        ]

    def write(self, folder, case, quick):
        """results.csv with every measurement, RESULTS.md with medians, ratios and goals."""
        machine = {"cpu": cpu(), "cores": os.cpu_count(), "threads": 1}
        with open(folder / "results.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, ["measure", "who", "unit", "value", *machine], lineterminator="\n")
            writer.writeheader()
            writer.writerows({**row, "value": f"{row['value']:.6g}", **machine} for row in self.rows)
        (folder / "RESULTS.md").write_text(self.page(machine, case, quick))

    def page(self, machine, case, quick):
        head = ["git", "rev-parse", "--short=12", "HEAD"]
        commit = subprocess.run(head, capture_output=True, text=True).stdout.strip()
        where = f"{machine['cores']} cores of {machine['cpu']}"
        model = ", ".join(f"{key} {value}" for key, value in case["model"].items())
        lines = ["# Measurements", ""]
        lines += ["**Sizes too small to mean anything (QUICK=1).**", ""] if quick else []
        lines += [
            f"By `make bench` at commit {commit}, on {where}, one thread on both sides.",
            f"Model: {model}; batch {case['batch']}.",
            "Every value is in `results.csv`; here are medians, and ratios as the median over pairs taken in turn.",
            "`benches/pytorch_baseline.py` is PyTorch 2.11.0: \"plain\" as the equations stand, \"tuned\" with looked-up",
            "rows and a shared trunk. Before anything is timed, loss, terms and updated weights of both sides are",
            "compared on the same weights, batch and noise.",
            "",
            "| goal | asked | measured | |",
            "|---|---:|---:|---|",
        ]
        for name, value, unit, kind, bound in self.goals():
            asked = f"{kind} {bound:g} {unit}".strip() if kind else ""
            shown, met = "-" if value is None else f"{value:.3g} {unit}".strip(), ""
            if kind:
                reached = value is not None and (value >= bound if kind == LEAST else value <= bound)
                met = "met" if reached else "missed"
            lines.append(f"| {name} | {asked} | {shown} | {met} |")
        lines += ["", "| measurement | | median | least | most | n | over cvae |", "|---|---|---:|---:|---:|---:|---:|"]
        seen = dict.fromkeys((row["measure"], row["who"], row["unit"]) for row in self.rows)
        for measure, who, unit in seen:
            values = self.values(measure, who)
            ratio = self.ratio(measure, who, "cvae") if who != "cvae" else None
            figures = " | ".join(f"{value:.4g}" for value in (statistics.median(values), min(values), max(values)))
            over = f"{ratio:.2f}" if ratio else ""
            lines.append(f"| {measure} | {who}, {unit} | {figures} | {len(values)} | {over} |")
        return "\n".join(lines + [""] + self.linear() + self.notes) + "\n"

    def linear(self):
        """Cost at three sizes each."""
        lines = ["| cost grows with | sizes | cost of one more, larger sizes over smaller |", "|---|---|---:|"]
        for name, pattern in (
            ("samples of each condition", r"evaluate all conditions x ([\d,]+) samples"),
            ("lines", r"predict ([\d,]+) lines"),
            ("trials", r"(\d+) trials, one after the other"),
        ):
            found = {}
            for row in self.rows:
                match = re.fullmatch(pattern, row["measure"])
                if match and row["who"] == "cvae":
                    found[int(match.group(1).replace(",", ""))] = row["measure"]
            sizes = sorted(found)
            growth = self.growth([found[size] for size in sizes], sizes) if len(sizes) == 3 else None
            shown = ", ".join(f"{size:,}" for size in sizes)
            lines.append(f"| {name} | {shown} | {'-' if growth is None else f'{growth:.2f}'} |")
        return [*lines, ""]
