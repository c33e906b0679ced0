"""Measured winners on disk: one JSON file that every process reads and extends.

Unlike compiled code it cannot be made anew for nothing, may be carried to other machines and belongs to no version of
the sources. So it is never overwritten unread: writers take turns, and a file that is not understood is kept.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import math
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from fastconv.codegen import cache

FORMAT, VERSION = "fastconv tuning", 1
PATIENCE = 5.0  # seconds to wait for another writer, who needs milliseconds
_DATE = "%Y-%m-%dT%H:%M:%S.%fZ"  # in this form the text sorts as the time does
_said: set[str] = set()


@dataclass(frozen=True)
class Winner:
    """One measurement: the algorithm that won, and the seconds that each candidate took."""

    winner: str
    auto: str  # what "auto" chose then
    candidates: dict[str, float]
    date: str
    fastconv: str

    def __post_init__(self):
        if not all(isinstance(text, str) for text in (self.winner, self.auto, self.date, self.fastconv)):
            raise ValueError("names, date and version must be texts")
        if datetime.strptime(self.date, _DATE).strftime(_DATE) != self.date:
            raise ValueError(f"date must be written as {now()}, not {self.date}")
        for name, seconds in self.candidates.items():
            if type(seconds) not in (int, float) or not 0 < seconds < math.inf:
                raise ValueError(f"the time of {name} must be positive, not {seconds!r}")
        if not {self.winner, self.auto} <= set(self.candidates):
            raise ValueError(f"{self.winner} or {self.auto} has no time")

    @property
    def seconds(self) -> float:
        """What the winner took."""
        return self.candidates[self.winner]


Winners = dict[str, Winner]  # by what they were measured on


class NewerVersion(ValueError):
    """The file was written by a later version."""


class Corrupt(ValueError):
    """The file is no tuning file, or only a part of one."""


def now() -> str:
    """The date of a measurement made now."""
    return datetime.now(timezone.utc).strftime(_DATE)


def merge(a: Winners, b: Winners) -> Winners:
    """Both, and the newer where they have the same key."""
    merged = dict(a)
    for key, winner in b.items():
        merged[key] = max(merged.get(key, winner), winner, key=_age)
    return merged


def _age(winner: Winner) -> tuple[str, str]:
    """Sorts by date; of one date it is still decided which is kept, whatever is merged with what."""
    return winner.date, json.dumps(asdict(winner), sort_keys=True)


def dump(winners: Winners) -> bytes:
    """The file's content."""
    entries = {key: asdict(winner) for key, winner in sorted(winners.items())}
    return (json.dumps({"format": FORMAT, "version": VERSION, "winners": entries}, indent=1) + "\n").encode()


def parse(content: bytes) -> Winners:
    """The winners in a file's content; an empty file has none."""
    if not content.strip():
        return {}
    try:
        data = json.loads(content)
        known, version, entries = data["format"] == FORMAT, data["version"], data.get("winners")
        if not known or type(version) is not int or version < 1:
            raise ValueError(f"not a {FORMAT} file")
        if version <= VERSION:
            return {key: Winner(**entry) for key, entry in entries.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as wrong:
        raise Corrupt(f"{type(wrong).__name__}: {wrong}") from wrong
    raise NewerVersion(f"version {version}, and this fastconv reads version {VERSION}")


def path() -> Path | None:
    """Where winners are kept: FASTCONV_TUNING_FILE, else beside the folders of compiled code; None: nowhere."""
    given = os.environ.get("FASTCONV_TUNING_FILE")
    if given:
        return _absolute(given)
    folder = cache.folder()  # it has said so, if there is none
    return None if folder is None else folder.parent / "tuning.json"


@functools.cache
def _absolute(given: str) -> Path:
    """A file as it was first named, whatever the working directory becomes."""
    return Path(given).absolute()


def state() -> object:
    """Changes whenever the file does."""
    where = path()
    try:
        status = None if where is None else where.stat()
    except OSError:
        status = None
    return where, status and (status.st_ino, status.st_size, status.st_mtime_ns)


def read() -> Winners:
    """What the file holds; nothing if it cannot be read or is a later version's."""
    where = path()
    try:
        return {} if where is None else parse(where.read_bytes())
    except NewerVersion as newer:
        _say(f"{where} is left alone: {newer}")
    except (OSError, Corrupt):  # whoever writes next has the lock and will see to it
        pass
    return {}


def keep(key: str, winner: Winner) -> None:
    """Add a winner to the file, or say once why that cannot be."""
    where = path()
    if where is None:
        return
    try:
        update(where, lambda found: {**found, key: winner})
    except NewerVersion as newer:
        _say(f"{where} is left alone: {newer}")
    except OSError as failure:
        _say(f"cannot keep measured winners in {where} ({failure}); they last as long as this process. "
             "Set FASTCONV_TUNING_FILE to a writable file.")  # fmt: skip


def update(where: Path, change: Callable[[Winners], Winners]) -> Winners:
    """Read, change and replace the file while nobody else does; returns what it then holds."""
    where = Path(os.path.realpath(where))
    if where.exists() and not (where.is_file() and os.access(where, os.W_OK)):
        raise PermissionError("not a writable file")
    where.parent.mkdir(parents=True, exist_ok=True)
    with _locked(f"{where}.lock"):
        try:
            found = parse(where.read_bytes()) if where.exists() else {}
        except Corrupt as wrong:
            aside = next(p for i in itertools.count(1) if not (p := Path(f"{where}.corrupt{i}")).exists())
            os.replace(where, aside)
            found = {}
            _say(f"{where} was damaged ({wrong}); it is now {aside.name} and a new one is begun")
        changed = change(found)
        new = Path(f"{where}.new")
        try:
            new.write_bytes(dump(changed))
            if where.exists():
                shutil.copymode(where, new)
            os.replace(new, where)
        except OSError:
            new.unlink(missing_ok=True)
            raise
    return changed


def _say(text: str) -> None:
    """Warn, once a process."""
    if text not in _said:
        _said.add(text)
        warnings.warn(text, RuntimeWarning, stacklevel=2)


@contextlib.contextmanager
def _locked(name: str) -> Iterator[None]:
    """Hold a lock between processes, which ends with its holder whatever happens to it."""
    file = os.open(name, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        until = time.monotonic() + PATIENCE
        while not _lock(file):
            if time.monotonic() > until:
                raise TimeoutError(f"another process has held {name} for {PATIENCE:.0f} s")
            time.sleep(0.005)
        try:
            yield
        finally:
            _unlock(file)  # closing alone would not do: a child that was forked meanwhile has the file too
    finally:
        os.close(file)


if os.name == "nt":
    import msvcrt

    def _lock(file: int) -> bool:
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _unlock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
