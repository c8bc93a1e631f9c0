"""The table of measurements, as CSV and as a page, and what of it was asked for."""

import csv
import math
import os
import pathlib
import re
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
LEAST, MOST = "at least", "at most"
# Names of what is measured that more than one place needs.
ARITHMETIC, LIMIT = "32-bit arithmetic", "fastest product"
LAYER = "matrix product, layer 512x128x128"
WHOLE, DEFAULT = "train quick.toml", "train default.toml on two threads"
# Kinds of model beside the default, and the key that makes each.
KINDS = {
    "additive trunk": "model.trunk=additive",
    "independent heads": "model.heads=independent",
    "no z": "model.latent_dim=0",
}
TRIALS, SIDE, AFTER = "2 trials", "cvae, side by side", "cvae, one after the other"
SAME, HAND, AUTOGRAD = "the recipe in few steps", "cvae, by hand", "cvae, by autograd"
# What cost shall grow linearly with, and by how much the cost of one more may differ between small and large sizes.
SERIES = {
    "samples of each condition": r"evaluate all conditions x ([\d,]+) samples",
    "lines": r"predict ([\d,]+) lines",
    "trials": r"sweep of (\d+), one at a time",
}
EVEN = 1.3
# Standard errors that two means of three may differ by, if nothing makes them differ: Student's t, 99 %. Rounding leads
# runs of one seed apart within some hundred steps, so they are taken for no pairs.
APART = 4.6
# Folders that commands write to, as in src/experiment/provenance.rs, and what this writes.
WRITTEN = ("data", "runs", "plots", "report", "benches/RESULTS.md", "benches/results.csv")


def cpu():
    """The processor's name, as the system tells it."""
    found = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return found.group(1).strip() if found else "unknown"


def git(*words):
    """What git says, or nothing where it or the repository is missing."""
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def machine(held_to):
    """Where and of what the measurements are; asked before them, since a commit may come between."""
    others = [f":(top,exclude){path}" for path in WRITTEN]
    changes = git("status", "--porcelain", "--untracked-files=no", "--", ":/", *others)
    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "held_to": held_to,
        "threads": 1,
        "commit": git("rev-parse", "--short=12", "HEAD") or "unknown",
        "dirty": "unknown" if changes is None else "yes" if changes else "no",
    }


def growth(sizes, costs):
    """Cost of one more between the larger two of three sizes over that between the smaller two: 1 where cost grows
    linearly, whatever a start costs. None where the cost does not rise from size to size."""
    before, after = increments(sizes, costs)
    return after / before if before > 0 and after > 0 else None


def usual_growth(sizes, turns):
    """The median of the growth of each turn, where one that tells nothing counts as without bound; none if that is
    what the median is."""
    found = [growth(sizes, costs) for costs in turns]
    median = statistics.median_low(math.inf if one is None else one for one in found)
    return None if math.isinf(median) else median


def increments(sizes, costs):
    """Cost of one more between the smaller two of three sizes, and between the larger two."""
    (small, middle, large), (first, second, third) = sizes, costs
    return (second - first) / (middle - small), (third - second) / (large - middle)


def unevenness(growth):
    """By what factor the cost of one more differs, upwards or downwards."""
    return None if growth is None else max(growth, 1 / growth)


def verdict(value, kind, bound):
    """Whether a goal was met; nothing where nothing was asked. What was not measured misses, and so does NaN."""
    if kind is None:
        return ""
    return "met" if value is not None and (value >= bound if kind == LEAST else value <= bound) else "missed"


def largest(measures):
    """The measure of the largest size among those that differ by it alone."""
    return max(measures, key=lambda measure: int(re.sub(r"\D", "", measure)))


