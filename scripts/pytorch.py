#!/usr/bin/env python3
"""Makes a virtual environment with PyTorch 2.11.0 on the CPU, for the benchmarks; prints its Python.

The wheel that pip has by this name is the one for CUDA. Its Python layer links libraries of 2 GB that a CPU never
calls; small stubs take their places, so that only what runs is downloaded and kept. What runs is PyTorch's own.
"""

import pathlib
import re
import shutil
import subprocess
import sys

from environment import ROOT, environment, fail, say

REQUIREMENTS = ROOT / "benches" / "requirements.txt"
PYTHONS = ((3, 10), (3, 13))
# Of the wheel: what is replaced by a stub or only serves CUDA.
CUDA = ("libtorch_cuda.so", "libtorch_cuda_linalg.so", "libtorch_nvshmem.so", "libcaffe2_nvrtc.so", "libtorch.so")
EMPTY = ("libtorch.so", "libcudnn.so.9", "libcufile.so.0")


def symbols(library, which):
    """Names of a library's dynamic symbols, with their kinds."""
    command = ["nm", "-D", "--format=posix", which, str(library)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[0].split("@")[0]: line.split()[1] for line in lines}


def stub_source(libraries):
    """C code that defines what PyTorch's Python layer asks of the CUDA libraries: nothing that a CPU calls."""
    python = libraries / "libtorch_python.so"
    wanted = {name for name, kind in symbols(python, "--undefined-only").items() if kind == "U"}
    found = subprocess.run(["ldd", str(python)], capture_output=True, text=True, check=True).stdout
    for library in map(pathlib.Path, set(re.findall(r"=> (/\S+) \(", found))):
        if library.name not in CUDA + EMPTY:
            wanted -= symbols(library, "--defined-only").keys()
    lines = ["static char zeros[4096];", 'extern char kind[] __asm__("_ZTVN10__cxxabiv117__class_type_infoE");']
    for number, name in enumerate(sorted(name for name in wanted if not name.startswith(("Py", "_Py")))):
        place = f'__asm__("{name}")'
        if name.startswith("_ZTI"):  # type information: its kind and its name, which is compared
            lines.append(f'struct {{ char *kind; char *name; }} s{number} {place} = {{ kind + 16, "{name[4:]}" }};')
        elif name.startswith("_ZTV"):
            lines.append(f"char s{number}[512] {place};")
        else:
            lines.append(f"void *s{number}(void) {place};\nvoid *s{number}(void) {{ return zeros; }}")
    return "\n".join(lines) + "\n"


def build(compiler, place, source):
    command = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{place.name},--no-as-needed", "-x", "c", "-", "-o", str(place)]
    done = subprocess.run([*command, "-lstdc++"], input=source, text=True, capture_output=True)
    if done.returncode != 0:
        fail(f"{compiler} could not build {place.name}: {done.stderr.strip()}", "apt-get install gcc g++ binutils")


def main():
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        fail("PyTorch 2.11 is pinned for Python 3.10 to 3.13", "run this with one of them")
    if not shutil.which("nm") or not shutil.which("gcc"):
        fail("a C compiler and nm are missing", "apt-get install gcc g++ binutils")
    python = environment(REQUIREMENTS)
    libraries = next(python.parent.parent.glob("lib/python*/site-packages/torch/lib"))
    stamp = libraries / "cpu-only"
    if not stamp.exists():
        say("replacing CUDA libraries by stubs")
        for name in CUDA:
            (libraries / name).unlink(missing_ok=True)
        for name in EMPTY:
            build("gcc", libraries / name, "")
        build("gcc", libraries / "libtorch_cuda.so", stub_source(libraries))
        check = "import torch; assert (torch.ones(2, 2) @ torch.ones(2, 2)).sum() == 8"
        if subprocess.run([str(python), "-W", "ignore", "-c", check]).returncode != 0:
            fail("PyTorch does not load (its message stands above)", "remove target/python and run it again")
        stamp.touch()
    print(python)


if __name__ == "__main__":
    main()
