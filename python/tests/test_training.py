"""Configs, training, and reading runs."""

import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import cvae
from conftest import SMALL


def test_a_trial_is_trained_once_and_reads_like_the_programs(tmp_path, program):
    seen = []
    trial = cvae.fit(runs=tmp_path, seed=5, progress=lambda *told: seen.append(told), **SMALL)
    assert trial.path.parent == tmp_path / "python" and trial.metrics["seed"] == 5
    assert [told[0] for told in seen if told[3]] == [20, 40, 60] and "train_loss" in seen[-1][3]
    assert len(trial.history(to="lists")["step"]) == 3
    # The program takes it for its own, and so does a second call.
    assert "1" in program("compare", trial.path, "--each").stdout
    begun = time.monotonic()
    assert cvae.fit(runs=tmp_path, seed=5, **SMALL).path == trial.path
    assert time.monotonic() - begun < 1
    assert len(trial.model.sample("[MON] [DEC] [False] [196]", to="lists")["date"]) == 1


def test_configs_are_checked_and_name_the_key_at_fault(tmp_path):
    config = cvae.Config(seed=2, set={"beta.value": 0.3}, **{k: v for k, v in SMALL.items() if k != "threads"})
    assert (config["seed"], config["beta.value"], config["model.angles"]) == (2, 0.3, 8)
    path = tmp_path / "own.toml"
    path.write_text(config.to_toml())
    assert cvae.Config(path) == config and "value0.3" in config.name and len(config.hash) == 12
    for values, words in [
        ({"training": {"step": 3}}, "unknown field `step`"),
        ({"training": {"steps": "many"}}, "training"),
        ({"model": {"latent_dim": None}}, "model.latent_dim: a NoneType is not a value of a config"),
        ({"model": {"latent_dim": [1]}}, "latent_dim"),
    ]:
        with pytest.raises(ValueError, match=words):
            cvae.Config(**values)
    with pytest.raises(ValueError, match="nothing.toml"):
        cvae.Config("nothing.toml")
    with pytest.raises(ValueError, match="give them to Config"):
        cvae.fit(config, runs=tmp_path, seed=3)


def test_a_table_is_fitted_sampled_scored_and_encoded(tmp_path):
    pandas = pytest.importorskip("pandas")
    table = tmp_path / "survey.csv"
    people = [("F", 1), ("F", 2), ("F", 3), ("M", 1), ("M", 2)]
    rows = [(sex, age, job) for sex, age in people for job in ("nurse", "clerk", "")]
    table.write_text("sex,age,job\n" + "".join(f"{sex},{age},{job}\n" for sex, age, job in rows * 9))
    data = {"table": table, "given": ["sex", "age"]}
    trial = cvae.fit(runs=tmp_path, data=data, **SMALL)
    model = trial.model
    assert (list(model.given), list(model.generated)) == (["sex", "age"], ["job"])
    assert cvae.Config(data=data)["data.given"] == ["sex", "age"]
    # Where a number is missing, pandas makes floats of all.
    asked = pandas.DataFrame({"sex": ["F", "M"], "age": [1.0, 2.0]})
    drawn = model.sample(asked, n=3, decode="sample")
    assert list(drawn.columns) == ["sex", "age", "job", "passes"] and len(drawn) == 6
    assert set(drawn["job"]) <= {"nurse", "clerk", ""}
    found = model.marginal({"sex": "F", "age": 1}, to="lists")
    assert len(found["job"]) == 4 and abs(sum(found["probability"]) - 1) < 1e-6
    whole = asked.assign(job="nurse")
    assert len(model.log_prob(whole)) == 2 and model.encode(whole).shape == (2, 4)
    for wrong, words in [
        (asked.assign(age=[1.0, float("nan")]), "row 1, age: nan is not one of"),
        (asked.drop(columns="age"), "no column 'age'"),
    ]:
        with pytest.raises(ValueError, match=words):
            model.sample(wrong)
    assert len(model.sample(asked.iloc[:0])) == 0
    # A condition that no row of the table meets is answered; its truth is unknown.
    assert model.sample({"sex": "M", "age": 3}, to="lists")["passes"] == [False]
    with pytest.raises(ValueError, match="no row meets"):
        model.marginal({"sex": "M", "age": 3})


def test_what_a_callback_raises_ends_training(tmp_path):
    def stop(step, steps, loss, figures):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        cvae.fit(runs=tmp_path, progress=stop, **SMALL)


def test_runs_are_a_row_for_each_trial():
    pandas = pytest.importorskip("pandas")
    frame = cvae.runs("runs/latent_beta")
    assert isinstance(frame, pandas.DataFrame) and set(frame["state"]) == {"finished"}
    assert frame["greedy_pass"].between(0, 1).all() and frame["beta.high"].eq(float("inf")).all()
    rows = cvae.history("runs/seeds")
    assert rows.groupby("trial").size().nunique() == 1 and rows["train_loss"].notna().all()
    with pytest.raises(ValueError, match="no run"):
        cvae.runs("python")


@pytest.mark.parametrize(
    "call",
    [
        "cvae.fit(runs=sys.argv[1], progress=lambda *told: print('begun', flush=True))",
        "print('begun', flush=True); model.sample('[MON] [DEC] [False] [196]', n=200_000_000, to='lists')",
    ],
)
def test_ctrl_c_ends_long_calls(tmp_path, call):
    code = f"import sys, cvae\nmodel = cvae.load()\n{call}"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], **pipes)
    assert child.stdout.readline() == "begun\n"
    time.sleep(0.5)
    begun = time.monotonic()
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=20)
    assert "KeyboardInterrupt" in errors and time.monotonic() - begun < 5


def test_other_threads_run_while_dates_are_drawn(model):
    model.sample("[MON] [DEC] [False] [196]", to="lists")
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    model.log_prob(["[MON] [DEC] [False] [196] 3-12-1962"], codes=200_000)
    done.set()
    thread.join()
    gaps = [later - earlier for earlier, later in zip(ticks, ticks[1:])]
    assert len(ticks) > 20 and sorted(gaps)[len(gaps) // 2] < 0.05


def test_the_import_is_quick_and_loads_no_frame_library():
    code = textwrap.dedent("""
        import sys, time
        begun = time.perf_counter()
        import cvae
        print(time.perf_counter() - begun)
        assert not {"numpy", "pandas", "polars"} & set(sys.modules)
    """)
    command = [sys.executable, "-c", code]
    runs = [subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(3)]
    assert min(float(run.stdout) for run in runs) <= 0.2
