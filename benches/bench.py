#!/usr/bin/env python3
"""Measures `cvae` against PyTorch and against the machine's limit; writes results.csv and RESULTS.md beside it.

    make bench             the figures, some fifteen minutes on a quiet machine
    make bench QUICK=1     a run through everything with sizes too small to mean anything, written to target/bench/

Where sides are compared, both run on one thread, and on two where a file is predicted; on the same weights, batch and
noise, after a check that they compute the same.
What is compared is measured in turn, A B A B, and reported by its median. All of it is held to two cores.
"""

import csv
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import arithmetic
import results
from processes import CORES, Ended, Server, hold, run, say
from results import AFTER, ARITHMETIC, AUTOGRAD, DEFAULT, HAND, KINDS, LIMIT, ROOT, SAME, SIDE, TRIALS, WHOLE

CVAE = ROOT / "target" / "release" / "cvae"
BASELINE = ROOT / "benches" / "pytorch_baseline.py"
# The shipped defaults, and what users start with: the same model with fewer steps and fewer samples at the end.
CONFIG, START = "experiments/default.toml", "experiments/quick.toml"
PHASES = ["calendar", "code", "match"]
WAYS = {"tuned": "PyTorch eager, tuned", "plain": "PyTorch eager, plain"}

FULL = {
    "pairs": 3,
    # Draws of all conditions take PyTorch minutes.
    "evaluation_pairs": 2,
    # Of the last phase: what it is held against changes with the machine's pace, within minutes by a quarter.
    "last_pairs": 9,
    "kind_pairs": 5,
    "steps": {"cvae": 150, "tuned": 50, "plain": 40, "compile": 50},
    "starts": 5,
    # `cvae predict` takes 65,536 lines at once: whole ones, but for the last size.
    "lines": [131_072, 524_288, 1_000_000],
    "line_turns": 4,
    # `cvae` is given 512 rows at once. These fill its blocks equally; others would measure how well they are filled.
    "samples": [125, 250, 500],
    "trials": [1, 2, 4],
    "trial_steps": 150,
    # Long enough for a sweep's own start, which is the same for one trial and for two, not to count.
    "side_steps": 600,
    "side_pairs": 4,
    "seeds": [1, 2, 3],
    "whole_seeds": [1, 2],
    "same_steps": 600,
    "whole": [],
    "default": [],
}
TINY = ["training.steps=20", "training.warm_up=5", "evaluation.final_samples=2", "evaluation.codes=2"]
QUICK = {
    "pairs": 1,
    "evaluation_pairs": 1,
    "last_pairs": 2,
    "kind_pairs": 1,
    "steps": {"cvae": 5, "tuned": 5, "plain": 5, "compile": 5},
    "starts": 1,
    "lines": [1000, 2000, 4000],
    "line_turns": 2,
    "samples": [1, 2, 4],
    "trials": [1, 2, 4],
    "trial_steps": 10,
    "side_steps": 10,
    "side_pairs": 1,
    "seeds": [1, 2],
    "whole_seeds": [1, 2],
    "same_steps": 20,
    "whole": [*TINY, "beta.rise=5", "evaluation.every=10"],
    "default": [*TINY, "beta.rise=5"],
}


def measure_binary():
    command = ["cargo", "bench", "--locked", "-p", "cvae-torch", "--bench", "measure", "--no-run"]
    command.append("--message-format=json")
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    messages = [json.loads(line) for line in lines if line.startswith("{")]
    return next(message["executable"] for message in messages if message.get("target", {}).get("name") == "measure")


