"""The suites of asv and pytest-benchmark: their parameters, whose harness they use, one run of each kind."""

import importlib
import json
import os
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(not (ROOT / "benchmarks").exists(), reason="an installation without benchmarks")


@pytest.fixture(scope="module")
def suites():
    """Every suite's class."""
    sys.path.insert(0, str(ROOT))
    try:
        package = importlib.import_module("benchmarks")
        modules = [importlib.import_module(f"benchmarks.{m.name}") for m in pkgutil.iter_modules(package.__path__)]
    finally:
        sys.path.remove(str(ROOT))
    found = {f"{module.__name__}.{name}": value for module in modules for name, value in vars(module).items()
             if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
             and isinstance(value, type)}  # fmt: skip
    assert {"benchmarks.layers.Forward", "benchmarks.kernels.Kernel", "benchmarks.overhead.Call"} <= set(found)
    return found


def test_suites_have_a_fixed_version(suites):
    assert all(suite.version == "1" for suite in suites.values())


def test_labels_are_those_of_the_networks(suites):
    from benchmarks.common import LAYERS

    for name, suite in suites.items():
        for kind, values in zip(getattr(suite, "param_names", ()), getattr(suite, "params", ()), strict=True):
            assert len(set(values)) == len(values) > 0, name
            if kind == "layer":
                assert set(values) <= set(LAYERS), name


def test_timings_have_a_share_beside_them(suites):
    for name, suite in suites.items():
        if name.split(".")[1] in ("layers", "algorithms"):
            assert hasattr(suite, "time_call") and "limit" in suite.track_call_vs_peak.unit


def test_a_suite_runs(suites):
    suite = suites["benchmarks.layers.Forward"]()
    params = "c0006_k0016_014x014_5x5_s1", "channels_last"
    suite.setup(*params)
    suite.time_call(*params)
    assert suite.track_call_vs_peak(*params) > 0
    algorithms = suites["benchmarks.algorithms.Forward"]()
    algorithms.setup(params[0], "im2col")
    with pytest.raises(NotImplementedError):
        algorithms.setup(params[0], "pointwise")
    with pytest.raises(NotImplementedError):
        algorithms.setup(params[0], "no such thing")


def test_the_harness_is_of_the_checkout(tmp_path):
    """An older library has other tables and no harness: the suites bring theirs."""
    shutil.copytree(ROOT / "fastconv", tmp_path / "fastconv", ignore=shutil.ignore_patterns("bench", "__pycache__"))
    (tmp_path / "fastconv/networks.py").write_text("raise ImportError('an old table')\n")
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('benchmarks', {str(ROOT / 'benchmarks/__init__.py')!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules['benchmarks'] = module\n"
        "spec.loader.exec_module(module)\n"
        "import benchmarks.layers, fastconv, fastconv.bench.passes as passes\n"
        "print(fastconv.__file__); print(fastconv.networks.__file__); print(passes.__file__)\n"
        "suite = benchmarks.layers.Forward(); suite.setup('c0006_k0016_014x014_5x5_s1', 'channels_first')\n"
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "FASTCONV_CACHE_DIR": str(tmp_path / "cache")}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    library, tables, harness = map(Path, run.stdout.split())
    assert library.is_relative_to(tmp_path)
    assert tables.is_relative_to(ROOT) and harness.is_relative_to(ROOT)


def test_peers(tmp_path):
    """pytest-benchmark's JSON holds the noted runs, and the comparison reads it."""
    pytest.importorskip("pytest_benchmark")
    from fastconv.bench import comparison

    file = tmp_path / "run.json"
    command = [sys.executable, "-m", "pytest", "benchmarks/peers", "--network", "lenet5", "--against=", "--threads=1",
               "--budget=0.001", f"--benchmark-json={file}", "-p", "no:cacheprovider"]  # fmt: skip
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}  # it is no worker
    env = {**ours, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "| all (5) |" in run.stdout
    data = json.loads(file.read_text())
    run_of, found = comparison.load(str(file)), data["benchmarks"]
    assert len(found) == 2 * 3 + 2 and len(run_of["rows"]) == 5, "pools hold no weights"
    held = {b["group"]: b["stats"]["min"] for b in found if b["params"]["library"] == "layer"}
    assert held == pytest.approx({row["layer"]: row["layer_s"] for row in run_of["rows"] if row["layer_s"]}, rel=1e-6)
    assert all("layer=" in b["name"] and "library=fastconv" in b["name"] for b in found)
    assert set(data["machine_info"]) == set(run_of["machine"]), "and no name of a host"
