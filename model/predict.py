#!/usr/bin/env python3
"""Conditions in, conditions with a generated date out; with a model of a table, CSV in and CSV out.

An independent forward pass over the weights beside this file, with numpy and safetensors alone. Checks, messages
and exit codes are those of `cvae predict`. Dates are written as the model generates them: none is checked against a
calendar, masked or repaired. The share that is right is reported on standard error.

Python 3.7 or newer, with numpy 1.17 or newer and safetensors.
"""

import argparse
import contextlib
import math
import os
import pathlib
import sys
from typing import IO, Callable, Iterator, Tuple

# Layers this small are slower on several threads; numpy's library reads this when it is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
try:
    import numpy as np
    import safetensors  # noqa: F401, named here so that a missing package is reported in one place
except ImportError as missing:
    sys.exit(f"error: {missing.name} is missing; pip install numpy safetensors")

from decoder import Decoder, greedy, load_model, sampling
from files import BadInput, Failure, Parser, ended, leave_standard_output, reading, replacing, say
from files import standard_input, standard_output
from lines import Conditions, condition_text, conditions_met, fields_of
from tables import Table

EXAMPLES = """examples:
  python predict.py -i ../data/example_input.txt predictions.txt
  python predict.py -i conditions.txt -o - -n 5 --decode sample --seed 7
  echo '[MON] [DEC] [False] [196]' | python predict.py -i - -
  python predict.py -i asked.csv answers.csv --model ../runs/survey/TRIAL

Exit codes: 0 done; 1 failed; 2 bad arguments or input; 3 done, but some lines could not be answered; 130 interrupted.
A seed draws other latent codes than in `cvae predict`, whose generator is another one."""
# Rows decoded at once: their activations fit a core's second-level cache.
BLOCK = 1024


