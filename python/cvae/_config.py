"""Configs of training runs."""

from __future__ import annotations

import os
from typing import Any, Dict, Optional, Union

from cvae import _cvae


class Config:
    """A checked config: the defaults or a file, with values replaced.

    Values are given as sections or, in `set`, by dotted keys:

    >>> config = Config(seed=2, model={"latent_dim": 4}, training={"steps": 500})
    >>> config["model.latent_dim"], config["training.steps"]
    (4, 500)
    >>> Config(set={"training.steps": 0})
    Traceback (most recent call last):
      ...
    ValueError: training.steps=0: training.steps: 0 is not between 1 and 1000000000
    """

    def __init__(
        self,
        path: Optional[Union[str, "os.PathLike[str]"]] = None,
        *,
        set: Optional[Dict[str, Any]] = None,
        **sections: Any,
    ) -> None:
        values = {**sections, **(set or {})}
        self._inner = _cvae.Config(None if path is None else os.fspath(path), **values)

    @property
    def name(self) -> str:
        """The name of its trial."""
        return self._inner.name

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that tell its trial from any other."""
        return self._inner.hash

    def to_dict(self) -> Dict[str, Any]:
        """Every key as a dotted path, with its value."""
        return {key: _value(text) for key, text in self._inner.flat()}

    def to_toml(self) -> str:
        """The config as a file holds it, every key written out."""
        return self._inner.to_toml()

    def __getitem__(self, key: str) -> Any:
        return self.to_dict()[key]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self.to_toml() == other.to_toml()

    def __repr__(self) -> str:
        return f"<cvae.Config {self.name}>"


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if text.startswith("["):
        import ast

        return ast.literal_eval(text)
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            pass
    return text
