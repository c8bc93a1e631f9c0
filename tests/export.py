#!/usr/bin/env python3
"""Reads exports with the tools that they are for: TensorBoard, pandas, polars and DuckDB.

    python3 tests/export.py target/release/cvae

Run by `make test-export`, in an environment of tests/export-requirements.txt.
"""

import csv
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import time

import duckdb
import pandas
import polars
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.backend.event_processing import plugin_event_multiplexer
from tensorboard.backend.event_processing import data_provider
from tensorboard.plugins.hparams import backend_context, list_session_groups, api_pb2
from tensorboard.plugins.hparams.get_experiment import Handler as GetExperiment
from tensorboard.plugins import base_plugin
from google.protobuf import json_format

ROOT = pathlib.Path(__file__).resolve().parent.parent
INFINITE = 1.7976931348623157e308


def export(program, runs, form, out):
    subprocess.run([program, "export", str(runs), "--to", form, "-o", str(out)], check=True, stderr=subprocess.PIPE)


def trials():
    """Committed trials with their histories, as the csv module reads them."""
    found = {}
    for path in sorted((ROOT / "runs" / "seeds").glob("*/history.csv")):
        with open(path, newline="") as file:
            found[path.parent.name] = list(csv.DictReader(file))
    assert len(found) >= 3
    return found


def rows_of(expected):
    return sum(len(rows) for rows in expected.values())


def check_columns(name, columns, kinds, expected):
    """Compares a table of evaluations, as lists by column, with the histories."""
    assert kinds["step"] == "int" and kinds["beta"] == "float" and kinds["trial"] == "text", (name, kinds)
    assert kinds["active_units"] == "int" and kinds["train_loss"] == "float", (name, kinds)
    seen = {}
    for place, trial in enumerate(columns["trial"]):
        seen.setdefault(trial, []).append(place)
    assert set(seen) == set(expected), name
    for trial, rows in expected.items():
        assert len(seen[trial]) == len(rows), (name, trial)
        for place, row in zip(seen[trial], rows):
            assert columns["experiment"][place] == "seeds"
            for column, cell in row.items():
                # Earlier versions had other names, and columns that are left out.
                column = column.replace("_held_out", "_validation")
                # Their distances hold sampling noise, which is removed where they are read.
                if column not in columns or column.endswith("_tv"):
                    assert column not in ("train_loss", "greedy_pass", "test_kl"), column
                    continue
                value = columns[column][place]
                if column == "phase":
                    assert value == cell, (name, column, value, cell)
                elif cell in ("NaN", ""):
                    assert value is None or math.isnan(value), (name, column, value)
                else:
                    assert value == float(cell), (name, trial, column, value, cell)


def kind(text):
    text = str(text).lower()
    for part, name in (("int", "int"), ("float", "float"), ("double", "float"), ("str", "text"), ("varchar", "text"), ("object", "text")):
        if part in text:
            return name
    return text


def check_parquet(program, out, expected):
    export(program, ROOT / "runs" / "seeds", "parquet", out)
    path = str(out / "history.parquet")
    frame = pandas.read_parquet(path)
    columns = {name: [None if pandas.isna(cell) else cell for cell in frame[name]] for name in frame}
    check_columns("pandas", columns, {name: kind(dtype) for name, dtype in frame.dtypes.items()}, expected)
    lazy = polars.read_parquet(path)
    check_columns("polars", lazy.to_dict(as_series=False), {n: kind(t) for n, t in lazy.schema.items()}, expected)
    table = duckdb.sql(f"select * from '{path}'")
    kinds = {column: kind(of) for column, of in zip(table.columns, table.types)}
    kinds["step"] = {"bigint": "int"}.get(str(table.types[table.columns.index("step")]).lower(), kinds["step"])
    columns = {name: [row[place] for row in table.fetchall()] for place, name in enumerate(table.columns)}
    check_columns("DuckDB", columns, kinds, expected)
    query = f"select count(*) from '{out / 'trials.parquet'}' where \"beta.high\" = 'infinity' and state = 'finished'"
    assert duckdb.sql(query).fetchall() == [(len(expected),)], "an infinite KL weight is a number"
    whole = polars.read_parquet(out / "trials.parquet")
    assert whole["beta.high"].is_infinite().all() and whole["seed"].dtype == polars.Int64
    assert pandas.read_parquet(out / "trials.parquet")["beta.high"].map(math.isinf).all()
    assert whole["greedy_pass"].null_count() == 0


