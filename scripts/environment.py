#!/usr/bin/env python3
"""Makes a virtual environment in target/python/ from a requirements file with hashes; prints its Python.

    python3 scripts/environment.py model/requirements.txt

Safe to run again: an environment that is complete is left as it is. Nothing but wheels is installed, and nothing that
the file does not name. Only the venv module's core and pip are needed, not the ensurepip that Debian packs apart.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def say(message):
    print(f"environment: {message}", file=sys.stderr, flush=True)


def fail(message, remedy):
    say(f"error: {message}\n  remedy: {remedy}")
    raise SystemExit(1)


def environment(requirements):
    """The Python of the environment for this requirements file, made where it is missing."""
    name = str(requirements.resolve().relative_to(ROOT)).replace("/", "-").removesuffix(".txt")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folder = ROOT / "target" / "python" / f"{name}-{version}"
    python, stamp = folder / "bin" / "python", folder / "complete"
    recipe = f"{sys.version} {hashlib.sha256(requirements.read_bytes()).hexdigest()}\n"
    if stamp.exists() and stamp.read_text() == recipe and python.exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    say(f"making {folder.relative_to(ROOT)} from {requirements.name}")
    if subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)]).returncode != 0:
        fail("the venv module failed (its message stands above)", "apt-get install python3-venv, then run it again")
    packages = folder / "lib" / version / "site-packages"
    command = [sys.executable, "-m", "pip", "install", "--target", str(packages), "--no-deps", "--require-hashes"]
    command += ["--only-binary=:all:", "--quiet", "--no-warn-script-location", "--disable-pip-version-check"]
    # pip's warning to root is about the system's Python, which is not touched.
    quiet = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    if subprocess.run([*command, "--requirement", str(requirements)], stdout=sys.stderr, env=quiet).returncode != 0:
        fail(
            "pip could not install the packages (its message stands above)",
            "check the network and that pip is installed (apt-get install python3-pip), then run it again",
        )
    partial = stamp.with_name("complete.partial")
    partial.write_text(recipe)
    os.replace(partial, stamp)
    return python


if __name__ == "__main__":
    if len(sys.argv) != 2:
        fail("one requirements file is expected", "python3 scripts/environment.py model/requirements.txt")
    print(environment(pathlib.Path(sys.argv[1])))
