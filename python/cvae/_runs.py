"""Training, and the folders that it leaves."""

from __future__ import annotations

import os
import pathlib
import warnings
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

from cvae import _cvae
from cvae._config import Config
from cvae._frames import chosen, table
from cvae._model import Model, load

Path = Union[str, "os.PathLike[str]"]
#: Called with the step, all steps, the loss, and the row of an evaluation or None.
Progress = Callable[[int, int, float, Optional[Dict[str, float]]], None]


class Trial:
    """A finished trial: its folder, its model, its metrics and its history."""

    def __init__(self, path: Path) -> None:
        self.path = pathlib.Path(path)

    def __repr__(self) -> str:
        return f"<cvae.Trial {self.path}>"

    @property
    def model(self) -> Model:
        """The trained model."""
        return load(self.path)

    @property
    def metrics(self) -> Dict[str, Any]:
        """Its final figures by name; docs/columns.md says what each is."""
        columns, _ = _cvae.trials(os.fspath(self.path))
        return {name: cells[0] for name, cells in columns}

    def history(self, to: Optional[str] = None) -> Any:
        """Its evaluations, a row each."""
        return history(self.path, to=to)


def fit(
    config: Union[Config, Path, None] = None,
    *,
    runs: Path = "runs",
    output: Optional[Path] = None,
    progress: Optional[Progress] = None,
    **values: Any,
) -> Trial:
    """Trains a config in its folder, as `cvae train` does, and returns the trial.

    `config` is a `Config`, a file, or nothing for the defaults; further keywords replace values, as in `Config`. A
    finished trial is not repeated. Ctrl-C ends training with a checkpoint, and the same call goes on from there.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> quick = {"every": 30, "samples": 1, "final_samples": 1, "codes": 2}
    >>> small = {"latent_dim": 2, "hidden_dim": 16, "angles": 8}
    >>> steps = {"steps": 60, "warm_up": 5}
    >>> trial = fit(runs=folder, model=small, training=steps, beta={"rise": 20}, evaluation=quick)
    >>> trial.metrics["state"]
    'finished'
    >>> trial.model.latent_dim
    2
    """
    if not isinstance(config, Config):
        config = Config(config, **values)
    elif values:
        raise ValueError(f"values beside a Config have no effect ({', '.join(values)}); give them to Config")

    def told(step: int, steps: int, loss: float, figures: Optional[List[Tuple[str, float]]]) -> None:
        if progress is not None:
            progress(step, steps, loss, None if figures is None else dict(figures))

    folder = None if output is None else os.fspath(output)
    watch = None if progress is None else told
    return Trial(_cvae.fit(config._inner, os.fspath(runs), folder, watch))


def runs(path: Path = "runs", *, to: Optional[str] = None) -> Any:
    """All trials in a folder: a row for each with its experiment, state, config and metrics.

    >>> frame = runs("runs/latent_beta", to="lists")
    >>> set(frame["state"])
    {'finished'}
    >>> sorted(set(frame["model.latent_dim"]))
    [1, 2, 4, 8, 16]
    """
    columns, skipped = _cvae.trials(os.fspath(path))
    for reason in skipped:
        warnings.warn(reason, stacklevel=2)
    return table(dict(columns), chosen(to))


def history(path: Path = "runs", *, to: Optional[str] = None) -> Any:
    """The evaluations of all trials in a folder: a row for each, with experiment and trial.

    >>> "train_loss" in history("runs/seeds", to="lists")
    True
    """
    return table(dict(_cvae.histories(os.fspath(path))), chosen(to))
