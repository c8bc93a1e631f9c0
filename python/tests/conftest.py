"""What the tests share: the repository, and the program that the package is compared with."""

import pathlib
import subprocess

import pytest

import cvae

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def model():
    return cvae.load()


@pytest.fixture
def program(tmp_path):
    """`cvae` with these arguments, in a folder of its own."""
    path = ROOT / "target" / "release" / "cvae"
    assert path.exists(), f"{path} is missing; run make build first"

    def run(*arguments):
        return subprocess.run([path, *map(str, arguments)], cwd=tmp_path, check=True, capture_output=True, text=True)

    return run


#: A config that trains in about a second.
SMALL = {
    "model": {"latent_dim": 2, "hidden_dim": 16, "angles": 8},
    "training": {"steps": 60, "warm_up": 5, "batch_size": 64},
    "beta": {"rise": 20},
    "evaluation": {"every": 20, "samples": 1, "final_samples": 1, "codes": 2},
    "threads": 1,
}
