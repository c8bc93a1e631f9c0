#!/usr/bin/env python3
"""Puts a CPU libtorch into .libtorch/ so that `cargo build` finds it.

Run by the Makefile; safe to run again: finished stages are skipped. Downloads
come from pip by name, are pinned to one version and checked against the hashes
below before anything is unpacked. Nothing happens when LIBTORCH or
LIBTORCH_USE_PYTORCH is set: the user's own libtorch wins.

Why not a plain `pip install torch`: its libtorch.so is an empty shim that links
2 GB of CUDA libraries. Only the CPU half is unpacked here, and an empty shared
object takes the shim's place.
"""

import hashlib
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / ".libtorch"
DOWNLOADS = TARGET / "downloads"
STAMP = TARGET / "complete"

# (package, version, file name, size in bytes, sha256, members to unpack)
WHEELS = [
    (
        "torch",
        "2.11.0",
        "torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl",
        530604548,
        "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
        {
            "torch/lib/libtorch_cpu.so": "lib/libtorch_cpu.so",
            "torch/lib/libc10.so": "lib/libc10.so",
            "torch/lib/libgomp.so.1": "lib/libgomp.so.1",
            "torch/include/": "include/",
        },
    ),
    (
        "nvidia-cuda-runtime",
        "13.0.96",
        "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        2243632,
        "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
        {"nvidia/cu13/lib/libcudart.so.13": "lib/libcudart.so.13"},
    ),
    (
        "nvidia-cuda-cupti",
        "13.0.85",
        "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl",
        10715597,
        "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
        {"nvidia/cu13/lib/libcupti.so.13": "lib/libcupti.so.13"},
    ),
]
PLATFORMS = ["manylinux_2_28_x86_64", "manylinux_2_25_x86_64", "manylinux2014_x86_64", "manylinux_2_17_x86_64"]
OWN_LIBTORCH = "or set LIBTORCH to a libtorch 2.11 of your own, or LIBTORCH_USE_PYTORCH=1 to use an installed PyTorch"


def say(message):
    print(f"libtorch: {message}", file=sys.stderr, flush=True)


def fail(message, remedy):
    say(f"error: {message}\n  remedy: {remedy}")
    raise SystemExit(1)


def mebibytes(size):
    return f"{size / 2**20:.0f} MiB"


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def recipe():
    """What the stamp must hold for an earlier provision to be this one."""
    return "\n".join(f"{name}=={version} sha256:{digest}" for name, version, _, _, digest, _ in WHEELS) + "\n"


