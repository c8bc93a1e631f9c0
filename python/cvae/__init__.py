"""Conditional VAEs for discrete data whose true distribution is known.

>>> import cvae
>>> model = cvae.load()
>>> model.sample("[MON] [DEC] [False] [196]", n=3, to="lists")["date"]
['26-12-1966', '19-12-1966', '2-12-1963']

`load` reads a release or a finished trial, `fit` trains, `runs` and `history` read run folders. Results are pandas
frames where pandas is installed, else polars frames, else dictionaries of lists; `to=` chooses.
"""

from cvae._cvae import VERSION as __version__
from cvae._config import Config
from cvae._model import Model, load
from cvae._runs import Trial, fit, history, runs

__all__ = ["Config", "Model", "Trial", "fit", "history", "load", "runs", "__version__"]
