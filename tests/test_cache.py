"""Compiled code on disk: found again, never stale, never in the way."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import fastconv

PACKAGE = Path(fastconv.__file__).parent
# A call that compiles one kernel of each kind (from Python, of a microkernel, a launcher) in half of the time of a
# convolution's.
CALL = """
import numpy as np, fastconv as fc
y = fc.max_pool2d(np.arange(192, dtype=np.float32).reshape(1, 3, 8, 8), 2)
assert y.shape == (1, 3, 4, 4) and (y[0, 0] == np.arange(9, 64, 2).reshape(7, 4)[::2]).all()
from fastconv.codegen import jit, cache
print(jit.compilations(), cache.folder())
"""


def python(code, env=None, cwd=None, flags=("-W", "error")):
    """Run code in a fresh interpreter and return what it printed."""
    full = {k: v for k, v in os.environ.items() if not k.startswith("FASTCONV")}
    full["PYTHONPATH"] = str(cwd or PACKAGE.parent)
    full.update(env or {})
    result = subprocess.run([sys.executable, *flags, "-c", textwrap.dedent(code)], env=full, text=True,
                            capture_output=True, timeout=240, cwd=cwd)  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_import_is_light():
    loaded = python("import sys, fastconv; print('numba' in sys.modules, 'llvmlite' in sys.modules)")
    assert loaded.split() == ["False", "False"]


def test_second_process_compiles_nothing(tmp_path):
    env = {"FASTCONV_CACHE_DIR": str(tmp_path)}
    first, folder = python(CALL, env).split()
    assert int(first) > 0 and folder.startswith(str(tmp_path))
    assert python(CALL, env).split() == ["0", folder]


def test_new_shapes_compile_nothing(tmp_path):
    code = """
    import numpy as np, fastconv as fc
    from fastconv.codegen import jit
    def run(c, k, h, w):
        fc.conv2d(np.ones((1, c, h, w), np.float32), np.ones((k, c, 3, 3), np.float32), precision="strict")
    for h in (20, 30, 39):  # pixels in the lanes and channels in the lanes
        run(3 * h, 64, h, 34)
        run(h, 64, 2 * h, 34)
    before = jit.compilations()
    for h in range(20, 40):
        run(3 * h, 64, h, 34)
        run(h, 64, 2 * h, 34)
    print(jit.compilations() - before)
    """
    assert int(python(code, {"FASTCONV_CACHE_DIR": str(tmp_path)})) == 0


def test_edited_source_is_compiled_anew(tmp_path):
    copy = tmp_path / "site"
    shutil.copytree(PACKAGE, copy / "fastconv", ignore=shutil.ignore_patterns("__pycache__"))
    env = {"FASTCONV_CACHE_DIR": str(tmp_path / "cache")}
    _, before = python(CALL, env, cwd=copy).split()
    source = copy / "fastconv" / "microkernels" / "gemm.py"
    source.write_text(source.read_text() + "\n# edited\n")
    count, after = python(CALL, env, cwd=copy).split()
    assert int(count) > 0 and before != after


def test_damaged_files_are_replaced(tmp_path):
    env = {"FASTCONV_CACHE_DIR": str(tmp_path)}
    _, folder = python(CALL, env).split()
    files = sorted(Path(folder).glob("*.bin"))
    files[0].write_bytes(b"")
    files[1].write_bytes(files[1].read_bytes()[:100])
    files[2].write_bytes(b"not a pickle")
    assert int(python(CALL, env).split()[0]) >= 2
    assert python(CALL, env).split()[0] == "0"


def test_a_wrong_bit_is_noticed(tmp_path):
    """Machine code would run with it, or end the process."""
    env = {"FASTCONV_CACHE_DIR": str(tmp_path)}
    count, folder = python(CALL, env).split()
    for file in Path(folder).glob("*.bin"):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    assert python(CALL, env).split()[0] == count
    assert python(CALL, env).split()[0] == "0"


def test_a_relative_folder_stays_where_it_was(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    code = (f"import os, sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n" + CALL +
            "os.chdir('elsewhere'); print(cache.load('launch_serial') is not None)")  # fmt: skip
    count, folder, found = python(code, {"FASTCONV_CACHE_DIR": "compiled"}, cwd=tmp_path).split()
    assert int(count) > 0 and Path(folder).is_relative_to(tmp_path / "compiled") and found == "True"


def test_an_empty_setting_is_none(tmp_path):
    names = ("FASTCONV_NUM_THREADS", "FASTCONV_ISA", "FASTCONV_TUNING_FILE", "FASTCONV_VERBOSE")
    python(CALL, {"FASTCONV_CACHE_DIR": str(tmp_path), **dict.fromkeys(names, "")})


def test_without_a_compiler_it_says_so():
    python("""
    import numpy as np, fastconv as fc
    try:
        fc.max_pool2d(np.ones((1, 1, 4, 4)), 2)
    except RuntimeError as error:
        assert "NUMBA_DISABLE_JIT" in str(error)
    else:
        raise SystemExit("no error")
    """, {"NUMBA_DISABLE_JIT": "1"})  # fmt: skip


def test_sixteen_processes_fill_one_cold_cache(tmp_path):
    env = {**os.environ, "FASTCONV_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(PACKAGE.parent)}
    running = [subprocess.Popen([sys.executable, "-W", "error", "-c", CALL], env=env, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True) for _ in range(16)]  # fmt: skip
    for process in running:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
    assert python(CALL, {"FASTCONV_CACHE_DIR": str(tmp_path)}).split()[0] == "0"
    assert not [p for p in Path(tmp_path).rglob("*") if p.is_file() and p.suffix != ".bin"]


def test_no_home_and_no_writable_folder(tmp_path):
    """A file where the folders would go: nothing can be written anywhere, not even by root."""
    blocker = tmp_path / "file"
    blocker.write_text("")
    env = {"HOME": str(blocker), "XDG_CACHE_HOME": str(blocker / "x"), "TMPDIR": str(tmp_path)}
    code = """
    import tempfile, warnings
    tempfile.tempdir = {blocker!r}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import numpy as np, fastconv as fc
        for size in (2, 3):
            fc.max_pool2d(np.ones((1, 3, 8, 8), np.float32), size)
        from fastconv.codegen import cache
        print(cache.folder(), len([w for w in caught if "FASTCONV_CACHE_DIR" in str(w.message)]))
    """.replace("{blocker!r}", repr(str(blocker)))
    assert python(code, env).split() == ["None", "1"]


def test_unwritable_choice_warns_once_and_works(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    env = {"FASTCONV_CACHE_DIR": str(blocker / "x"), "XDG_CACHE_HOME": str(tmp_path / "home")}
    code = "import warnings\nwarnings.simplefilter('ignore')\n" + CALL
    _, folder = python(code, env).split()
    assert folder.startswith(str(tmp_path / "home"))


def test_old_folders_are_pruned(tmp_path):
    from fastconv.codegen import cache

    for i in range(20):
        (tmp_path / f"{i:024d}").mkdir()
    python(CALL, {"FASTCONV_CACHE_DIR": str(tmp_path)})
    assert len(list(tmp_path.iterdir())) == cache.KEPT_FOLDERS + 1


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="POSIX ownership")
def test_shared_folder_of_another_is_refused(tmp_path):
    from fastconv.codegen.cache import _usable

    mine, open_to_all = tmp_path / "mine", tmp_path / "open"
    assert _usable(mine, True)
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    assert not _usable(open_to_all, True)
    (tmp_path / "link").symlink_to(mine)
    assert not _usable(tmp_path / "link", True)
