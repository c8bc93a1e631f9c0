"""Tests of what `make bench` concludes from measurements; nothing is measured.

    python3 -m unittest discover -s benches
"""

import math
import pathlib
import tempfile
import unittest

import arithmetic
import bench
import results
from results import (
    AFTER,
    ARITHMETIC,
    AUTOGRAD,
    DEFAULT,
    HAND,
    KINDS,
    LAYER,
    LIMIT,
    SAME,
    SIDE,
    TRIALS,
    WHOLE,
    Table,
    growth,
    unevenness,
    verdict,
)

NAN = math.nan
CASE = {
    "model": {"latent_dim": 8, "hidden_dim": 128, "angles": 64, "heads": "autoregressive", "trunk": "multiplicative"},
    "batch": 512,
    "codes": 64,
    "dates_per_condition": 21.5,
    "pairing": "balanced",
}
MACHINE = {"cpu": "some CPU", "cores": 8, "held_to": 2, "threads": 1, "commit": "0123456789ab", "dirty": "no"}
LINES, SAMPLES = (100_000, 300_000, 1_000_000), (250, 500, 1000)


def measured(cost_of_lines=lambda lines: 0.3 + 2e-6 * lines):
    """A table with everything that a run measures, all of whose goals are met if cost grows with lines as it should."""
    table = Table()
    for turn in range(3):
        for shape, rate in (("square 512", 90), ("square 1024", 95), ("layer 512x128x128", 80)):
            table.add(f"matrix product, {shape}", "libtorch", "GFLOP/s", rate - 20)
            table.add(f"matrix product, {shape}", "cvae", "GFLOP/s", rate + turn)
        table.add(ARITHMETIC, LIMIT, "GFLOP/s", 95 + turn)
        for way, less in ((HAND, 0.01), (AUTOGRAD, 0)):
            table.add(f"{SAME}, test ELBO", way, "nats", 3.5 + 0.1 * turn - less)
            table.add(f"{SAME}, sampled pass", way, "%", 99.9 + 0.01 * turn - less)
        table.add(ARITHMETIC, "cvae, match", "GFLOP/s", 80)
        table.add("training, match", "cvae", "dates/s", 40_000)
        for way, rate in (("eager, tuned", 8500), ("eager, plain", 8000), ("compiled, tuned", 16_000)):
            table.add("training, match", f"PyTorch {way}", "dates/s", rate)
        for kind in KINDS:
            for who, rate in (("cvae", 50_000), ("PyTorch eager, tuned", 12_000), ("PyTorch eager, plain", 10_000)):
                table.add(f"training, {kind}", who, "dates/s", rate)
        for samples in SAMPLES:
            table.add(f"evaluate all conditions x {samples:,} samples", "cvae", "s", 0.1 + 0.02 * samples)
        table.add(f"evaluate all conditions x {SAMPLES[-1]:,} samples", "PyTorch", "s", 10 * (0.1 + 0.02 * SAMPLES[-1]))
        for lines in LINES:
            table.add(f"predict {lines:,} lines", "cvae", "s", cost_of_lines(lines))
            table.add(f"predict {lines:,} lines, memory", "cvae", "MiB", 200)
        table.add(f"predict {LINES[-1]:,} lines", "PyTorch", "s", 10 * cost_of_lines(LINES[-1]))
        for trials in (1, 2, 4):
            table.add(f"sweep of {trials}, one at a time", "cvae", "s", 0.2 + 2 * trials)
        table.add(TRIALS, AFTER, "s", 10 + turn)
        table.add(TRIALS, SIDE, "s", (10 + turn) / 1.9)
        table.add(f"{WHOLE}, start to end", "cvae", "s", 40 + turn)
        table.add(f"{WHOLE}, start to 99.9 % pass rate", "cvae", "s", 20 + turn)
        table.add(f"{WHOLE}, memory", "cvae", "MiB", 400)
        for side, seconds in (("cvae", 0.2), ("PyTorch", 3)):
            table.add("predict example_input.txt", side, "s", seconds)
    table.add(f"{DEFAULT}, training steps", "cvae", "s", 150)
    table.add(f"{DEFAULT}, memory", "cvae", "MiB", 500)
    return table


def verdicts(table):
    return {name: verdict(value, kind, bound) for name, value, _, kind, bound in table.goals()}


