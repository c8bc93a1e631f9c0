"""Processes that are measured: servers that answer commands, commands from start to end, and the cores for both."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from results import ROOT

CORES = 2


def environment(threads):
    return {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}


def say(message):
    print(f"bench: {message}", file=sys.stderr, flush=True)


class Ended(SystemExit):
    """A server that ended before it answered."""


class Server:
    """A process that answers commands with a line of JSON each."""

    def __init__(self, command):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([str(word) for word in command], cwd=ROOT, env=environment(1), **pipes)

    def ask(self, *words):
        try:
            self.process.stdin.write(" ".join(map(str, words)) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise Ended(f"bench: {words[0]} failed; its message stands above")
        return json.loads(answer)

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # It ended by itself.
        self.process.wait()


def run(*command, watch=None, threads=1):
    """Seconds and peak memory in MiB of a command from its start to its end; `watch` is called while it runs."""
    words = [str(word) for word in command]
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(words, cwd=ROOT, env=environment(threads), stdout=errors, stderr=errors)
        while watch:
            done, status, usage = os.wait4(process.pid, os.WNOHANG)
            watch(time.perf_counter() - started)
            if done:
                break
            time.sleep(0.02)
        else:
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            raise SystemExit(f"bench: {' '.join(words)} ended with {process.returncode}: {errors.read().decode()}")
    return seconds, usage.ru_maxrss / 1024


def hold():
    """Holds this process and those it starts to two cores, of two physical ones where there are; their number."""
    allowed, physical = sorted(os.sched_getaffinity(0)), {}
    for core in allowed:
        siblings = pathlib.Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
        physical.setdefault(siblings.read_text() if siblings.exists() else core, core)
    chosen = list(physical.values()) if len(physical) >= CORES else allowed
    os.sched_setaffinity(0, chosen[:CORES])
    return len(chosen[:CORES])
