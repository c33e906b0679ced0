"""Where compiled code lives between processes: one file a kernel, in a folder named after everything it depends on.

Numba's own cache does not see changes in other files of a package (a constant imported from elsewhere, an emitter),
keeps an index that two processes can tear apart, and raises where nothing is writable. Here the folder's name is a
hash of the package's sources, the versions and the CPU, a kernel is one file written in one rename, and every
failure means "not cached".
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import platform
import shutil
import stat
import sys
import tempfile
import warnings
from pathlib import Path

DIGEST = 32  # bytes before the pickle in a file: its SHA-256
KEPT_FOLDERS = 8  # folders of other versions or CPUs that stay beside the current one


@functools.cache
def fingerprint() -> str:
    """A hash of everything that compiled code depends on."""
    import llvmlite
    import llvmlite.binding as llvm
    import numba
    import numpy

    digest = hashlib.sha256()
    package = Path(__file__).resolve().parents[1]
    for source in sorted(package.rglob("*.py")):
        digest.update(source.relative_to(package).as_posix().encode() + b"\0")
        digest.update(source.read_bytes() + b"\0")
    features = llvm.get_host_cpu_features().flatten()
    versions = (numba.__version__, llvmlite.__version__, numpy.__version__, sys.version, platform.platform())
    overrides = tuple(os.environ.get(f"NUMBA_{name}", "") for name in ("CPU_NAME", "CPU_FEATURES", "OPT"))
    digest.update(repr((versions, llvm.get_host_cpu_name(), features, overrides)).encode())
    return digest.hexdigest()[:24]


def _given() -> Path | None:
    """The folder that the user chose, wherever the process may go later."""
    text = os.environ.get("FASTCONV_CACHE_DIR")
    return Path(text).absolute() if text else None


def _candidates():
    """Folders to try, best first; the last may be shared with other users and must prove to be ours."""
    if given := _given():
        yield given, False
    with contextlib.suppress(RuntimeError):
        home = Path.home()
        if sys.platform == "darwin":
            yield home / "Library" / "Caches" / "fastconv", False
        elif sys.platform == "win32":
            yield (
                Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")) / "fastconv" / "Cache",
                False,
            )
        else:
            yield Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "fastconv", False
    user = os.getuid() if hasattr(os, "getuid") else "user"
    yield Path(tempfile.gettempdir()) / f"fastconv-{user}", True


def _usable(folder: Path, shared: bool) -> bool:
    """Whether we may write there; in a shared place, only into a folder that nobody else can."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if shared and hasattr(os, "getuid"):
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
                return False
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@functools.cache
def folder() -> Path | None:
    """The folder for this version of everything, or None if compiled code cannot be kept."""
    given = _given()
    for base, shared in _candidates():
        if not _usable(base, shared):
            if base == given:
                warnings.warn(f"FASTCONV_CACHE_DIR: cannot write to {str(given)!r}; compiled code goes elsewhere",
                              RuntimeWarning, stacklevel=2)  # fmt: skip
            continue
        mine = base / fingerprint()
        if _usable(mine, shared):
            _prune(base, mine)
            return mine
    if not given:
        warnings.warn("fastconv found no folder to keep compiled code in; every process compiles anew. "
                      "Set FASTCONV_CACHE_DIR to a writable folder.", RuntimeWarning, stacklevel=2)  # fmt: skip
    return None


def _prune(base: Path, mine: Path) -> None:
    """Keep the most recently used folders of other versions; drop the rest."""
    with contextlib.suppress(OSError):
        os.utime(mine)
        others = [p for p in base.iterdir() if p.is_dir() and p != mine and len(p.name) == len(mine.name)]
        others.sort(key=lambda p: p.stat().st_mtime, reverse=True)
        for old in others[KEPT_FOLDERS:]:
            shutil.rmtree(old, ignore_errors=True)


def load(name: str) -> object | None:
    """What `store` kept under `name`, or None."""
    where = folder()
    if where is None:
        return None
    try:
        content = (where / f"{name}.bin").read_bytes()
        digest, payload = content[:DIGEST], content[DIGEST:]
        if digest == hashlib.sha256(payload).digest():  # a single wrong bit in machine code ends the process
            return pickle.loads(payload)
    except Exception:  # missing or foreign: all mean "compile it"
        pass
    return None


def store(name: str, payload: bytes) -> None:
    """Keep a pickle under `name`, in one rename, so that no reader ever sees half of it."""
    where = folder()
    if where is None:
        return
    with contextlib.suppress(OSError):
        handle, temporary = tempfile.mkstemp(dir=where, prefix=name[:40])
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(payload).digest() + payload)
            os.replace(temporary, where / f"{name}.bin")
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