def versions(torch):
    """What is measured, and with what it was built."""
    rustc = subprocess.run(["rustc", "--version"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    built_with = {"libtorch": libtorch(), "tch": tch(), "rustc": rustc[1] if len(rustc) > 1 else "unknown"}
    return {**torch.ask("versions"), **built_with}


def tch():
    """The version of the crate `tch`, from the manifest, which pins it."""
    found = re.search(r'^tch = .*?"=([0-9.]+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)
    return found.group(1) if found else "unknown"


def libtorch():
    """The version of the libtorch that `cvae-torch` is linked to, by the same precedence as the build's."""
    if os.environ.get("LIBTORCH_USE_PYTORCH"):
        return "of an installed PyTorch"
    own = os.environ.get("LIBTORCH")
    folder = pathlib.Path(own) if own else ROOT / ".libtorch"
    # A released libtorch says its version in one file, `make libtorch` in the other.
    said = [place.read_text() for place in (folder / "build-version", folder / "complete") if place.exists()]
    text = said[0] if said else "of LIBTORCH, unknown"
    return text.splitlines()[0].removeprefix("torch==").split(" sha256")[0]


def agrees(found):
    """Whether both sides computed the same; NaN is no agreement."""
    return found["terms"] <= 1e-4 and found["updates"] <= 0.01


def check(server, ways, *form):
    """Both sides must do the same work."""
    for way in ways:
        name = " ".join([way, *form])
        for phase, found in server.ask("check", way, *form).items():
            say(f"{name}, {phase}: loss {found['loss']:.5f}; terms differ by {found['terms']:.1e}, "
                f"{100 * found['updates']:.2f} % of the weights' updates by more than 1 %")  # fmt: skip
            if not agrees(found):
                raise SystemExit(f"bench: the baseline does not compute what cvae computes: {name}, {phase}: {found}")


def compiler(table, command):
    """The baseline in a process of its own with torch.compile, compiled and checked; none where it does not run."""
    server = Server(command)
    say("torch.compile: compiling")
    try:
        check(server, ["tuned"], "compile")
    except Ended:
        server.close()
        table.note("`torch.compile` did not run on this machine.")
        return None
    return server


def limit(table, rust):
    """What the machine can do at this moment: the fastest product of either library."""
    fastest = 0
    for shape, rates in rust.ask("products").items():
        for library, rate in rates.items():
            table.add(f"matrix product, {shape}", library, "GFLOP/s", rate / 1e9)
            fastest = max(fastest, rate)
    table.add(ARITHMETIC, LIMIT, "GFLOP/s", fastest / 1e9)


def training(table, rust, torch, compiled, size, case):
    for phase in PHASES:
        measure, flop, last = f"training, {phase}", arithmetic.step(case, phase), phase == PHASES[-1]

        def timed(server, name, *words):
            rate = server.ask("train", *words)["steps_per_second"]
            table.add(measure, name, "dates/s", rate * case["batch"])
            return rate

        for _ in range(size["last_pairs" if last else "pairs"]):
            say(f"training steps, {phase}")
            if last:
                limit(table, rust)
            rate = timed(rust, "cvae", phase, size["steps"]["cvae"])
            table.add(ARITHMETIC, f"cvae, {phase}", "GFLOP/s", rate * flop / 1e9)
            for way, name in WAYS.items():
                timed(torch, name, way, phase, size["steps"][way])
            if last and compiled:
                timed(compiled, "PyTorch compiled, tuned", "tuned", phase, size["steps"]["compile"], "compile")


def kinds(table, binary, baseline, size, folder):
    """Steps of the last phase of other kinds of model, from weights that each kind was trained to for some steps."""
    for kind, override in KINDS.items():
        case = folder / f"{override}.safetensors"
        rust = Server([binary, CONFIG, 1, override])
        described = rust.ask("case", case)
        case.with_suffix(".json").write_text(json.dumps(described))
        torch = Server([*baseline, case, 1])
        say(f"kind of model: {kind}")
        check(torch, WAYS)
        for _ in range(size["kind_pairs"]):
            say(f"training steps, {kind}")
            for name, server, *words in (
                ("cvae", rust, PHASES[-1], size["steps"]["cvae"]),
                *((name, torch, way, PHASES[-1], size["steps"][way]) for way, name in WAYS.items()),
            ):
                rate = server.ask("train", *words)["steps_per_second"]
                table.add(f"training, {kind}", name, "dates/s", rate * described["batch"])
        torch.close()
        rust.close()


def same(table, rust, size):
    """Whole runs with the steps that are computed by hand, and with those of autograd, which define them."""
    seeds = ", ".join(map(str, size["seeds"]))
    table.note(
        f"The recipe in few steps: {size['same_steps']:,} steps with each of seeds {seeds}, then 100 samples of each "
        "condition."
    )
    for seed in size["seeds"]:
        for way, name in zip(("hand", "autograd"), (HAND, AUTOGRAD)):
            say(f"{SAME}, {name.removeprefix('cvae, ')}, seed {seed}")
            answer = rust.ask("whole", way, seed, size["same_steps"])
            table.add(f"{SAME}, test ELBO", name, "nats", answer["elbo"])
            table.add(f"{SAME}, sampled pass", name, "%", 100 * answer["sampled_pass"])


def predict(table, python, size, folder):
    subprocess.run([CVAE, "data"], cwd=ROOT, check=True, capture_output=True)
    sides = {
        "cvae": [CVAE, "predict", "--threads", CORES, "--model", "model", "-i"],
        "PyTorch": [python, BASELINE, "predict", "model"],
    }

    def once(measure, side, source, target=folder / "dates.txt"):
        last = [CORES] if side == "PyTorch" else []
        seconds, memory = run(*sides[side], source, target, *last, threads=CORES)
        table.add(measure, side, "s", seconds)
        table.add(f"{measure}, memory", side, "MiB", memory)
        # The same lines in, as many lines out, and nearly all of them right.
        scored = subprocess.run([CVAE, "eval", target, "--json"], cwd=ROOT, check=True, capture_output=True)
        report = json.loads(scored.stdout)
        if report["lines"] != len(source.read_text().splitlines()) or not report["pass_rate"] >= 0.99:
            raise SystemExit(f"bench: {side} predicted {report['lines']} lines, {report['pass_rate']} of them right")

    for _ in range(size["starts"]):
        say("prediction of example_input.txt")
        for side in sides:
            once("predict example_input.txt", side, ROOT / "data" / "example_input.txt")
    # All conditions of the data, in its order, again and again.
    conditions = [line.rsplit(" ", 1)[0] for line in (ROOT / "data" / "data.txt").read_text().splitlines()]
    sources = {lines: folder / f"{lines}.txt" for lines in size["lines"]}
    for lines, source in sources.items():
        source.write_text("\n".join(conditions[place % len(conditions)] for place in range(lines)))
    for _ in range(size["line_turns"]):
        for lines, source in sources.items():
            say(f"prediction of {lines:,} lines")
            for side in sides if lines == size["lines"][-1] else ["cvae"]:
                once(f"predict {lines:,} lines", side, source)


def evaluation(table, rust, torch, size):
    for _ in range(size["evaluation_pairs"]):
        for samples in size["samples"]:
            say(f"evaluation of all conditions x {samples:,} samples")
            sides = {"cvae": rust, "PyTorch": torch} if samples == size["samples"][-1] else {"cvae": rust}
            for name, server in sides.items():
                answer = server.ask("evaluate", "model", samples)
                table.add(f"evaluate all conditions x {samples:,} samples", name, "s", answer["seconds"])
                if not answer["pass_rate"] >= 0.99:
                    raise SystemExit(f"bench: {name} passes {answer['pass_rate']} of the samples")


def sweeps(table, size, folder):
    """Trials one after the other and side by side, in the terms of the last phase: most steps of a run have them."""

    def sweep(trials, jobs, steps):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            config = pathlib.Path(place) / "sweep.toml"
            config.write_text(
                f'base = "{ROOT / CONFIG}"\nthreads = 1\n[beta]\nschedule = "constant"\n'
                f"[training]\nsteps = {steps}\nwarm_up = {min(steps // 2, 100)}\n"
                f"[evaluation]\nevery = {steps}\nfinal_samples = 1\ncodes = 1\n"
                f"[sweep]\nseeds = {list(range(1, trials + 1))}\n"
            )
            return run(CVAE, "sweep", config, "--runs", place, "--jobs", jobs)[0]

    for _ in range(size["pairs"]):
        for trials in size["trials"]:
            say(f"sweep of {trials}, one at a time")
            table.add(f"sweep of {trials}, one at a time", "cvae", "s", sweep(trials, 1, size["trial_steps"]))
    for _ in range(size["side_pairs"]):
        for name, jobs in ((AFTER, 1), (SIDE, 2)):
            say(f"{TRIALS}: {name}")
            table.add(TRIALS, name, "s", sweep(2, jobs, size["side_steps"]))


def train(config, trial, settings, watch=None):
    """Seconds and peak memory in MiB of a training run."""
    overrides = [word for setting in settings for word in ("--set", setting)]
    return run(CVAE, "train", config, "-o", trial, *overrides, watch=watch)


def whole_runs(table, size, folder):
    """From the start of `cvae train` to an evaluation with a greedy pass rate of 99.9 %, and to the end."""
    for seed in size["whole_seeds"]:
        trial, reached = folder / f"seed{seed}", []

        def watch(seconds):
            history = trial / "history.csv"
            if reached or not history.exists():
                return
            header, *rows = [line.split(",") for line in history.read_text().splitlines() if line]
            passes = header.index("greedy_pass")
            reached.extend(seconds for row in rows if len(row) == len(header) and float(row[passes]) >= 0.999)

        say(f"{WHOLE}, seed {seed}")
        seconds, memory = train(START, trial, [f"seed={seed}", *size["whole"]], watch)
        table.add(f"{WHOLE}, start to end", "cvae", "s", seconds)
        table.add(f"{WHOLE}, memory", "cvae", "MiB", memory)
        if reached:
            table.add(f"{WHOLE}, start to 99.9 % pass rate", "cvae", "s", reached[0])
        else:
            table.note(f"{WHOLE} with seed {seed} did not reach a pass rate of 99.9 %.")


def default_run(table, size, folder):
    """The default recipe on two cores: the seconds in training steps, those to the end, which has 1,000 samples of
    each condition and 1,024 codes for its marginal, and the peak memory."""
    say(DEFAULT)
    seconds, memory = train(CONFIG, folder / "default", size["default"])
    with open(folder / "default" / "metrics.csv", newline="") as file:
        steps = float(next(csv.DictReader(file))["train_seconds"])
    table.add(f"{DEFAULT}, training steps", "cvae", "s", steps)
    table.add(f"{DEFAULT}, start to end", "cvae", "s", seconds)
    table.add(f"{DEFAULT}, memory", "cvae", "MiB", memory)


def main():
    quick = os.environ.get("QUICK", "") not in ("", "0")
    size = QUICK if quick else FULL
    if not CVAE.exists():
        raise SystemExit(f"bench: {CVAE} is missing; run make bench")
    started = time.perf_counter()
    set_up = [sys.executable, ROOT / "scripts" / "pytorch.py"]
    python = subprocess.run(set_up, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    binary = measure_binary()
    # Asked and held only now: all cores may build.
    machine = results.machine(hold())
    table = results.Table()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        rust = Server([binary, CONFIG, 1])
        case = rust.ask("case", folder / "case.safetensors", "model")
        (folder / "case.json").write_text(json.dumps(case))
        baseline = [python, "-W", "ignore", BASELINE, "serve"]
        torch_command = [*baseline, folder / "case.safetensors", 1]
        torch = Server(torch_command)
        check(torch, WAYS)
        built_with = versions(torch)
        compiled = compiler(table, torch_command)
        training(table, rust, torch, compiled, size, case)
        if compiled:
            compiled.close()
        same(table, rust, size)
        evaluation(table, rust, torch, size)
        torch.close()
        rust.close()
        kinds(table, binary, baseline, size, folder)
        predict(table, python, size, folder)
        sweeps(table, size, folder)
        whole_runs(table, size, folder)
        default_run(table, size, folder)
    target = ROOT / "target" / "bench" if quick else ROOT / "benches"
    target.mkdir(exist_ok=True)
    table.write(target, case, machine, built_with, quick)
    say(f"wrote {target.relative_to(ROOT)}/RESULTS.md and results.csv in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
