#!/usr/bin/env python3
"""Measures `cvae` against PyTorch and against the machine's limit; writes results.csv and RESULTS.md beside it.

    make bench             the figures, some eight minutes on a quiet machine
    make bench QUICK=1     a run through everything with sizes too small to mean anything, written to target/bench/

Both sides run on one thread, on the same weights, batch and noise, after a check that they compute the same.
What is compared is measured in turn, A B A B, and reported by its median.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import arithmetic
import results

ROOT = pathlib.Path(__file__).resolve().parent.parent
CVAE = ROOT / "target" / "release" / "cvae"
BASELINE = ROOT / "benches" / "pytorch_baseline.py"
CONFIG = "experiments/default.toml"
PHASES = ["calendar", "code", "match"]
WAYS = {"tuned": "PyTorch eager, tuned", "plain": "PyTorch eager, plain"}
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
FULL = {
    "pairs": 3,
    "steps": {"cvae": 200, "tuned": 100, "plain": 60, "compile": 100},
    "starts": 5,
    "lines": [10_000, 100_000, 1_000_000],
    "line_pairs": 2,
    "samples": [100, 300, 1000],
    "trials": [1, 2, 4],
    "trial_steps": 400,
    "train": [],
}
QUICK = {
    "pairs": 1,
    "steps": {"cvae": 5, "tuned": 5, "plain": 5, "compile": 5},
    "starts": 1,
    "lines": [1000, 2000, 4000],
    "line_pairs": 1,
    "samples": [1, 2, 4],
    "trials": [1, 2, 4],
    "trial_steps": 10,
    "train": ["training.steps=20", "training.warm_up=5", "evaluation.every=10"],
}


def say(message):
    print(f"bench: {message}", file=sys.stderr, flush=True)


class Server:
    """A process that answers commands with a line of JSON each."""

    def __init__(self, command):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([str(word) for word in command], cwd=ROOT, env=ENVIRONMENT, **pipes)

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"bench: {words[0]} failed; its message stands above")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def run(*command, watch=None):
    """Seconds and peak memory in MiB of a command from its start to its end; `watch` is called while it runs."""
    words = [str(word) for word in command]
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(words, cwd=ROOT, env=ENVIRONMENT, stdout=errors, stderr=errors)
        while watch:
            done, status, usage = os.wait4(process.pid, os.WNOHANG)
            watch(time.perf_counter() - started)
            if done:
                break
            time.sleep(0.02)
        else:
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            raise SystemExit(f"bench: {' '.join(words)} ended with {process.returncode}: {errors.read().decode()}")
    return seconds, usage.ru_maxrss / 1024


def measure_binary():
    command = ["cargo", "bench", "--locked", "--bench", "measure", "--no-run", "--message-format=json"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    messages = [json.loads(line) for line in lines if line.startswith("{")]
    return next(message["executable"] for message in messages if message.get("target", {}).get("name") == "measure")


def check(torch):
    """Both sides must do the same work."""
    for way in WAYS:
        for phase, found in torch.ask("check", way).items():
            say(f"{way}, {phase}: loss {found['loss']:.5f}; terms differ by {found['terms']:.1e}, "
                f"{100 * found['updates']:.2f} % of the weights' updates by more than 1 %")  # fmt: skip
            if found["terms"] > 1e-4 or found["updates"] > 0.01:
                raise SystemExit(f"bench: the baseline does not compute what cvae computes: {way}, {phase}: {found}")


def training(table, rust, torch, size, case):
    for phase in PHASES:
        flop = arithmetic.step(case, phase)
        for _ in range(size["pairs"]):
            say(f"training steps, {phase}")
            rate = rust.ask("train", phase, size["steps"]["cvae"])["steps_per_second"]
            table.add(f"training, {phase}", "cvae", "steps/s", rate)
            table.add(f"arithmetic, {phase}", "cvae", "GFLOP/s", rate * flop / 1e9)
            for way, name in WAYS.items():
                rate = torch.ask("train", way, phase, size["steps"][way])["steps_per_second"]
                table.add(f"training, {phase}", name, "steps/s", rate)


def compiled(table, rust, torch_command, size):
    """torch.compile in a process of its own: where it does not run, the rest is kept."""
    server = Server(torch_command)
    try:
        for _ in range(size["pairs"]):
            say("training steps, match, torch.compile")
            rate = server.ask("train", "tuned", "match", size["steps"]["compile"], "compile")["steps_per_second"]
            table.add("training, match", "PyTorch compiled, tuned", "steps/s", rate)
    except SystemExit:
        table.note("`torch.compile` did not run on this machine.")
    finally:
        server.close()


def products(table, rust):
    say("matrix products")
    for shape, rate in rust.ask("products").items():
        table.add(f"matrix product, {shape.replace('_', ' ')}", "machine", "GFLOP/s", rate / 1e9)


def predict(table, python, size, folder):
    subprocess.run([CVAE, "data"], cwd=ROOT, check=True, capture_output=True)
    sides = {"cvae": [CVAE, "predict", "--model", "model", "-i"], "PyTorch": [python, BASELINE, "predict", "model"]}

    def once(measure, side, source, target=folder / "dates.txt"):
        seconds, memory = run(*sides[side], source, target, *(["1"] if side == "PyTorch" else []))
        table.add(measure, side, "s", seconds)
        table.add(f"{measure}, memory", side, "MiB", memory)
        # The same lines in, as many lines out, and nearly all of them right.
        scored = subprocess.run([CVAE, "eval", target, "--json"], cwd=ROOT, check=True, capture_output=True)
        report = json.loads(scored.stdout)
        if report["lines"] != len(source.read_text().split("\n")) or report["pass_rate"] < 0.99:
            raise SystemExit(f"bench: {side} predicted {report['lines']} lines, {report['pass_rate']} of them right")

    for _ in range(size["starts"]):
        say("prediction of example_input.txt")
        for side in sides:
            once("predict example_input.txt", side, ROOT / "data" / "example_input.txt")
    # All conditions of the data, in its order, again and again.
    conditions = [line.rsplit(" ", 1)[0] for line in (ROOT / "data" / "data.txt").read_text().split("\n")]
    for lines in size["lines"]:
        source = folder / f"{lines}.txt"
        source.write_text("\n".join(conditions[place % len(conditions)] for place in range(lines)))
        largest = lines == size["lines"][-1]
        for _ in range(size["line_pairs"]):
            say(f"prediction of {lines:,} lines")
            for side in sides if largest else ["cvae"]:
                once(f"predict {lines:,} lines", side, source)


def evaluation(table, rust, torch, size):
    for samples in size["samples"]:
        for _ in range(1 if samples == size["samples"][-1] else size["pairs"]):
            say(f"evaluation of all conditions x {samples:,} samples")
            for name, server in (("cvae", rust), ("PyTorch", torch)):
                answer = server.ask("evaluate", "model", samples)
                table.add(f"evaluate all conditions x {samples:,} samples", name, "s", answer["seconds"])
                if answer["pass_rate"] < 0.99:
                    raise SystemExit(f"bench: {name} passes {answer['pass_rate']} of the samples")


def sweeps(table, size, folder):
    """Trials one after the other and side by side."""
    config = folder / "bench.toml"
    config.write_text(
        f'base = "{ROOT / CONFIG}"\n[training]\nsteps = {size["trial_steps"]}\nwarm_up = 5\n'
        f"[evaluation]\nevery = {size['trial_steps']}\nfinal_samples = 1\nimportance = 0\n"
    )

    def sweep(trials, jobs):
        with tempfile.TemporaryDirectory(dir=folder) as runs:
            sweeping = folder / "sweep.toml"
            sweeping.write_text(f'base = "bench.toml"\n[sweep]\nseeds = {list(range(1, trials + 1))}\n')
            return run(CVAE, "sweep", sweeping, "--runs", runs, "--jobs", jobs)[0]

    for trials in size["trials"]:
        say(f"{trials} trials, one after the other")
        table.add(f"{trials} trials, one after the other", "cvae", "s", sweep(trials, 1))
    for _ in range(2):
        say("2 trials side by side")
        table.add("2 trials, side by side", "cvae", "s", sweep(2, 2))
        table.add("2 trials, one after the other", "cvae", "s", sweep(2, 1))


def whole_run(table, size, folder):
    """From the start of `cvae train` to an evaluation with a greedy pass rate of 99.9 %, and to the end."""
    trial, reached = folder / "trial", []
    settings = ["evaluation.final_samples=10", "evaluation.importance=0", *size["train"]]

    def watch(seconds):
        history = trial / "history.csv"
        if reached or not history.exists():
            return
        header, *rows = [line.split(",") for line in history.read_text().splitlines() if line]
        passes = header.index("greedy_pass")
        reached.extend(seconds for row in rows if len(row) == len(header) and float(row[passes]) >= 0.999)

    say("a whole training run")
    overrides = [word for setting in settings for word in ("--set", setting)]
    seconds, memory = run(CVAE, "train", CONFIG, "-o", trial, *overrides, watch=watch)
    table.add("training run, to the end", "cvae", "s", seconds)
    table.add("training run, memory", "cvae", "MiB", memory)
    if reached:
        table.add("training run, start to 99.9 % pass rate", "cvae", "s", reached[0])
    else:
        table.note("The training run did not reach a pass rate of 99.9 %.")


def main():
    quick = os.environ.get("QUICK", "") not in ("", "0")
    size = QUICK if quick else FULL
    if not CVAE.exists():
        raise SystemExit(f"bench: {CVAE} is missing; run make bench")
    started = time.perf_counter()
    set_up = [sys.executable, ROOT / "scripts" / "pytorch.py"]
    python = subprocess.run(set_up, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    binary = measure_binary()
    table = results.Table()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        rust = Server([binary, CONFIG, 1])
        case = rust.ask("case", folder / "case.safetensors", "model")
        (folder / "case.json").write_text(json.dumps(case))
        torch_command = [python, "-W", "ignore", BASELINE, "serve", folder / "case.safetensors", 1]
        torch = Server(torch_command)
        check(torch)
        products(table, rust)
        training(table, rust, torch, size, case)
        evaluation(table, rust, torch, size)
        torch.close()
        compiled(table, rust, torch_command, size)
        rust.close()
        predict(table, python, size, folder)
        sweeps(table, size, folder)
        whole_run(table, size, folder)
    target = ROOT / "target" / "bench" if quick else ROOT / "benches"
    target.mkdir(exist_ok=True)
    table.write(target, case, quick)
    say(f"wrote {target.relative_to(ROOT)}/RESULTS.md and results.csv in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