class Medians(unittest.TestCase):
    def test_the_median_is_the_middle_and_none_without_values(self):
        table = Table()
        for value in (5, 1, 2):
            table.add("a", "cvae", "s", value)
        self.assertEqual((table.median("a"), table.highest("a")), (2, 5))
        self.assertIsNone(table.median("b"))
        self.assertIsNone(table.highest("b"))

    def test_what_is_no_number_is_no_measurement(self):
        for value in (NAN, math.inf, 0, -1):
            with self.assertRaises(ValueError):
                Table().add("a", "cvae", "s", value)

    def test_a_ratio_is_that_of_neighbours_and_not_of_medians(self):
        table = Table()
        for over, under in ((10, 1), (6, 2), (12, 3)):
            table.add("a", "one", "s", over)
            table.add("a", "other", "s", under)
        # 10, 3 and 4; the ratio of the medians is 5.
        self.assertEqual(table.ratio(("a", "one"), ("a", "other")), 4)

    def test_what_was_not_measured_equally_often_makes_no_pairs(self):
        table = Table()
        self.assertIsNone(table.ratio(("a", "one"), ("a", "other")))
        table.add("a", "one", "s", 1)
        self.assertIsNone(table.ratio(("a", "one"), ("a", "other")))
        table.add("a", "other", "s", 1)
        table.add("a", "other", "s", 2)
        self.assertIsNone(table.ratio(("a", "one"), ("a", "other")))


class Growth(unittest.TestCase):
    def test_a_start_that_costs_is_no_growth(self):
        self.assertAlmostEqual(growth(LINES, [7 + 3 * size for size in LINES]), 1)
        self.assertAlmostEqual(growth((1, 2, 4), [0.5 + 2 * size for size in (1, 2, 4)]), 1)

    def test_squares_grow_too_fast_and_logarithms_too_slowly(self):
        self.assertGreater(growth(LINES, [size**2 for size in LINES]), 3)
        slow = growth(LINES, [math.log(size) for size in LINES])
        self.assertLess(slow, 0.5)
        self.assertGreater(unevenness(slow), 2)
        self.assertEqual((unevenness(0.5), unevenness(2), unevenness(None)), (2, 2, None))

    def test_where_noise_hides_the_growth_nothing_is_told(self):
        self.assertIsNone(growth((1, 2, 4), (3, 3, 5)))
        self.assertIsNone(growth((1, 2, 4), (3, 2, 5)))
        self.assertIsNone(growth((1, 2, 4), (3, 4, 4)))


class Verdicts(unittest.TestCase):
    def test_bounds_are_met_at_their_very_value(self):
        self.assertEqual(verdict(3, results.LEAST, 3), "met")
        self.assertEqual(verdict(2.9, results.LEAST, 3), "missed")
        self.assertEqual(verdict(3, results.MOST, 3), "met")
        self.assertEqual(verdict(3.1, results.MOST, 3), "missed")
        self.assertEqual(verdict(3, None, None), "")

    def test_nothing_and_nan_meet_no_bound(self):
        for kind in (results.LEAST, results.MOST):
            self.assertEqual(verdict(None, kind, 3), "missed")
            self.assertEqual(verdict(NAN, kind, 3), "missed")

    def test_nan_is_no_agreement(self):
        self.assertTrue(bench.agrees({"terms": 1e-6, "updates": 0.001}))
        for found in ((NAN, 0), (0, NAN), (1, 0), (0, 1)):
            self.assertFalse(bench.agrees(dict(zip(("terms", "updates"), found))))


