#!/usr/bin/env python3
"""Checks environment.yml: that it is what conda reads, and that its versions are those that the project pins elsewhere.

conda itself is not needed: what its solver makes of the file is not checked.
"""

import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent


def pinned(path, pattern):
    """What a file of the project says, by a pattern that stands in it."""
    found = re.search(pattern, (ROOT / path).read_text(), re.MULTILINE)
    assert found, f"{path} has no {pattern}"
    return found.group(1)


def main():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert set(environment) == {"name", "channels", "dependencies"}, environment.keys()
    assert environment["name"] == "cvae" and environment["channels"] == ["conda-forge"]
    specs = environment["dependencies"]
    # name=version or name=version=build, as conda writes a package to be matched; a name alone takes any.
    matches = [re.fullmatch(r"([a-z0-9_.-]+)(?:=([0-9.]+))?(?:=([a-z0-9_*]+))?", spec) for spec in specs]
    assert all(matches), specs
    versions = {match.group(1): match.group(2) for match in matches}
    assert len(versions) == len(specs), "a package is named twice"
    expected = {
        "numpy": pinned("benches/requirements.txt", r"^numpy==([0-9.]+)"),
        "safetensors": pinned("model/requirements.txt", r"^safetensors==([0-9.]+)"),
        "pytorch": pinned("scripts/libtorch.py", r'"torch",\s+"([0-9.]+)"'),
        "rust": pinned("Cargo.toml", r'^rust-version = "([0-9.]+)"'),
    }
    for name, version in expected.items():
        assert versions.get(name) == version, f"environment.yml has {name} {versions.get(name)}, the project {version}"
    assert {"python", "cxx-compiler", "make"} <= versions.keys(), versions
    builds = {match.group(1): match.group(3) for match in matches}
    assert builds["pytorch"] == "cpu_*", "the build of PyTorch for CUDA takes gigabytes"
    print("1 passed, 0 failed")


if __name__ == "__main__":
    sys.exit(main())
