#!/usr/bin/env python3
"""Puts a finished run's weights into model/, measures what is there, and writes the figures of the model card.

    python3 scripts/release.py [RUN]      release this run; without one, measure the model that is there again
    python3 scripts/release.py --check    say whether the card, its figures and the weights belong together

Figures go to model/figures.json as the commands print them; the card shows them between its marks. Nothing in the
card's tables is typed by hand.
"""

import csv
import hashlib
import json
import math
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

from environment import ROOT, environment

MODEL = ROOT / "model"
WEIGHTS, CONFIG = MODEL / "cvae.safetensors", MODEL / "config.toml"
FIGURES, CARD = MODEL / "figures.json", MODEL / "MODEL_CARD.md"
INPUT = "data/example_input.txt"
ALL = "cvae inspect --all --json -n 1000 --codes 1024"
# The commands that make the figures, as a reader would type them.
COMMANDS = {
    "greedy": ALL,
    # So many draws that the distance is little noise: twenty minutes on two cores.
    "uniformity": "cvae inspect --all --json -n 100000 --codes 0",
    "latent": "cvae inspect --latent --json",
    "rust": "cvae eval predictions.txt --json",
    "python": "python model/eval.py predictions.txt --json",
    "failures": "cvae eval predictions.txt --json --show 8",
}


def fail(message):
    print(f"release: error: {message}", file=sys.stderr)
    raise SystemExit(1)


def replace(path, text):
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    os.replace(partial, path)


def digest():
    return hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()


