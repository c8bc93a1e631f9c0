"""Examples in docstrings, and the notebook."""

import doctest
import importlib
import pathlib
import pkgutil

import pytest

import cvae
from conftest import ROOT


MODULES = [f"cvae.{module.name}" for module in pkgutil.iter_modules(cvae.__path__) if module.name != "_cvae"]


@pytest.mark.parametrize("name", ["cvae", *MODULES])
def test_examples_in_docstrings_are_true(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_the_package_is_typed():
    folder = pathlib.Path(cvae.__file__).parent
    assert (folder / "py.typed").exists() and (folder / "_cvae.pyi").exists()


def test_the_notebook_runs(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) <= 10
    for cell in code:
        if "pip install" in cell.source:
            # The package that is tested is installed already.
            cell.source = "import cvae"
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT / "docs")}}).execute()
    outputs = [output for cell in code for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