def check_jsonl(program, out, expected):
    export(program, ROOT / "runs" / "seeds", "jsonl", out)
    path = out / "history.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == rows_of(expected) and all(list(row) == list(rows[0]) for row in rows)
    lazy = polars.read_ndjson(path)
    check_columns("polars", lazy.to_dict(as_series=False), {n: kind(t) for n, t in lazy.schema.items()}, expected)
    trials = [pandas.read_json(out / "trials.jsonl", lines=True, precise_float=True)["beta.high"].tolist()]
    trials.append(polars.read_ndjson(out / "trials.jsonl")["beta.high"].to_list())
    trials.append([row[0] for row in duckdb.sql(f"select \"beta.high\" from '{out / 'trials.jsonl'}'").fetchall()])
    for values in trials:
        assert len(values) == len(expected) and all(value >= INFINITE for value in values), values


def check_tensorboard(program, out, expected):
    export(program, ROOT / "runs" / "seeds", "tensorboard", out)
    runs = {path.parent.relative_to(out).as_posix() for path in out.rglob("*tfevents*")}
    assert runs == {f"seeds/{trial}" for trial in expected}, runs
    for trial, rows in expected.items():
        events = event_accumulator.EventAccumulator(str(out / "seeds" / trial))
        events.Reload()
        for tag in ("train_loss", "greedy_pass", "test_kl"):
            scalars = events.Scalars(tag)
            assert [scalar.step for scalar in scalars] == [int(row["step"]) for row in rows], (trial, tag)
            for scalar, row in zip(scalars, rows):
                assert math.isclose(scalar.value, float(row[tag]), rel_tol=1e-6), (trial, tag)
            times = [scalar.wall_time for scalar in scalars]
            assert times == sorted(times) and times[-1] <= time.time() + 1
        assert events.Scalars("test_entropy_floor")[-1].step == int(rows[-1]["step"]), "final metrics stand at the end"
    # The server side of the HParams tab.
    multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(out))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(out))
    tab = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    from tensorboard import context as request

    asked = request.RequestContext()
    experiment = GetExperiment(asked, tab, "", api_pb2.GetExperimentRequest()).run()
    names = {info.name for info in experiment.hparam_infos}
    assert {"seed", "model.latent_dim", "beta.value"} <= names, names
    assert "greedy_pass" in {info.name.tag for info in experiment.metric_infos}
    query = api_pb2.ListSessionGroupsRequest(start_index=0, slice_size=100)
    query.allowed_statuses.extend([api_pb2.STATUS_SUCCESS, api_pb2.STATUS_RUNNING, api_pb2.STATUS_FAILURE])
    groups = list_session_groups.Handler(asked, tab, "", query).run()
    assert len(groups.session_groups) == len(expected), groups
    # The browser is sent JSON, which knows no infinity.
    assert "latent_dim" in json_format.MessageToJson(groups) and json_format.MessageToJson(experiment)
    seeds = sorted(group.hparams["seed"].number_value for group in groups.session_groups)
    assert seeds == [float(seed) for seed in range(1, len(expected) + 1)], seeds


def check_follow(program, folder):
    """Exports a trial while it grows."""
    source = next((ROOT / "runs" / "seeds").glob("*/history.csv")).parent
    runs, out = folder / "growing", folder / "followed"
    trial = runs / "exp" / "trial"
    trial.mkdir(parents=True)
    (trial / "config.toml").write_text((source / "config.toml").read_text())
    lines = (source / "history.csv").read_text().splitlines(keepends=True)
    (trial / "history.csv").write_text("".join(lines[:3]))
    command = [program, "export", str(runs), "--to", "tensorboard", "-o", str(out), "--follow", "--every", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)

    def steps():
        events = event_accumulator.EventAccumulator(str(out / "exp" / "trial"))
        events.Reload()
        return [scalar.step for scalar in events.Scalars("train_loss")] if events.Tags()["scalars"] else []

    def wait(expected):
        for _ in range(100):
            if out.exists() and steps() == expected:
                return
            time.sleep(0.1)
        raise AssertionError((steps(), expected))

    try:
        wait([int(line.split(",")[0]) for line in lines[1:3]])
        with open(trial / "history.csv", "a") as file:
            file.write("".join(lines[3:5]) + lines[5][:7])
        wait([int(line.split(",")[0]) for line in lines[1:5]])
        # A resumed run takes rows back that no checkpoint counts on.
        (trial / "history.csv").write_text("".join(lines[:4]))
        wait([int(line.split(",")[0]) for line in lines[1:4]])
    finally:
        process.send_signal(2)
        process.wait(10)
    assert process.returncode == 0, process.stderr.read()


def main():
    program = str(pathlib.Path(sys.argv[1]).resolve())
    expected = trials()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        checks = [
            lambda: check_parquet(program, folder / "parquet", expected),
            lambda: check_jsonl(program, folder / "jsonl", expected),
            lambda: check_tensorboard(program, folder / "tensorboard", expected),
            lambda: check_follow(program, folder),
        ]
        for check in checks:
            check()
    print(f"{len(checks)} passed, 0 failed")


if __name__ == "__main__":
    main()