def parse_arguments() -> argparse.Namespace:
    def in_range(low: int, high: int) -> Callable[[str], int]:
        def whole(text: str) -> int:
            if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
                raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
            return int(text)

        return whole

    parser = Parser(
        description="Generate a date for each line of conditions, in the order of the input.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    here = pathlib.Path(__file__).resolve().parent
    parser.add_argument("-i", "--input", required=True, metavar="FILE", help="file of conditions; - for standard input")
    parser.add_argument("output", nargs="?", metavar="OUTPUT", help="file to write; - for standard output")
    parser.add_argument("-o", "--output", dest="option", metavar="OUTPUT", help="file to write, in place of OUTPUT")
    parser.add_argument("--model", type=pathlib.Path, default=here, metavar="DIR",
                        help="folder of a release or a finished run (default: this program's)")
    parser.add_argument("--seed", type=in_range(0, 2**64 - 1), default=1, help="seed of codes and draws (default: 1)")
    parser.add_argument("-n", "--samples", type=in_range(1, 1_000_000), default=1, metavar="N",
                        help="dates for each line of the input (default: 1)")
    parser.add_argument("--decode", choices=["greedy", "sample"], default="greedy",
                        help="the most likely value of each field, or a draw from their distribution (default: greedy)")
    parser.add_argument("--temperature", type=float, help="temperature of --decode sample (default: 1)")
    parser.add_argument("--keep-going", action="store_true",
                        help="predict the good lines where some are bad; the bad ones are copied without a date")
    options = parser.parse_args()
    if options.output is not None and options.option is not None:
        parser.error("OUTPUT and -o OUTPUT both name the file to write; keep one of them")
    options.output = options.option if options.output is None else options.output
    if "" in (options.input, options.output):
        parser.error("the path is empty")
    return options


def plain(number: float) -> str:
    """A number without the point that a whole one does not need."""
    return "NaN" if math.isnan(number) else repr(number)[:-2] if repr(number).endswith(".0") else repr(number)


def percent(share: float) -> str:
    """A share as a percentage; 100 % is printed for all, never for nearly all."""
    if math.isnan(share):
        return "-"
    rounded = f"{100 * share:.2f} %"
    return f"{math.floor(1e6 * share) / 1e4:.4f} %" if rounded == "100.00 %" and share < 1 else rounded


def draws(
    decoder: Decoder, conditions: np.ndarray, options: argparse.Namespace
) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """Rows for conditions [n, given] in order, `samples` times each, a block at a time, with the conditions' places."""
    # Streams of their own, so that neither the block nor the way of decoding changes which codes a seed gives.
    codes, choices = (np.random.default_rng(part) for part in np.random.SeedSequence(options.seed).spawn(2))
    total = len(conditions) * options.samples
    for start in range(0, total, BLOCK):
        places = np.arange(start, min(start + BLOCK, total)) // options.samples
        z = codes.standard_normal((len(places), decoder.config["latent_dim"]), dtype=np.float32)
        uniform = choices.random((len(places), len(decoder.schema.generated)), dtype=np.float32)
        choose = greedy if options.decode == "greedy" else sampling(uniform, options.temperature)
        yield places, decoder.decode(conditions[places], z, choose)[0]


def write(
    out: IO[bytes], decoder: Decoder, lines: Conditions, met: np.ndarray, options: argparse.Namespace
) -> Tuple[int, int]:
    """Writes all lines, each with its end; counts of dates and of those that meet their condition."""
    counts = [0, 0]
    indices = np.frombuffer(lines.indices, dtype=np.int16).astype(np.int64)
    indices = indices[indices >= 0]

    def generated() -> Iterator[str]:
        for places, dates in draws(decoder, fields_of(indices), options):
            asked = indices[places]
            counts[0] += len(asked)
            counts[1] += int((met[tuple(dates.T)] == asked).sum())
            for index, (decade, month, digit, day) in zip(asked.tolist(), dates.tolist()):
                yield f"{texts[index]} {day + 1}-{month + 1}-{1800 + 10 * decade + digit}"

    texts = {index: condition_text(index) for index in set(lines.indices) if index >= 0}
    dated = generated()
    for place, index in enumerate(lines.indices):
        of_line = (next(dated) for _ in range(options.samples)) if index >= 0 else [lines.bad[place]]
        for text in of_line:
            out.write(f"{text}\n".encode())
    return counts[0], counts[1]


def write_table(out: IO[bytes], decoder: Decoder, table: Table, options: argparse.Namespace) -> int:
    """Writes the rows of a table with generated columns; how many."""
    write_row = table.writer(out)
    rows = (row for _, block in draws(decoder, table.conditions, options) for row in block.tolist())
    count = 0
    for place in range(len(table.records)):
        for row in [None] if place in table.bad else (next(rows) for _ in range(options.samples)):
            write_row(place, row)
            count += row is not None
    return count


def run(options: argparse.Namespace) -> int:
    if options.output is None:
        raise BadInput("name the file to write, as OUTPUT or with -o OUTPUT; - stands for standard output")
    if options.decode == "greedy" and options.temperature is not None:
        raise BadInput("--temperature has no effect on greedy decoding; add --decode sample")
    options.temperature = 1.0 if options.temperature is None else options.temperature
    if options.decode == "sample" and not (math.isfinite(options.temperature) and options.temperature >= 1e-3):
        fault = f"a temperature of {plain(options.temperature)} makes no distribution"
        raise BadInput(f"{fault}; choose one above 0, or greedy decoding")
    try:
        decoder = load_model(options.model)
    except Failure as error:
        named = f"cannot load a model from {options.model} (--model names a release or a finished run)"
        raise type(error)(f"{named}: {error}") from None
    name = "standard input" if options.input == "-" else options.input
    how = f"sampled at temperature {plain(options.temperature)}" if options.decode == "sample" else options.decode
    with contextlib.nullcontext(standard_input()) if options.input == "-" else reading(options.input, BadInput) as file:
        if not decoder.is_dates:
            table = Table(name, file.read(), decoder.schema)
        else:
            met = conditions_met()
            lines = Conditions(name, file, np.bincount(met[met >= 0], minlength=6888) > 0)
    bad, count = (lines.bad, len(lines.indices)) if decoder.is_dates else (table.bad, len(table.records))
    if bad and not options.keep_going:
        more = f"{len(bad)} of {count} {'lines' if decoder.is_dates else 'rows'} are bad; nothing was written"
        raise BadInput(f"{more}. Mend them, or use --keep-going to predict the others")
    if not count:
        raise BadInput(f"{name} holds no {'lines' if decoder.is_dates else 'rows below its header'}")
    left = 3 if bad else 0

    def fill(out: IO[bytes]) -> str:
        if not decoder.is_dates:
            rows = write_table(out, decoder, table, options)
            generated = [column.name for column in decoder.schema.generated]
            replaced = ", ".join(name for name in table.names if name in generated)
            if replaced:
                say(f"{name}: what stood in {replaced} was replaced by what the model generates")
            without = f"; {len(bad)} bad rows left without generated values" if bad else ""
            return f"{rows} rows, {how}, seed {options.seed}; conditions and rows were not checked{without}"
        dates, passes = write(out, decoder, lines, met, options)
        without = f"; {len(bad)} bad lines left without a date" if bad else ""
        rate = percent(passes / dates if dates else math.nan)
        return f"{dates} dates, {how}, seed {options.seed}; raw pass rate {rate} ({dates - passes} fail){without}"

    if options.output == "-":
        try:
            summary = fill(standard_output())
            standard_output().flush()
        except BrokenPipeError:  # a reader that has seen enough, such as `head`, is no failure
            leave_standard_output()
            return left
    else:
        with replacing(options.output) as out:
            summary = fill(out)
    say(summary)
    return left


if __name__ == "__main__":
    sys.exit(ended(lambda: run(parse_arguments())))