class Table:
    """Measurements in the order in which they were taken."""

    def __init__(self):
        self.rows, self.notes = [], []

    def add(self, measure, who, unit, value):
        # NaN has no place in an order, and so would make medians of the others wrong.
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{measure}, {who}: {value} {unit} is no measurement")
        self.rows.append({"measure": measure, "who": who, "unit": unit, "value": value})

    def note(self, text):
        self.notes.append(text)

    def values(self, measure, who="cvae"):
        return [row["value"] for row in self.rows if (row["measure"], row["who"]) == (measure, who)]

    def median(self, measure, who="cvae"):
        values = self.values(measure, who)
        return statistics.median(values) if values else None

    def highest(self, measure, who="cvae"):
        return max(self.values(measure, who), default=None)

    def ratio(self, over, under):
        """The median of the ratios of measurements that were taken next to each other; each is a measure and who.
        None unless there are equally many of both: then they are no pairs."""
        left, right = self.values(*over), self.values(*under)
        if not left or len(left) != len(right):
            return None
        return statistics.median(one / other for one, other in zip(left, right))

    def series(self):
        """What cost was measured against: name, three sizes, and for each turn the costs at these, which were taken
        next to each other: a machine's pace changes less within a turn than between turns. Sizes that were not
        measured equally often are none."""
        for name, pattern in SERIES.items():
            found = {}
            for row in self.rows:
                match = re.fullmatch(pattern, row["measure"])
                if match and row["who"] == "cvae":
                    found[int(match.group(1).replace(",", ""))] = row["measure"]
            sizes = sorted(found)
            costs = [self.values(found[size]) for size in sizes]
            if len(sizes) == 3 and len(set(map(len, costs))) == 1:
                yield name, sizes, list(zip(*costs))

    def apart(self, measure):
        """By how many standard errors the means of both ways to take a step differ over seeds; none for one seed."""
        ways = [self.values(measure, way) for way in (HAND, AUTOGRAD)]
        if min(map(len, ways)) < 2:
            return None
        error = math.sqrt(sum(statistics.variance(values) / len(values) for values in ways))
        difference = abs(statistics.mean(ways[0]) - statistics.mean(ways[1]))
        return difference / error if error > 0 else math.inf if difference > 0 else 0.0

    def fastest(self):
        """The product with the highest median: library, shape and GFLOP/s."""
        products = [row for row in self.rows if row["measure"].startswith("matrix product")]
        fastest = max(products, key=lambda row: self.median(row["measure"], row["who"]))
        who, measure = fastest["who"], fastest["measure"]
        return who, measure.removeprefix("matrix product, "), self.median(measure, who)

    def goals(self):
        """What was asked, and what was measured: name, value, unit, whether a least or a most, and the bound."""
        steps, step, example = "training, match", (ARITHMETIC, "cvae, match"), "predict example_input.txt"
        ways = ("eager, plain", "eager, tuned", "compiled, tuned")
        plain, tuned, compiled = (self.ratio((steps, "cvae"), (steps, f"PyTorch {way}")) for way in ways)
        trials = self.ratio((TRIALS, AFTER), (TRIALS, SIDE))
        reached, ended = self.values(f"{WHOLE}, start to 99.9 % pass rate"), self.values(f"{WHOLE}, start to end")
        # One that never gets there has no time, and the others' median would hide it.
        start = statistics.median(reached) if reached and len(reached) == len(ended) else None
        predicted = {row["measure"] for row in self.rows if re.fullmatch(SERIES["lines"], row["measure"])}
        most = largest(predicted)
        evaluated = {row["measure"] for row in self.rows if re.fullmatch(SERIES["samples of each condition"], row["measure"])}
        drawn = largest(evaluated)
        apart = [
            (f"{measure}: by hand and by autograd, standard errors apart", self.apart(measure), "", MOST, APART)
            for measure in (f"{SAME}, test ELBO", f"{SAME}, sampled pass")
        ]
        by_kind = [
            (
                f"training, {kind}: dates/s over PyTorch {way}",
                self.ratio((f"training, {kind}", "cvae"), (f"training, {kind}", f"PyTorch {way}")),
                "",
                LEAST,
                3,
            )
            for kind in KINDS
            for way in ways[:2]
        ]
        asked = [
            (f"{steps}: dates/s over PyTorch eager, plain", plain, "", LEAST, 4.5),
            ("the same over PyTorch eager, tuned", tuned, "", LEAST, 4.5),
            ("the same over PyTorch compiled, tuned", compiled, "", None, None),
            *by_kind,
            ("arithmetic of a step over the machine's limit", self.ratio(step, (ARITHMETIC, LIMIT)), "", LEAST, 0.8),
            ("the same over the step's own products of a layer's shape", self.ratio(step, (LAYER, "cvae")), "", None, None),
            *apart,
            ("two trials side by side over one after the other", trials, "", LEAST, 1.85),
            (f"{WHOLE}, start to 99.9 % pass rate", start, "s", MOST, 60),
            (f"{WHOLE}, start to end", self.median(f"{WHOLE}, start to end"), "s", None, None),
            (f"peak memory: {WHOLE}", self.highest(f"{WHOLE}, memory"), "MiB", MOST, 600),
            (f"{DEFAULT}, training steps", self.median(f"{DEFAULT}, training steps"), "s", MOST, 180),
            (f"peak memory: {DEFAULT}", self.highest(f"{DEFAULT}, memory"), "MiB", MOST, 600),
            (f"{example}, PyTorch over cvae", self.ratio((example, "PyTorch"), (example, "cvae")), "", LEAST, 8),
            (f"{most}, PyTorch over cvae", self.ratio((most, "PyTorch"), (most, "cvae")), "", LEAST, 8),
            (f"{drawn}, PyTorch over cvae", self.ratio((drawn, "PyTorch"), (drawn, "cvae")), "", LEAST, 9),
            (most, self.median(most), "s", MOST, 5),
            (f"peak memory: {most}", self.highest(f"{most}, memory"), "MiB", MOST, 200),
        ]
        uneven = {name: unevenness(usual_growth(sizes, turns)) for name, sizes, turns in self.series()}
        return asked + [
            (f"cost of one more of the {name}, small sizes against large", uneven.get(name), "", MOST, EVEN)
            for name in SERIES
        ]

    def write(self, folder, case, machine, versions, quick):
        """results.csv with every measurement, RESULTS.md with medians, ratios and goals."""
        with open(folder / "results.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, ["measure", "who", "unit", "value", *machine], lineterminator="\n")
            writer.writeheader()
            writer.writerows({**row, "value": f"{row['value']:.6g}", **machine} for row in self.rows)
        (folder / "RESULTS.md").write_text(self.page(case, machine, versions, quick))

    def page(self, case, machine, versions, quick):
        model = ", ".join(f"{key} {value}" for key, value in case["model"].items())
        changed = {"no": "", "yes": " with uncommitted changes"}.get(machine["dirty"], ", changes unknown")
        commit, threads = f"commit {machine['commit']}{changed}", f"{machine['threads']} thread on both sides"
        threads += ", two where a file is predicted"
        library, shape, rate = self.fastest()
        kinds = ", ".join(f"{kind} (`{key}`)" for kind, key in KINDS.items())
        lines = ["# Measurements", ""]
        lines += ["**Sizes too small to mean anything (QUICK=1).**", ""] if quick else []
        where = f"{machine['held_to']} of {machine['cores']} cores of {machine['cpu']}"
        lines += [
            f"By `make bench` at {commit}, on {where}, {threads}.",
            f"With {', '.join(f'{name} {version}' for name, version in versions.items())}.",
            f"Model: {model}; batch {case['batch']}.",
            "Every value is in `results.csv`; here are medians, and ratios as the median over pairs taken in turn.",
            "Peak memory is the highest of all runs; how cost grows is the median over turns of all three sizes.",
            "",
            "`benches/pytorch_baseline.py` is the same in PyTorch: \"plain\" as the equations stand, \"tuned\" with",
            "looked-up rows and a shared trunk. Before anything is timed, loss, terms and updated weights of both",
            "sides, the compiled form included, are compared on the same weights, batch and noise.",
            f"Other kinds of model differ from the default by one key each: {kinds}.",
            "They are compared in the same way and train with the terms of the last phase; without z that is the",
            "reconstruction alone.",
            "",
            "The machine's limit is the fastest product, of libtorch or as a step multiplies, each the median of seven",
            f"rounds, measured before each turn of training. By medians the fastest is {library}'s {shape}: {rate:.3g} GFLOP/s. What a",
            "step does besides (activations, softmax, Adam) takes time and counts as no arithmetic.",
            "",
            f"`{WHOLE}` is the config that users start with, as it is shipped, with one seed after the other;",
            "its pass rate is seen at its evaluations only (`evaluation.every`). `default.toml` is run once, whole.",
            "Both train on two threads.",
            "",
            "| goal | asked | measured | |",
            "|---|---:|---:|---|",
        ]
        for name, value, unit, kind, bound in self.goals():
            asked = f"{kind} {bound:g} {unit}".strip() if kind else ""
            shown = "-" if value is None else f"{value:.3g} {unit}".strip()
            lines.append(f"| {name} | {asked} | {shown} | {verdict(value, kind, bound)} |")
        lines += ["", *self.linear(), "", *self.details()]
        return "\n".join(lines + ([""] + self.notes if self.notes else [])) + "\n"

    def details(self):
        """Every measure."""
        lines = ["| measurement | | median | least | most | n | over cvae |", "|---|---|---:|---:|---:|---:|---:|"]
        for measure, who, unit in dict.fromkeys((row["measure"], row["who"], row["unit"]) for row in self.rows):
            values = self.values(measure, who)
            ratio = self.ratio((measure, who), (measure, "cvae")) if who != "cvae" else None
            figures = " | ".join(f"{value:.4g}" for value in (statistics.median(values), min(values), max(values)))
            over = f"{ratio:.2f}" if ratio else ""
            lines.append(f"| {measure} | {who}, {unit} | {figures} | {len(values)} | {over} |")
        return lines

    def linear(self):
        """Cost at three sizes each."""
        lines = ["| cost grows with | sizes | one more, smaller sizes | one more, larger sizes | ratio |"]
        lines += ["|---|---|---:|---:|---:|"]
        for name, sizes, turns in self.series():
            before, after = map(statistics.median, zip(*(increments(sizes, costs) for costs in turns)))
            ratio, shown = usual_growth(sizes, turns), ", ".join(f"{size:,}" for size in sizes)
            over = "-" if ratio is None else f"{ratio:.2f}"
            lines.append(f"| {name} | {shown} | {before:.3g} s | {after:.3g} s | {over} |")
        return lines
