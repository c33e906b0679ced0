"""Threads: many at once under every layer, forks, pools, contexts, and nobody else's settings touched."""

import math
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from forks import forks

import fastconv as fc
from fastconv import threads
from fastconv.call import Calls
from fastconv.codegen.emit import peek, poke
from fastconv.codegen.jit import native
from fastconv.job import Job

ROOT = Path(fc.__file__).parent.parent
LAYERS = ["omp", "workqueue"]
SETUP = """
import os, threading
import numpy as np
import fastconv as fc
x = np.random.default_rng(0).normal(size=(2, 32, 40, 40)).astype(np.float32)
w = np.random.default_rng(1).normal(size=(64, 32, 3, 3)).astype(np.float32)
def run(): return fc.conv2d(x, w, padding=1)
with fc.num_threads(1): expected = run()
def check(): assert np.array_equal(run(), expected)
"""


def python(code, layer, **env):
    """Run code after SETUP in a fresh interpreter with a threading layer; skip if the layer is not there."""
    full = {**os.environ, "NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2", "FASTCONV_NUM_THREADS": "2",
            "PYTHONPATH": str(ROOT), **env}  # fmt: skip
    probe = "import numba; from numba.np.ufunc import omppool" if layer == "omp" else ""
    if probe and subprocess.run([sys.executable, "-c", probe], capture_output=True).returncode:
        pytest.skip("no OpenMP layer here")
    result = subprocess.run([sys.executable, "-c", SETUP + textwrap.dedent(code)], env=full, text=True,
                            capture_output=True, timeout=200)  # fmt: skip
    assert result.returncode == 0, f"{result.returncode} {result.stderr}"
    return result.stdout


@pytest.mark.parametrize("layer", LAYERS)
def test_the_layer_is_used(layer):
    out = python("check(); from fastconv import threads; print(threads.layer())", layer)
    assert out.strip() == layer


@pytest.mark.parametrize("layer", LAYERS)
def test_sixteen_python_threads(layer):
    python(
        """
        errors = []
        def work():
            try:
                for _ in range(25): check()
            except BaseException as e: errors.append(e)
        pool = [threading.Thread(target=work) for _ in range(16)]
        [t.start() for t in pool]; [t.join() for t in pool]
        assert not errors, errors
        """,
        layer,
    )


@native("count_task", 4)
def count_task(plan, call, scratch, task):
    """How often each task has run."""
    poke(plan, task, peek(plan, task) + 1)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_task_runs_once(count):
    """Also where there are fewer tasks than workers, or shares are unlike."""
    for tasks in (*range(1, 10), 63, 64, 1000):
        seen = np.zeros(tasks, np.int64)
        with fc.num_threads(count):
            for _ in range(5):
                threads.run(Job(count_task.address, seen, tasks, 0, 10**9))
        assert (seen == 5).all()


def test_prepared_calls_are_remembered_from_many_threads():
    calls, errors, interval = Calls(4), [], sys.getswitchinterval()

    def work(thread):
        try:
            for i in range(20_000):
                calls.keep((thread, i), i)
        except BaseException as error:
            errors.append(error)

    pool = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    sys.setswitchinterval(1e-6)
    try:
        [thread.start() for thread in pool]
        [thread.join() for thread in pool]
    finally:
        sys.setswitchinterval(interval)
    assert not errors and len(calls) == 4


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("before", ["check()", "pass"], ids=["used_before", "fresh"])
def test_fork(layer, before):
    python(forks("check()", before), layer)


@pytest.mark.parametrize("layer", LAYERS)
def test_fork_while_others_import_compile_and_compute(layer, tmp_path):
    code = """
        import random, time, warnings; warnings.simplefilter("ignore")
        stop = threading.Event()
        def work(seed):
            rng, count = random.Random(seed), 0
            while not stop.is_set():
                k, r = rng.randrange(1, 100), rng.randrange(1, 6)
                fc.conv2d(x, np.ones((k, 32, r, r), np.float32))
        workers = [threading.Thread(target=work, args=(i,)) for i in range(2)]
        [t.start() for t in workers]
        for i in range(8):
            pid = os.fork()
            if pid == 0:
                try:
                    fc.conv2d(x, np.ones((3 + i, 32, 1, 1), np.float32))
                    check()
                    os._exit(0)
                except BaseException:
                    os._exit(1)
            for _ in range(1000):
                done, status = os.waitpid(pid, os.WNOHANG)
                if done: break
                time.sleep(0.1)
            else:
                os.kill(pid, 9)
                stop.set()
                raise SystemExit("the child hangs")
            assert status == 0, status
        stop.set()
        [t.join() for t in workers]
        """
    python(code, layer, FASTCONV_CACHE_DIR=str(tmp_path))


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_pools(layer, method, tmp_path):
    """The pool's functions live in a module, as spawned children need."""
    script = tmp_path / "pool.py"
    body = textwrap.indent(SETUP, "")
    script.write_text(
        body
        + textwrap.dedent(
            f"""
            import multiprocessing, warnings
            def job(i):
                check()
                return i
            if __name__ == "__main__":
                warnings.simplefilter("ignore")
                check()
                with multiprocessing.get_context({method!r}).Pool(2) as pool:
                    assert pool.map(job, range(6)) == list(range(6))
            """
        )
    )
    env = {**os.environ, "NUMBA_THREADING_LAYER": layer, "FASTCONV_NUM_THREADS": "2", "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, str(script)], env=env, capture_output=True, text=True, timeout=200)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("layer", LAYERS)
def test_numba_is_left_as_it_was(layer):
    python(
        """
        import numba
        for mask in (2, 1):
            numba.set_num_threads(mask)
            before = dict(os.environ)
            with fc.num_threads(1): check()
            fc.set_num_threads(2); check()
            assert numba.get_num_threads() == mask and dict(os.environ) == before
        """,
        layer,
    )


@pytest.mark.parametrize("layer", LAYERS)
def test_torch_is_left_as_it_was(layer):
    pytest.importorskip("torch")
    python(
        """
        import torch
        torch.set_num_threads(3)
        assert torch.get_num_threads() == 3
        check()
        assert torch.get_num_threads() == 3
        torch.ones(100, 100) @ torch.ones(100, 100)
        assert torch.get_num_threads() == 3
        """,
        layer,
    )


@pytest.mark.parametrize(
    ("membership", "files", "cpus"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/not/visible/here\n", {"cpu.max": "50000 100000\n"}, 0.5),
        ("0::/a\n", {"a/cpu.max": "max 100000\n"}, math.inf),
        ("4:memory:/a\n3:cpu,cpuacct:/a\n",
         {"cpu/a/cpu.cfs_quota_us": "250000\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, 2.5),
        ("3:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, math.inf),
        ("0::/a\n", {}, math.inf),
    ],
)  # fmt: skip
def test_container_quota(tmp_path, membership, files, cpus):
    (tmp_path / "cgroup").write_text(membership)
    for name, content in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(content)
    assert threads._quota(tmp_path / "cgroup", tmp_path / "fs") == cpus


def test_settings_belong_to_their_context():
    seen = []
    with fc.num_threads(3):
        worker = threading.Thread(target=lambda: seen.append(fc.get_num_threads()))
        worker.start()
        worker.join()
        assert fc.get_num_threads() == 3
        with fc.num_threads(1):
            assert fc.get_num_threads() == 1
        assert fc.get_num_threads() == 3
    assert seen == [fc.get_num_threads()]


def test_environment_sets_the_default():
    assert python("print(fc.get_num_threads())", "workqueue", FASTCONV_NUM_THREADS="5").strip() == "5"