def check_machine():
    """Names everything that is missing before anything is downloaded."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        fail(
            f"prebuilt libraries are pinned for Linux on x86_64, this is {platform.system()} on {platform.machine()}",
            OWN_LIBTORCH,
        )
    if not any(shutil.which(compiler) for compiler in ("c++", "g++", "clang++")):
        fail("no C++ compiler found (looked for c++, g++, clang++)", "apt-get install g++, then run the command again")
    pip = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, text=True)
    if pip.returncode != 0:
        fail(f"pip is missing for {sys.executable}", f"apt-get install python3-pip, then run the command again, {OWN_LIBTORCH}")
    # The torch wheel as downloaded, plus what is unpacked from it beside it.
    needed = 1_200_000_000
    free = shutil.disk_usage(ROOT).free
    if free < needed:
        fail(f"{mebibytes(free)} of disk are free here, set-up needs {mebibytes(needed)}", "free some room and run the command again")


def download(name, version, file, size, digest):
    path = DOWNLOADS / file
    if path.exists():
        if sha256(path) == digest:
            say(f"{name} {version}: already downloaded, hash right")
            return path
        say(f"{name} {version}: the file from an earlier run is damaged, downloading it again")
        path.unlink()
    say(f"{name} {version}: downloading {mebibytes(size)}")
    with tempfile.TemporaryDirectory(dir=DOWNLOADS) as folder:
        requirement = pathlib.Path(folder) / "requirement.txt"
        requirement.write_text(f"{name}=={version} --hash=sha256:{digest}\n")
        # Fixed Python and platform tags: every machine gets the very same file,
        # whatever its own Python is.
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary=:all:"]
        command += ["--implementation", "cp", "--python-version", "3.11", "--abi", "cp311", "--abi", "none"]
        for tag in PLATFORMS:
            command += ["--platform", tag]
        command += ["--progress-bar", "on" if sys.stderr.isatty() else "off", "--disable-pip-version-check"]
        command += ["--quiet"] if not sys.stderr.isatty() else []
        command += ["--dest", folder, "--requirement", str(requirement)]
        if subprocess.run(command, stdout=sys.stderr).returncode != 0:
            fail(
                f"pip could not download {name}=={version} (its message stands above)",
                f"check the network and run the command again; finished downloads are kept; {OWN_LIBTORCH}",
            )
        found = pathlib.Path(folder) / file
        if not found.exists() or sha256(found) != digest:
            fail(f"the file downloaded for {name}=={version} does not have the pinned hash", "run the command again")
        os.replace(found, path)
    return path


def unpack(path, members):
    """Writes each member beside its place and renames it, so a kill leaves no half library.

    What stands there already is written again: it may be of another version or damaged, and to hash it takes as long.
    The stamp, which holds the digests of the wheels and is written last, says that all of it is there."""
    with zipfile.ZipFile(path) as wheel:
        for entry in wheel.infolist():
            for source, destination in members.items():
                if entry.is_dir() or not (entry.filename == source or (source.endswith("/") and entry.filename.startswith(source))):
                    continue
                place = TARGET / (destination + entry.filename[len(source):])
                place.parent.mkdir(parents=True, exist_ok=True)
                partial = place.with_name(place.name + ".partial")
                with wheel.open(entry) as stream, open(partial, "wb") as file:
                    shutil.copyfileobj(stream, file, 1 << 20)
                os.replace(partial, place)


def build_shim():
    """An empty libtorch.so: the linker asks for it, the code lives in libtorch_cpu.so."""
    compiler = next(found for found in map(shutil.which, ("c++", "g++", "clang++")) if found)
    place = TARGET / "lib" / "libtorch.so"
    partial = place.with_name("libtorch.so.partial")
    command = [compiler, "-shared", "-fPIC", "-Wl,-soname,libtorch.so", "-x", "c++", "-", "-o", str(partial)]
    done = subprocess.run(command, input="", text=True, capture_output=True)
    if done.returncode != 0:
        fail(f"{compiler} could not build an empty shared library: {done.stderr.strip()}", "apt-get install g++")
    os.replace(partial, place)


def main():
    for variable in ("LIBTORCH", "LIBTORCH_USE_PYTORCH"):
        # .cargo/config.toml sets LIBTORCH for cargo itself; only the user's own setting counts here.
        if os.environ.get(variable):
            say(f"{variable}={os.environ[variable]} is set and wins; nothing to provision")
            return
    if STAMP.exists() and STAMP.read_text() == recipe():
        return
    total = sum(size for _, _, _, size, _, _ in WHEELS)
    say(f"setting up libtorch 2.11.0 (CPU) in .libtorch/: downloads {mebibytes(total)}, keeps 510 MiB")
    check_machine()
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    paths = [(download(name, version, file, size, digest), members) for name, version, file, size, digest, members in WHEELS]
    # From here on it is no longer true of what is there, should this be another version.
    STAMP.unlink(missing_ok=True)
    for path, members in paths:
        say(f"unpacking {path.name}")
        unpack(path, members)
    build_shim()
    # Else a power failure could leave the stamp and lose what it stands for.
    os.sync()
    partial = STAMP.with_name("complete.partial")
    partial.write_text(recipe())
    os.replace(partial, STAMP)
    shutil.rmtree(DOWNLOADS)
    say("done")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        say("interrupted; run the same command again to go on, finished downloads are kept")
        raise SystemExit(130)
    except OSError as error:
        fail(str(error), "check the folder's permissions and free space, then run the command again")