class Goals(unittest.TestCase):
    def test_all_are_met_by_a_good_run(self):
        found = verdicts(measured())
        self.assertEqual(sum(one == "met" for one in found.values()), 24, found)
        self.assertNotIn("missed", found.values())

    def test_cost_that_grows_with_the_square_misses_its_own_alone(self):
        found = verdicts(measured(lambda lines: 4 * (lines / LINES[-1]) ** 2))
        missed = [name for name, one in found.items() if one == "missed"]
        self.assertEqual(missed, ["cost of one more of the lines, small sizes against large"])

    def test_a_machine_whose_pace_changes_between_turns_is_no_growth(self):
        table = measured()
        paces, turns = (1, 0.5, 3), {}
        for row in table.rows:
            if row["measure"].startswith("sweep"):
                turn = turns[row["measure"]] = turns.get(row["measure"], -1) + 1
                row["value"] *= paces[turn]
        self.assertNotIn("missed", verdicts(table).values())

    def test_one_turn_that_something_else_disturbed_is_no_growth_and_two_of_three_are(self):
        table = measured()
        rows = [row for row in table.rows if row["measure"] == "sweep of 2, one at a time"]
        rows[0]["value"] = 1000
        self.assertNotIn("missed", verdicts(table).values())
        rows[1]["value"] = 1000
        self.assertEqual(verdicts(table)["cost of one more of the trials, small sizes against large"], "missed")

    def test_sizes_that_were_not_measured_equally_often_are_no_turns(self):
        table = measured()
        table.add("sweep of 2, one at a time", "cvae", "s", 4.2)
        self.assertEqual(verdicts(table)["cost of one more of the trials, small sizes against large"], "missed")

    def test_ways_that_end_apart_miss(self):
        table = measured()
        self.assertLess(table.apart(f"{SAME}, test ELBO"), 1)
        for row in table.rows:
            row["value"] += 0.5 if (row["measure"], row["who"]) == (f"{SAME}, test ELBO", HAND) else 0
        # Half a nat, where the standard deviation is a tenth: 0.49 / (0.1 sqrt(2 / 3)).
        self.assertAlmostEqual(table.apart(f"{SAME}, test ELBO"), 0.49 / (0.1 * math.sqrt(2 / 3)))
        missed = [name for name, one in verdicts(table).items() if one == "missed"]
        self.assertEqual(missed, [f"{SAME}, test ELBO: by hand and by autograd, standard errors apart"])

    def test_one_seed_tells_no_ways_apart(self):
        table = Table()
        for way in (HAND, AUTOGRAD):
            table.add(f"{SAME}, test ELBO", way, "nats", 3.5)
        self.assertIsNone(table.apart(f"{SAME}, test ELBO"))

    def test_a_series_without_its_three_sizes_misses(self):
        table = measured()
        table.rows = [row for row in table.rows if row["measure"] != "sweep of 2, one at a time"]
        self.assertEqual(verdicts(table)["cost of one more of the trials, small sizes against large"], "missed")

    def test_a_seed_that_never_gets_there_misses(self):
        table = measured()
        table.add(f"{WHOLE}, start to end", "cvae", "s", 40)
        self.assertEqual(verdicts(table)[f"{WHOLE}, start to 99.9 % pass rate"], "missed")

    def test_side_by_side_is_told_from_its_pairs_and_not_from_the_growth(self):
        table = measured()
        for row in table.rows:
            row["value"] = 1000 if row["measure"] == "sweep of 2, one at a time" else row["value"]
        value = next(value for name, value, *_ in table.goals() if name.startswith("two trials"))
        self.assertAlmostEqual(value, 1.9)

    def test_the_limit_is_the_faster_library(self):
        table = measured()
        self.assertEqual(table.fastest(), ("cvae", "square 1024", 96))
        value = next(value for name, value, *_ in table.goals() if name.startswith("arithmetic"))
        self.assertAlmostEqual(value, 80 / 96)
        self.assertAlmostEqual(table.ratio((ARITHMETIC, "cvae, match"), (LAYER, "cvae")), 80 / 81)

    def test_a_kind_of_model_that_trains_too_slowly_misses_its_own_alone(self):
        table = measured()
        for row in table.rows:
            row["value"] *= 0.5 if (row["measure"], row["who"]) == ("training, no z", "cvae") else 1
        missed = [name for name, one in verdicts(table).items() if one == "missed"]
        self.assertEqual(missed, [f"training, no z: dates/s over PyTorch eager, {way}" for way in ("plain", "tuned")])

    def test_a_kind_of_model_that_was_not_measured_misses(self):
        table = measured()
        table.rows = [row for row in table.rows if row["measure"] != "training, additive trunk"]
        missed = [name for name, one in verdicts(table).items() if one == "missed"]
        self.assertEqual(len(missed), 2)

    def test_without_the_compiled_form_the_rest_stands(self):
        table = measured()
        table.rows = [row for row in table.rows if "compiled" not in row["who"]]
        self.assertNotIn("missed", verdicts(table).values())


class Page(unittest.TestCase):
    def test_it_names_machine_versions_and_changes(self):
        table = measured()
        table.note("A note.")
        versions = {"PyTorch": "2.11.0", "tch": "0.24.0"}
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            table.write(folder, CASE, MACHINE, versions, quick=False)
            page, rows = (folder / "RESULTS.md").read_text(), (folder / "results.csv").read_text().splitlines()
        where = "commit 0123456789ab, on 2 of 8 cores of some CPU, 1 thread"
        for text in (where, "PyTorch 2.11.0, tch 0.24.0.", "latent_dim 8", "A note."):
            self.assertIn(text, page)
        self.assertNotIn("QUICK", page)
        self.assertEqual(page.count("| missed |"), 0)
        self.assertIn("| lines | 100,000, 300,000, 1,000,000 | 2e-06 s | 2e-06 s | 1.00 |", page)
        self.assertEqual(rows[0], "measure,who,unit,value,cpu,cores,held_to,threads,commit,dirty")
        self.assertEqual(len(rows), 1 + len(table.rows))
        page = table.page(CASE, {**MACHINE, "dirty": "yes"}, versions, quick=True)
        self.assertIn("commit 0123456789ab with uncommitted changes,", page)
        self.assertIn("QUICK", page)


    def test_the_version_of_tch_is_found_in_the_manifest(self):
        self.assertNotIn("unknown", bench.tch())


class Arithmetic(unittest.TestCase):
    def test_later_phases_need_more(self):
        calendar, code, match = (arithmetic.step(CASE, phase) for phase in bench.PHASES)
        self.assertTrue(0 < calendar < code < match, (calendar, code, match))
        self.assertEqual(arithmetic.product(2, 3, 4), 2 * 2 * 3 * 4 * 3)


if __name__ == "__main__":
    unittest.main()
