#!/usr/bin/env python3
"""Measures `cvae` beside TabularARGN, CTGAN and TVAE on tables whose truth is known; writes peers.csv and PEERS.md.

    make bench-peers             everything; CTGAN alone takes hours
    make bench-peers LIMIT=300   no training longer than some 300 s: what was cut is named
    make bench-peers DATA=asia TOOLS=cvae,TVAE   some again; the rows of all others stay
    make bench-peers QUICK=1     a rehearsal with sizes too small to mean anything, written to target/bench/

Each program has its own recommended settings, one thread, and the same training table. Times are CPU seconds of training
and of drawing rows for 100,000 conditions that the truth draws. All rows are scored by `cvae score`.
"""

import csv
import itertools
import json
import math
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))
from environment import ROOT, environment, say  # noqa: E402, found by the path above

CVAE = ROOT / "target" / "release" / "cvae"
QUICK = bool(os.environ.get("QUICK"))
LIMIT = float(os.environ.get("LIMIT") or math.inf)
DRAWS = 2000 if QUICK else 100_000
# Rounds in which unconditional samplers may fill what is asked for, and how much of it they draw in each.
ROUNDS = 2 if QUICK else 20
WHEELS = ["pgmpy==0.1.26", "statsmodels==0.14.6"]
# Name, given columns, rows of the training table, where it is from.
DATA = {
    "dates": (["weekday", "month", "leap", "decade"], None, "all dates of nine conditions in ten"),
    "sachs": (["Akt", "Jnk", "PIP2"], 20_000, "a sample of the network"),
    "asia": (["smoke", "asia"], 10_000, "a sample of the network"),
    "fair": (["age", "religious", "educ"], None, "four fifths of a survey of marriages, affairs in four classes"),
}
TOOLS = (os.environ.get("TOOLS") or "cvae,TabularARGN,TVAE,CTGAN").split(",")
COLUMNS = ["data", "tool", "part", "train_cpu_s", "draw_cpu_s", "rows", "pass", "tv", "tv_noise", "nll_gap", "cut"]


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def write(path, rows, columns=None):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, columns or list(rows[0]), extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def cvae(*words):
    """Standard output of the program, and the CPU seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(CVAE), *map(str, words)], stdout=subprocess.PIPE, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"bench: cvae {' '.join(map(str, words))} ended with {done.returncode}")
    return done.stdout, sum(getattr(after, name) - getattr(before, name) for name in ("ru_utime", "ru_stime"))


# What is compared on.


def dates(folder):
    """All dates with the columns of the home task that the condition does not determine."""
    cvae("data", "-o", folder)
    rows = []
    for line in (folder / "data.txt").read_text().splitlines():
        weekday, month, leap, decade, date = line.replace("[", "").replace("]", "").split()
        day, _, year = date.split("-")
        rows.append({"weekday": weekday, "month": month, "leap": leap, "decade": decade, "digit": year[-1], "day": day})
    return rows


def fair(wheels):
    """The survey of Fair 1978 that statsmodels ships: categories, and hours of affairs in four classes."""
    with zipfile.ZipFile(next(wheels.glob("statsmodels-*.whl"))) as wheel:
        text = wheel.read("statsmodels/datasets/fair/fair.csv").decode()
    rows = list(csv.DictReader(text.splitlines()))
    some = sorted(float(row["affairs"]) for row in rows if float(row["affairs"]) > 0)
    edges = [some[len(some) * third // 3] for third in (1, 2)]
    for row in rows:
        hours = float(row["affairs"])
        row["affairs"] = "none" if hours == 0 else f"class {1 + sum(edge <= hours for edge in edges)}"
    return rows


def prepare(name, folder, wheels, random):
    """train.csv, truth.csv (with weights where the truth is exact), and a file of conditions for each part."""
    given, count, _ = DATA[name]
    kind = "population"
    if name == "dates":
        truth = [{**row, "weight": 1} for row in dates(folder)]
    elif name == "fair":
        truth, kind = [{**row, "weight": 1} for row in fair(wheels)], "sample"
        random.shuffle(truth)
    else:
        network = folder / f"{name}.bif.gz"
        with zipfile.ZipFile(next(wheels.glob("pgmpy-*.whl"))) as wheel:
            network.write_bytes(wheel.read(f"pgmpy/utils/example_models/{name}.bif.gz"))
        cvae("data", "--network", network, "--given", ",".join(given), "-o", folder)
        truth = read(folder / f"{name}.csv")
    columns = [column for column in truth[0] if column != "weight"]
    columns.sort(key=lambda column: column not in given)
    condition = lambda row: tuple(row[column] for column in given)  # noqa: E731
    parts = {"all": truth}
    if name == "dates":
        conditions = sorted({condition(row) for row in truth})
        held = set(random.sample(conditions, len(conditions) // 10))
        train = [row for row in truth if condition(row) not in held]
        parts = {"seen": train, "held out": [row for row in truth if condition(row) in held]}
    elif name == "fair":
        train, truth = truth[len(truth) // 5:], truth[:len(truth) // 5]
        parts = {"held-out rows": truth}
    else:
        train = random.choices(truth, [float(row["weight"]) for row in truth], k=2000 if QUICK else count)
    write(folder / "train.csv", train, columns)
    write(folder / "truth.csv", truth, columns + ["weight"])
    for part, rows in parts.items():
        write(folder / f"truth {part}.csv", rows, columns + ["weight"])
        asked = random.choices(rows, [float(row["weight"]) for row in rows], k=DRAWS)
        write(folder / f"asked {part}.csv", asked, given)
    return {"given": given, "kind": kind, "parts": list(parts), "columns": columns}


# The tools. Each returns CPU seconds of training, what was cut, a function that draws rows for a file of conditions, and
# one that gives log p(y | c) of the truth's rows, or none.


def of_cvae(folder, spec):
    sample = spec["kind"] == "sample" or spec["name"] != "dates"
    options = ["--table", folder / "train.csv", "--given", ",".join(spec["given"]), "--output", folder / "cvae"]
    # Of a population whole conditions are held out; here the script has done so.
    sets = ["threads=1", "device=cpu", "evaluation.final_samples=1", "evaluation.codes=1"]
    sets += [] if sample else ["data.truth=population", "data.held_out=0.001"]
    sets += ["training.steps=300", "beta.rise=50"] if QUICK else []
    settings = lambda more: [word for each in sets + more for word in ("--set", each)]  # noqa: E731
    cut, all_steps = "", 18_000
    # A sample is trained for as long as its rows say.
    if math.isfinite(LIMIT) and not QUICK and not sample:
        # A probe says how many steps fit.
        probe = ["training.steps=500", "beta.rise=50", "training.checkpoint_every=500"]
        _, first = cvae("train", *options[:-1], folder / "probe", *settings(probe))
        steps = min(all_steps, int(500 * LIMIT / first))
        sets += [f"training.steps={steps}"]
        cut = "" if steps == all_steps else f"{steps:,} of {all_steps:,} steps"
    _, seconds = cvae("train", *options, *settings([]))

    def beside(part):
        """The same weights beside a config whose data are the truth of a part: all of its conditions are known."""
        copy = folder / f"cvae of {part}"
        if not copy.exists():
            shutil.copytree(folder / "cvae", copy, ignore=shutil.ignore_patterns("SHA256SUMS", "metrics.csv", "lock"))
            config = (copy / "config.toml").read_text()
            # Single rows are held out: all conditions have rows that are not.
            for old, new in [(f'table = "{folder / "train.csv"}"', f'table = "{folder / f"truth {part}.csv"}"'),
                             ('split = "conditions"', 'split = "rows"'), ('weight = ""', 'weight = "weight"'), ('truth = "sample"', 'truth = "population"')]:
                config = config.replace(old, new, 1)
            (copy / "config.toml").write_text(config)
        return copy

    def draw(asked, out):
        part = asked.stem.removeprefix("asked ")
        model = folder / "cvae" if spec["kind"] == "sample" else beside(part)
        cvae("predict", "-i", asked, out, "--model", model, "--decode", "sample", "--threads", 1)

    def gap():
        if spec["kind"] == "sample":
            return None
        found = {}
        for part in spec["parts"]:
            text, _ = cvae("inspect", "--model", beside(part), "--all", "--codes", 64 if QUICK else 1024, "--json")
            found[part] = json.loads(text)["train"]["nll_gap"]["value"]
        return found

    return seconds, cut, draw, gap


def argn(folder, spec):
    import numpy
    import pandas
    from mostlyai.engine import TabularARGN

    train = pandas.read_csv(folder / "train.csv", dtype=str, keep_default_na=False)
    limit = {"max_epochs": 1} if QUICK else {} if math.isinf(LIMIT) else {"max_training_time": LIMIT / 60}
    model = TabularARGN(random_state=1, device="cpu", workspace_dir=str(folder / "argn"),
                        tgt_encoding_types={column: "TABULAR_CATEGORICAL" for column in train}, **limit)
    started, began = time.process_time(), time.monotonic()
    model.fit(train)
    seconds, wall = time.process_time() - started, time.monotonic() - began

    def draw(asked, out):
        conditions = pandas.read_csv(asked, dtype=str, keep_default_na=False)
        model.sample(seed_data=conditions).to_csv(out, index=False)

    def logs():
        if spec["kind"] == "sample":
            return None
        truth = pandas.read_csv(folder / "truth.csv", dtype=str, keep_default_na=False)
        rows, given = truth[list(train.columns)], spec["given"]
        # Its log_prob is that of a whole row: p(c) is the sum over all that can stand beside c.
        answers = pandas.DataFrame(itertools.product(*(sorted(set(train[c])) for c in train if c not in given)))
        answers.columns = [c for c in train if c not in given]
        conditions = rows[given].drop_duplicates()
        marginals = {}
        for start in range(0, len(conditions), max(1, 200_000 // len(answers))):
            some = conditions.iloc[start:start + max(1, 200_000 // len(answers))]
            whole = some.merge(answers, how="cross")[list(train.columns)]
            logs = numpy.asarray(model.log_prob(whole)).reshape(len(some), -1)
            most = logs.max(axis=1, keepdims=True)
            sums = (most + numpy.log(numpy.exp(logs - most).sum(axis=1, keepdims=True)))[:, 0]
            marginals.update(zip(map(tuple, some.values), sums.tolist()))
        of_given = numpy.array([marginals[condition] for condition in map(tuple, rows[given].values)])
        return (numpy.asarray(model.log_prob(rows)) - of_given).tolist()

    # It stops of its own accord, or when the next epoch would take it over the limit.
    cut = "1 epoch" if QUICK else f"limit of {LIMIT:.0f} s, by the clock" if wall > LIMIT / 2 else ""
    return seconds, cut, draw, logs


def gan(make):
    def of(folder, spec):
        import pandas

        train = pandas.read_csv(folder / "train.csv", dtype=str, keep_default_na=False)

        def fitted(epochs):
            started = time.process_time()
            model = make(epochs=epochs)
            model.fit(train, list(train.columns))
            return model, time.process_time() - started

        epochs = all_epochs = 300
        if QUICK:
            epochs = 1
        elif math.isfinite(LIMIT):
            # What one epoch takes, without what the first fit takes once.
            first, third = fitted(1)[1], fitted(3)[1]
            epochs = max(1, min(all_epochs, 1 + int(2 * (LIMIT - first) / max(third - first, 1e-3))))
        model, seconds = fitted(epochs)

        def draw(asked, out):
            # Rows are drawn without conditions and given to whoever waits for theirs: pooled rejection. CTGAN's own
            # condition_column sets the wrong value for every column but the first.
            conditions = pandas.read_csv(asked, dtype=str, keep_default_na=False)
            waiting = {}
            for condition in map(tuple, conditions.values):
                waiting[condition] = waiting.get(condition, 0) + 1
            kept = []
            for _ in range(ROUNDS):
                drawn = model.sample(len(conditions))
                for row in drawn[list(train.columns)].astype(str).values.tolist():
                    condition = tuple(row[:len(spec["given"])])
                    if waiting.get(condition, 0) > 0:
                        waiting[condition] -= 1
                        kept.append(row)
                if len(kept) == len(conditions):
                    break
            pandas.DataFrame(kept, columns=train.columns).to_csv(out, index=False)

        return seconds, "" if epochs == all_epochs else f"{epochs} of {all_epochs} epochs", draw, lambda: None

    return of


def maker(tool):
    import ctgan

    # Settings are the library's own. Its loss of each epoch is not asked for.
    return lambda **more: getattr(ctgan, tool)(**({"enable_gpu": False} | more))


def measure(folder, spec, tool):
    """One tool on one table, in a process of its own: a row for each part."""
    import random

    random.seed(1)
    tools = {"cvae": of_cvae, "TabularARGN": argn}
    seconds, cut, draw, nll = (tools.get(tool) or gan(maker(tool)))(folder, spec)
    answers = nll()
    rows = []
    for part in spec["parts"]:
        asked, out = folder / f"asked {part}.csv", folder / f"{tool} {part}.csv"
        started, before = time.process_time(), resource.getrusage(resource.RUSAGE_CHILDREN)
        draw(asked, out)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        children = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        drawing = time.process_time() - started + children
        count = len(read(out))
        score = {"validity": math.nan, "conditional_tv": math.nan, "conditional_tv_noise": math.nan}
        if count:
            population = ["--population"] if spec["kind"] == "population" else []
            options = ["--given", ",".join(spec["given"]), "--weight", "weight", *population, "--json"]
            score = json.loads(cvae("score", folder / "truth.csv", out, *options)[0])
        gap = nll_gap(folder, spec, part, answers)
        short = f"{count:,} of {DRAWS:,} requests filled" if count < DRAWS else ""
        rows.append({"data": spec["name"], "tool": tool, "part": part, "train_cpu_s": f"{seconds:.1f}",
                     "draw_cpu_s": f"{drawing:.1f}", "rows": count, "pass": f"{score['validity']:.4f}",
                     "tv": f"{score['conditional_tv']:.4f}", "tv_noise": f"{score['conditional_tv_noise']:.4f}",
                     "nll_gap": "" if gap is None else f"{gap:.4f}",
                     "cut": "; ".join(filter(None, [cut, short]))})
    return rows


def nll_gap(folder, spec, part, answers):
    """KL(truth, model) of a part's conditions, nats, by rows; none where a tool gives no likelihood."""
    if answers is None or spec["kind"] == "sample":
        return None
    if isinstance(answers, dict):  # what cvae inspect --all found
        return answers.get(part)
    condition = lambda row: tuple(row[column] for column in spec["given"])  # noqa: E731
    truth = read(folder / "truth.csv")
    asked = {condition(row) for row in read(folder / f"asked {part}.csv")}
    masses = {}
    for row in truth:
        masses[condition(row)] = masses.get(condition(row), 0.0) + float(row["weight"])
    total, sum_of = 0.0, 0.0
    for row, log in zip(truth, answers):
        weight = float(row["weight"])
        if weight > 0 and condition(row) in asked:
            total += weight
            sum_of += weight * (math.log(weight / masses[condition(row)]) - float(log))
    return sum_of / total


