"""Messages, files and standard streams: errors come with their remedy, and a file is written beside its place, then renamed."""

import argparse
import contextlib
import errno
import hashlib
import io
import os
import pathlib
import re
import signal
import stat
import sys
import unicodedata
from typing import IO, Callable, Iterator, Optional, Type, Union

PathLike = Union[str, "os.PathLike[str]"]


class Failure(Exception):
    """Ends the program with a message."""


class Interrupted(Failure):
    """Ctrl-C or SIGTERM while a file was written."""


class BadInput(Failure):
    """The same, for what a user has to mend."""


def is_hidden(letter: str) -> bool:
    """Whether a character does something other than being seen: it controls, has no width, or turns the direction."""
    steers = "\u200b" <= letter <= "\u200f" or "\u202a" <= letter <= "\u202e" or "\u2060" <= letter <= "\u2069"
    return letter not in "\n\t" and (unicodedata.category(letter) == "Cc" or steers or letter == "\ufeff")


def printable(text: str) -> str:
    """A text with what would steer a terminal escaped; bytes of a file's name that are not UTF-8 are replaced."""
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    escaped = {"\r": "\\r"}
    return "".join(escaped.get(c, f"\\u{{{ord(c):x}}}") if is_hidden(c) else c for c in text)


def say(message: object) -> None:
    """A line of message in UTF-8; one that nobody reads any more is no reason to end."""
    with contextlib.suppress(OSError):
        if sys.stderr is not None:
            sys.stderr.buffer.write(f"{printable(str(message))}\n".encode())
            sys.stderr.buffer.flush()


def standard_output() -> IO[bytes]:
    """Where data goes."""
    if sys.stdout is None:
        raise Failure("cannot write to standard output: it is closed; leave it open, or send it to /dev/null")
    return sys.stdout.buffer


def standard_input() -> IO[bytes]:
    """Where data comes from; nothing where it is closed."""
    return io.BytesIO() if sys.stdin is None else sys.stdin.buffer


class Parser(argparse.ArgumentParser):
    """Arguments, whose help is a failure where it can't be written; argparse's own says nothing then."""

    def _print_message(self, message: str, file: Optional[IO[str]] = None) -> None:
        if file is not None and file is sys.stderr:
            super()._print_message(message, file)
        elif message:
            standard_output().write(message.encode())
            standard_output().flush()


def ended(run: Callable[[], int]) -> int:
    """The exit code of a program, whose failures are said."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the same end as Ctrl-C
    try:
        try:
            return run()
        except SystemExit as end:  # argparse, after its help or its error
            return end.code if isinstance(end.code, int) else 1
    except BrokenPipeError:  # a reader that has seen enough, such as `head`, is no failure
        leave_standard_output()
        return 0
    except OSError as error:
        leave_standard_output()
        say(f"error: {file_error('write to', 'standard output', error)}")
        return 1
    except Interrupted as error:
        say(error)
        return 130
    except Failure as error:
        say(f"error: {error}")
        return 2 if isinstance(error, BadInput) else 1
    except KeyboardInterrupt:
        say("interrupted")
        return 130


def leave_standard_output() -> None:
    """What could not be written is not tried again at the end of the program."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


REMEDIES = {
    errno.ENOENT: "; check the path",
    errno.EACCES: "; check its permissions or choose another place",
    errno.EPERM: "; check its permissions or choose another place",
    errno.ENOSPC: "; free some room and run the same command again",
    errno.EROFS: "; choose a place that can be written to",
}


def file_error(action: str, path: PathLike, error: OSError) -> Failure:
    """What the system said of a file, and what to do."""
    if error.errno == errno.EISDIR:
        return Failure(f"cannot {action} {path}: it is a folder, name a file")
    said = f"{error.strerror} (os error {error.errno})" if error.errno else str(error)
    return Failure(f"cannot {action} {path}: {said}{REMEDIES.get(error.errno or 0, '')}")


@contextlib.contextmanager
def reading(path: PathLike, missing: Type[Failure] = Failure) -> Iterator[IO[bytes]]:
    """A file to read bytes from; `missing` is raised where it can't be opened."""
    try:
        file = open(path, "rb")
    except OSError as error:
        raise missing(str(file_error("read", path, error))) from None
    with file:
        try:
            yield file
        except OSError as error:
            raise file_error("read", path, error) from None


def read_text(path: PathLike) -> str:
    """A whole file as text."""
    with reading(path) as file:
        try:
            return file.read().decode()
        except UnicodeDecodeError:
            raise Failure(f"cannot read {path}: it is not text, name another file") from None


SUMS = "SHA256SUMS"


def unlisted(path: pathlib.Path) -> Failure:
    """What is said of a file that lacks a checksum."""
    names = {path.name}
    if not path.with_name(SUMS).exists():  # with one, others are asked for
        names |= {file.name for kind in ("toml", "csv", "safetensors") for file in path.parent.glob(f"*.{kind}")}
    remedy = f"if you trust it, run in its folder: sha256sum {' '.join(sorted(names))} >> {SUMS}"
    return Failure(f"{path} has no checksum in {SUMS} beside it, so damage could not be noticed; {remedy}")


def vouched(path: PathLike, data: bytes, demanded: bool = False) -> bool:
    """Whether the checksum beside a file vouches for what was read from it; where the folder has checksums, one may be
    demanded."""
    path = pathlib.Path(path)
    sums = path.with_name(SUMS)
    digest: Optional[str] = None
    for number, line in enumerate(read_text(sums).splitlines() if sums.exists() else [], 1):
        found = re.match(r"([0-9a-fA-F]{64}) [ *]?(.*)$", line)
        if not found:
            remedy = "restore the file from a copy, or make it again with sha256sum"
            raise Failure(f"{sums}:{number}: no line of sha256sum; {remedy}")
        digest = found.group(1).lower() if found.group(2) == path.name else digest
    if digest not in (None, hashlib.sha256(data).hexdigest()):
        remedy = "restore it from a copy, or remove its folder and run the trial again"
        raise Failure(f"{path} is damaged or was edited: it does not match its checksum in {SUMS}; {remedy}")
    if digest is None and demanded and sums.exists():
        raise unlisted(path)
    return digest is not None


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[IO[bytes]]:
    """A file to write bytes to; it takes its place when all is written, and where that fails, what stood there stays."""
    path = pathlib.Path(path)
    place = pathlib.Path(os.path.realpath(path))  # a link's file is replaced, not the link
    partial = place.parent / f".{place.name}.{os.getpid()}.partial"
    try:
        if path.is_dir():
            raise OSError(errno.EISDIR, "")
        if path.exists() and not path.is_file():  # a pipe or a device has nothing to keep, and must not be replaced
            with open(path, "wb") as file:
                yield file
            return
        mode = stat.S_IMODE(place.stat().st_mode) if place.exists() else 0o666
        with open(partial, "xb", opener=lambda name, flags: os.open(name, flags, mode | 0o600)) as file:
            yield file
            file.flush()
            if place.exists():  # a file keeps its permissions
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(partial, place)
    except OSError as error:
        raise file_error("write", path, error) from None
    except KeyboardInterrupt:
        if partial.exists():
            raise Interrupted(f"interrupted; {path} was not written, its partial file is removed") from None
        raise
    finally:
        with contextlib.suppress(OSError):
            os.unlink(partial)
