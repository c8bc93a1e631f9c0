"""Sampling, likelihood, marginals and codes, against the program and against each other."""

import math
import random

import pytest

import cvae

LINE = "[MON] [DEC] [False] [196]"
DATED = f"{LINE} 3-12-1962"
ROW = {"weekday": "MON", "month": "DEC", "leap": False, "decade": 196}


def some_lines(model, count):
    """Conditions in a random order, some of them several times."""
    choose = random.Random(3)
    lines = []
    while len(lines) < count:
        words = [choose.choice(values) for values in model.given.values()]
        if words[2:] != ["True", "220"]:
            lines.append(" ".join(f"[{word}]" for word in words))
    return lines


@pytest.mark.parametrize(
    "arguments, options",
    [
        ([], {}),
        (["--seed", "7", "-n", "3"], {"seed": 7, "n": 3}),
        (["--decode", "sample"], {"decode": "sample"}),
        (["--decode", "sample", "--temperature", "0.7", "-n", "2"], {"decode": "sample", "temperature": 0.7, "n": 2}),
    ],
)
def test_a_seed_gives_the_dates_that_the_program_gives(model, program, tmp_path, arguments, options):
    # More dates than are drawn at once, so that the parts are compared as well.
    lines = some_lines(model, 70_000)
    (tmp_path / "in.txt").write_text("\n".join(lines) + "\n")
    program("predict", "-i", "in.txt", "out.txt", *arguments)
    wanted = [line.split()[-1] for line in (tmp_path / "out.txt").read_text().splitlines()]
    drawn = model.sample(lines, to="lists", **options)
    assert drawn["date"] == wanted
    assert drawn["passes"].count(False) < 1e-3 * len(wanted)


def test_conditions_of_every_kind_are_the_same(model):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    names = list(model.given)
    values = ["MON", "DEC", False, 196]
    columns = {name: [value, value] for name, value in zip(names, values)}
    kinds = [
        [LINE, LINE],
        [dict(zip(names, values))] * 2,
        [tuple(values)] * 2,
        columns,
        pandas.DataFrame(columns),
        polars.DataFrame(columns),
        pandas.DataFrame(columns).astype({"weekday": "category"}),
    ]
    wanted = model.sample(LINE, n=2, to="lists")["date"]
    for kind in kinds:
        drawn = model.sample(kind, to="lists")
        assert drawn["date"] == wanted, kind
        assert drawn["leap"] == ["False", "False"]


def test_results_are_frames_like_the_input(model):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    columns = {"weekday": ["MON", "TUE"], "month": ["DEC", "JAN"], "leap": [False, True], "decade": [196, 200]}
    for library in (pandas, polars):
        frame = model.sample(library.DataFrame(columns), n=2)
        assert isinstance(frame, library.DataFrame) and frame.shape == (4, 6)
        assert list(frame["weekday"]) == ["MON", "MON", "TUE", "TUE"]
        assert list(frame["passes"]) == [True] * 4
    assert isinstance(model.sample(LINE), pandas.DataFrame)
    assert isinstance(model.sample(LINE, to="polars"), polars.DataFrame)
    assert isinstance(cvae.runs("runs/seeds", to="polars"), polars.DataFrame)


@pytest.mark.parametrize(
    "conditions, words",
    [
        ("[MON] [DEZ] [False] [196]", "item 0, column 7: found \"[DEZ]\""),
        ([LINE, f"{LINE} soon"], "item 1, column 27"),
        ({**ROW, "weekday": "MO"}, "row 0, weekday: 'MO' is not one of MON, TUE"),
        ({"weekday": "MON", "month": "DEC", "leap": False}, "item 0 has no 'decade'"),
        ([(1, 2)], "item 0: (1, 2) is not a condition; give a line"),
        ("[MON] [DEC] [True] [220]", "item 0: no row meets [MON] [DEC] [True] [220]"),
    ],
)
def test_conditions_that_are_wrong_are_named_with_their_place(model, conditions, words):
    with pytest.raises(ValueError) as error:
        model.sample(conditions)
    assert words in str(error.value)


def test_options_that_are_wrong_say_what_is_right(model):
    for options, words in [
        ({"temperature": 1.0}, "add decode='sample'"),
        ({"decode": "best"}, "choose 'greedy' or 'sample'"),
        ({"decode": "sample", "temperature": 0.0}, "choose one above 0"),
        ({"n": 0}, "at least 1"),
        ({"to": "csv"}, "pandas, polars, lists"),
    ]:
        with pytest.raises(ValueError, match=words):
            model.sample(LINE, **options)
    with pytest.raises(ValueError, match="cannot load a model from nowhere"):
        cvae.load("nowhere")


def test_a_marginal_is_a_distribution_near_the_truth_and_agrees_with_log_prob(model):
    found = model.marginal(LINE, codes=2048, to="lists")
    assert math.isclose(sum(found["probability"]), 1.0, abs_tol=1e-6)
    assert math.isclose(sum(found["truth"]), 1.0) and found["date"][-1] is None
    assert all(abs(p - t) < 0.02 for p, t in zip(found["probability"], found["truth"]))
    rows = [f"{LINE} {date}" for date in found["date"][:-1]]
    logs = model.log_prob(rows, codes=2048)
    assert all(math.isclose(math.exp(log), p, rel_tol=1e-6) for log, p in zip(logs, found["probability"]))
    # A date that fails its condition is unlikely, and no error.
    assert model.log_prob([f"{LINE} 4-12-1962"])[0] < -6


def test_codes_are_posteriors_of_rows(model):
    found = model.encode([DATED, f"{LINE} 25-12-1967"], to="lists")
    assert len(found) == 2 * model.latent_dim and len(found["mean_1"]) == 2
    assert all(sd > 0 for sd in found["sd_1"]) and found["mean_1"][0] != found["mean_1"][1]


def test_a_column_of_dates_is_read(model):
    row = {**ROW, "date": "3-12-1962"}
    assert model.log_prob([row]) == model.log_prob([DATED])
    with pytest.raises(ValueError, match="not a date of the form"):
        model.log_prob([{**row, "date": "soon"}])