def table(rows):
    head = ["data", "conditions", "tool", "train, CPU s", "draw, CPU s", "pass", "TV", "noise", "NLL gap", "cut"]
    keys = ["data", "part", "tool", "train_cpu_s", "draw_cpu_s", "pass", "tv", "tv_noise", "nll_gap", "cut"]
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join("---" for _ in head) + "|"]
    lines += ["| " + " | ".join(row[key] or "-" for key in keys) + " |" for row in rows]
    return "\n".join(lines)


def report(rows):
    sources = "\n".join(f"- `{name}`: given {', '.join(given)}; {what}." for name, (given, _, what) in DATA.items())
    return f"""# Peers

Made by `make bench-peers`: TabularARGN (mostlyai-engine 2.7.3), TVAE and CTGAN (ctgan 0.12.1) and `cvae`, one seed, one
thread, each with its own recommended settings, on the same training tables. The last column names what was cut short or is
missing; "-" where nothing is.

{table(rows)}

- Times are CPU seconds of one thread: of training, and of drawing rows for {DRAWS:,} conditions that the truth draws.
- Pass, TV and its noise are those of `cvae score`. The noise is what a perfect sampler of as many rows shows, of held-out rows
  the mean over all ways to exchange generated rows for them. The NLL gap is KL(truth, model) in nats, for tools that give
  likelihoods and tables whose truth is known.
- TVAE has no conditional interface, and CTGAN's sets the wrong value for every column but the first. Both draw rows without
  conditions, which are given to the requests that they fit, in up to {ROUNDS} rounds of {DRAWS:,} rows.
- TabularARGN keeps a tenth of its rows for validation, and `cvae` too where the table is a sample,
  for which `cvae train --table` needs no config.
{sources}
"""


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "measure":
        folder = pathlib.Path(sys.argv[2])
        spec = json.loads((folder / "spec.json").read_text())
        print(json.dumps(measure(folder, spec, sys.argv[3])))
        return
    import random

    python = environment(ROOT / "benches" / "peers-requirements.txt")
    out = ROOT / "target" / "bench" if QUICK else ROOT / "benches"
    out.mkdir(parents=True, exist_ok=True)
    single = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    chosen = (os.environ.get("DATA") or ",".join(DATA)).split(",")
    known = read(out / "peers.csv") if (out / "peers.csv").exists() and not QUICK else []
    results = [row for row in known if row["data"] not in chosen or row["tool"] not in TOOLS]
    with tempfile.TemporaryDirectory() as temporary:
        temporary = pathlib.Path(temporary)
        fetch = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(temporary)]
        subprocess.run([*fetch, *WHEELS], check=True)
        for name in chosen:
            folder = temporary / name
            folder.mkdir()
            random.seed(name)
            spec = {"name": name, **prepare(name, folder, temporary, random)}
            (folder / "spec.json").write_text(json.dumps(spec))
            for tool in TOOLS:
                say(f"{name}: {tool}")
                command = [str(python), "-W", "ignore", __file__, "measure", str(folder), tool]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=single, cwd=folder)
                if done.returncode != 0:
                    say(f"{name}: {tool} failed; its message stands above")
                    continue
                results += json.loads(done.stdout.splitlines()[-1])
                order = [list(DATA), ["all", "seen", "held out", "held-out rows"], ["cvae", "TabularARGN", "TVAE", "CTGAN"]]
                results.sort(key=lambda row: [of.index(row[key]) for of, key in zip(order, ("data", "part", "tool"))])
                # What is there after each tool is worth having if a later one fails.
                write(out / "peers.csv", results, COLUMNS)
                (out / "PEERS.md").write_text(report(results))
    print(out / "PEERS.md")


if __name__ == "__main__":
    main()
