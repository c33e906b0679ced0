"""The performance history, for `asv run`; CONTRIBUTING.md says how.

asv installs one commit of the library after another and runs these suites, of this checkout, on each. So must do the
tables of layers and the timing loop, or figures of two commits could not be compared: `trunk`, `networks` and `bench`
are taken from this checkout, the rest of the package is the commit's. What a commit cannot do raises
NotImplementedError in setup.

Parameters are only ever appended, and none depends on the version, so that a figure keeps its past.
"""

import importlib.util
import sys
from pathlib import Path

import fastconv

HERE = Path(__file__).resolve().parent.parent / "fastconv"


def _adopt(name, path, **more):
    """Import this checkout's file under the name of the library's module."""
    spec = importlib.util.spec_from_file_location(f"fastconv.{name}", path, **more)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    setattr(fastconv, name, module)


if Path(fastconv.__file__).resolve().parent != HERE:
    _adopt("trunk", HERE / "trunk.py")
    _adopt("networks", HERE / "networks.py")
    _adopt("bench", HERE / "bench/__init__.py", submodule_search_locations=[str(HERE / "bench")])