def take_over(run):
    """Copies the weights, config and metrics of a finished run."""
    names = {"model.safetensors": "cvae.safetensors", "config.toml": "config.toml", "metrics.csv": "metrics.csv"}
    missing = [name for name in names if not (run / name).exists()]
    if missing:
        fail(f"{run} is no finished run: {', '.join(missing)} missing; cvae compare lists finished runs")
    if "dirty = true" in (run / "config.toml").read_text():
        fail(f"{run} was trained from uncommitted changes: nobody could train it again; commit and train it again")
    for source, name in names.items():
        partial = MODEL / f".{name}.partial"
        shutil.copyfile(run / source, partial)
        os.replace(partial, MODEL / name)
    # In the form of sha256sum: cvae reads these files as they are listed, or not at all.
    sums = {name: hashlib.sha256((MODEL / name).read_bytes()).hexdigest() for name in names.values()}
    replace(MODEL / "SHA256SUMS", "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())))


def output(command):
    """Runs a command and takes what it prints; `cvae` is the release build."""
    words = shlex.split(command)
    if words[0] == "cvae":
        words[0] = str(ROOT / "target" / "release" / "cvae")
    print(f"release: {command}", file=sys.stderr, flush=True)
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        fail(f"{command} ended with {done.returncode}")
    return done.stdout


def measure():
    """What the commands print of the model, less the long lists."""
    python = environment(MODEL / "requirements.txt")
    with tempfile.TemporaryDirectory() as folder:
        place = shlex.quote(folder)
        output("cvae data")
        inspected = ("greedy", "latent")
        found = {name: json.loads(output(f"{COMMANDS[name]} -o {place}")) for name in inspected}
        with open(pathlib.Path(folder, "conditions.csv"), newline="") as table:
            by_month = invalid_by_month(list(csv.DictReader(table)))
        many = shlex.quote(str(pathlib.Path(folder, "many")))
        found["uniformity"] = json.loads(output(f"{COMMANDS['uniformity']} -o {many}"))
        dates = f"{place}/dates.txt"
        output(f"cvae predict -i {INPUT} {dates}")
        lines = pathlib.Path(folder, "dates.txt").read_text().splitlines()
        # Spread over the file, which goes through the months over and over.
        examples = [lines[(2 * place + 1) * len(lines) // 10] for place in range(5)]
        found["rust"] = json.loads(output(f"cvae eval {dates} --json"))
        output(f"{python} model/predict.py -i {INPUT} {dates}")
        found["python"] = json.loads(output(f"{sys.executable} model/eval.py {dates} --json"))
        output(f"cvae predict -i data/data.txt {dates} --decode sample")
        found["failures"] = json.loads(output(f"cvae eval {dates} --json --show 8"))
        february, kinds = february_failures(folder), failure_kinds(folder)
    for report in found.values():
        for long in ("conditions", "traversals", "interpolation", "dimensions", "seconds", "nll_seconds"):
            if isinstance(report.get(long), (list, dict)) or "seconds" in long:
                report.pop(long, None)
        report["ten_worst"] = report.pop("ten_worst", [])[:3]
    return {"weights_sha256": digest(), "examples": examples, "invalid_by_month": by_month, "february": february,
            "kinds": kinds, **found}


def sampled(asked, folder, count):
    """The scores of so many sampled dates for each line of a file."""
    dates = pathlib.Path(folder, "sampled.txt")
    output(f"cvae predict -i {asked} {dates} -n {count} --decode sample")
    return json.loads(output(f"cvae eval {dates} --json --show 100000"))


def failure_kinds(folder):
    """What 20 sampled dates for each line of data.txt fail at, by the first of these kinds that holds."""
    report = sampled("data/data.txt", folder, 20)
    signs = {"no_such_day": "no such day", "leap": "leap year", "weekday": "falls on"}
    kinds = dict.fromkeys([*signs, "other"], 0)
    for failure in report["failures"]:
        kinds[next((kind for kind, sign in signs.items() if sign in failure["reason"]), "other")] += 1
    return {"dates": report["lines"], "failures": report["lines"] - report["passes"], **kinds}


def february_failures(folder):
    """What 2,000 sampled dates of each condition of February fail at."""
    asked = pathlib.Path(folder, "february.txt")
    lines = (ROOT / "data" / "data.txt").read_text().splitlines()
    conditions = {line.rsplit(" ", 1)[0] for line in lines if "[FEB]" in line}
    asked.write_text("".join(condition + "\n" for condition in sorted(conditions)))
    report = sampled(asked, folder, 2000)
    absent = [failure["text"].split()[-1] for failure in report["failures"] if "no such day" in failure["reason"]]
    days = {f"of_these_{day}": sum(date.startswith(f"{day}-") for date in absent) for day in (29, 30)}
    failures = report["lines"] - report["passes"]
    return {"dates": report["lines"], "failures": failures, "no_such_day": len(absent), **days}


def invalid_by_month(conditions):
    """Invalid mass of the conditions of each month, mean by date."""
    sums = {}
    for row in conditions:
        month, dates = row["condition"].split("] [")[1], int(row["valid_dates"])
        mass, all_dates = sums.get(month, (0, 0))
        sums[month] = (mass + dates * float(row["invalid_mass"]), all_dates + dates)
    return {month: mass / dates for month, (mass, dates) in sums.items()}


def percent(share):
    """Rounded down, so that nearly all is never shown as all."""
    return f"{math.floor(1e6 * share + 1e-9) / 1e4:.4f} %"


def four(value):
    return f"{value:.4f}"


def of_greedy(report, uniformity):
    """Rows of the table of greedy decoding; `uniformity` is of more draws."""
    rows = []
    for key, title, perfect in (
        ("pass", "pass rate", percent(1)),
        ("coverage_at_rows", "coverage in as many draws as valid dates", percent(report["expected_coverage_at_rows"])),
    ):
        every, held_out = report[key], report[f"{key}_held_out"]
        rows.append((title, percent(every["mean"]), percent(held_out["mean"]) if held_out else "-", perfect))
    distances = [uniformity["tv"], uniformity["tv_held_out"]]
    cells = [f"{four(tv['value'])} ± {four(tv['error'])}" if tv else "-" for tv in distances]
    return rows + [(f"total variation of {uniformity['samples']:,} dates, noise removed", *cells, four(0))]


def of_exact(exact):
    """Rows of the table of exact figures."""
    parts = [exact["by_date"], exact["held_out"], exact["by_condition"]]
    power = lambda figure: f"{figure['value']:.2e} ± {figure['error']:.0e}"
    nats = lambda figure: f"{figure['value']:.5f} ± {figure['error']:.5f}"
    figures = (
        ("invalid_mass", "invalid mass", power, "0"),
        ("worst_invalid_mass", "invalid mass of the worst condition", power, "0"),
        ("nll_gap", "NLL gap, nats", nats, "0"),
        ("tv", "total variation", lambda figure: f"{figure['value']:.4f} ± {figure['error']:.4f}", "0"),
        ("prior_mi", "prior MI, nats", nats, ""),
        ("entropy_given_z", "H given z, nats", nats, ""),
    )
    for key, title, form, perfect in figures:
        yield (title, *(form(part[key]) if part else "-" for part in parts), perfect)


def tables(figures):
    """The card's text between its marks."""
    greedy, latent = figures["greedy"], figures["latent"]
    exact = greedy["exact"]
    lines = [f"Weights: `cvae.safetensors`, sha256 `{figures['weights_sha256']}`.", ""]
    lines += ["Sampling at temperature 1, raw output. Figures are exact: the decoder's probabilities are averaged over "]
    lines += [f"{exact['codes']:,} codes from the prior, for each of {greedy['conditions']:,} conditions. ± is one standard error."]
    lines += ["", "| | all, by date | validation, by date | all, by condition | perfect |", "|---|---:|---:|---:|---:|"]
    lines += ["| " + " | ".join(row) + " |" for row in of_exact(exact)]
    lines += ["", f"The worst condition is {exact['by_date']['worst_condition']}.", ""]
    lines += [f"Greedy decoding, raw output: {greedy['samples']:,} dates for each condition, means over conditions."]
    lines += ["", "| | all conditions | validation | perfect |", "|---|---:|---:|---:|"]
    lines += ["| " + " | ".join(row) + " |" for row in of_greedy(greedy, figures["uniformity"])]
    lines += [
        "",
        f"It generated {greedy['distinct']:,} distinct valid dates of 146,462.",
        f"Made by `{COMMANDS['greedy']}`, the distance by `{COMMANDS['uniformity']}`.",
        "",
        f"| {'validation' if latent['held_out'] else 'test'} conditions | nats per date |",
        "|---|---:|",
        f"| reconstruction | {four(latent['recon'])} |",
        f"| KL | {four(latent['kl'])} |",
        f"| ELBO at beta 1 | {four(latent['elbo'])} |",
        f"| entropy floor: no model is below | {four(latent['entropy_floor'])} |",
        f"| information about the date that the encoder writes into z | {four(latent['information']['mean'])} |",
        f"| information about the date that the decoder reads from z | {four(latent['prior_mi']['mean'])} |",
        f"| active latent dimensions | {latent['active_units']} |",
        "",
        f"Made by `{COMMANDS['latent']}`.",
        "",
        "| one date for each line of `example_input.txt` | pass | lines |",
        "|---|---:|---:|",
    ]
    programs = {"rust": "`cvae predict`, scored by `cvae eval`", "python": "`predict.py`, scored by `eval.py`"}
    for name, title in programs.items():
        report = figures[name]
        lines.append(f"| {title} | {percent(report['pass_rate'])} | {report['passes']:,} of {report['lines']:,} |")
    failures = figures["failures"]
    lines += [
        "",
        "Sampling one date for each line of `data.txt` (`cvae predict -i data/data.txt predictions.txt --decode sample`, "
        f"`{COMMANDS['failures']}`): {failures['lines'] - failures['passes']:,} of {failures['lines']:,} fail"
        + ("; the first of them:" if failures["failures"] else "."),
    ]
    if failures["failures"]:
        lines += ["", "| line | failure | reason |", "|---:|---|---|"]
        lines += [f"| {row['line']} | `{row['text']}` | {row['reason']} |" for row in failures["failures"]]
    warnings = [warning for report in (greedy, figures["uniformity"], latent) for warning in report["warnings"]]
    lines += ["", f"Warnings that the commands raise: {len(warnings) or 'none'}."]
    return "\n".join(lines)


def settings():
    """The resolved config, as it stands."""
    return f"```toml\n{CONFIG.read_text().strip()}\n```"


def render(card, figures):
    """The card with its tables written again."""
    for mark, text in (("figures", tables(figures)), ("settings", settings())):
        pattern = rf"(<!-- {mark}: [^>]*-->\n).*?(<!-- end of {mark} -->)"
        card, count = re.subn(pattern, lambda match: f"{match[1]}\n{text}\n\n{match[2]}", card, flags=re.DOTALL)
        if count != 1:
            fail(f"{CARD.name} has {count} places for {mark}, expected 1: <!-- {mark}: ... --> to <!-- end of {mark} -->")
    return card


def main():
    if sys.argv[1:] == ["--check"]:
        figures = json.loads(FIGURES.read_text())
        if figures["weights_sha256"] != digest():
            fail("model/figures.json was measured with other weights; run make release")
        if render(CARD.read_text(), figures) != CARD.read_text():
            fail("model/MODEL_CARD.md is not what its figures and config make; run make release")
        return
    if len(sys.argv) > 2:
        fail("one run folder at most is expected")
    if len(sys.argv) == 2 and sys.argv[1]:
        take_over(pathlib.Path(sys.argv[1]))
        # The released weights are part of the program, which measures them.
        print("release: building the program with these weights", file=sys.stderr, flush=True)
        subprocess.run(["cargo", "build", "--release", "--locked"], cwd=ROOT, check=True)
    figures = measure()
    replace(FIGURES, json.dumps(figures, indent=2) + "\n")
    replace(CARD, render(CARD.read_text(), figures))
    print("release: model/MODEL_CARD.md and model/figures.json are written", file=sys.stderr)


if __name__ == "__main__":
    main()
