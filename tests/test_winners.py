"""The tuning file: merged, never torn, never overwritten unread, never in the way."""

import json
import os
import subprocess
import sys
import textwrap
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastconv as fc
from fastconv import winners
from fastconv.winners import Winner

ROOT = Path(fc.__file__).parent.parent
NAMES = ("im2col", "direct", "pointwise")
A = Winner("direct", "im2col", {"im2col": 2e-3, "direct": 1e-3}, "2026-01-02T03:04:05.000006Z", "0.1.0")
B = replace(A, winner="im2col", date="2026-01-02T03:04:05.000007Z")


@st.composite
def measurements(draw):
    times = draw(st.dictionaries(st.sampled_from(NAMES), st.floats(1e-7, 10), min_size=1))
    one = st.sampled_from(sorted(times))
    second = draw(st.integers(0, 3))  # few, so that dates are often equal
    return Winner(draw(one), draw(one), times, f"2026-01-02T03:04:0{second}.000000Z", draw(st.sampled_from("ab")))


files = st.dictionaries(st.text(max_size=2), measurements(), max_size=4)


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTCONV_TUNING_FILE", str(tmp_path / "t.json"))
    monkeypatch.setattr(winners, "_said", set())
    return tmp_path / "t.json"


def python(*codes, **env):
    """Run pieces of code at once, each in an interpreter of its own; what they printed."""
    full = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    running = [subprocess.Popen([sys.executable, "-W", "error", "-c", textwrap.dedent(code)], env=full, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE) for code in codes]  # fmt: skip
    printed = []
    for process in running:
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        printed.append(out.strip())
    return printed


@given(files, files, files)
def test_merge(a, b, c):
    merged = winners.merge(a, b)
    assert merged == winners.merge(b, a)
    assert winners.merge(merged, c) == winners.merge(a, winners.merge(b, c))
    assert winners.merge(a, a) == a and winners.merge(merged, b) == merged and winners.merge(a, {}) == a
    assert set(merged) == {*a, *b}
    for key, winner in merged.items():
        there = [file[key] for file in (a, b) if key in file]
        assert winner in there and winner.date == max(w.date for w in there)


@given(files)
def test_what_is_written_is_read(a):
    assert winners.parse(winners.dump(a)) == a


GOOD = json.loads(winners.dump({"key": A}))
BROKEN = {
    "truncated": winners.dump({"key": A})[:-40],
    "no json": b"hello",
    "no text": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
    "another format": json.dumps({**GOOD, "format": "something"}).encode(),
    "a list": b"[1]",
    "no version": json.dumps({k: v for k, v in GOOD.items() if k != "version"}).encode(),
    "version of a wrong kind": json.dumps({**GOOD, "version": True}).encode(),
    "no winners": json.dumps({**GOOD, "winners": None}).encode(),
    "a field too many": winners.dump({"key": A}).replace(b'"auto"', b'"more": 1, "auto"'),
    "a field too few": winners.dump({"key": A}).replace(b'"auto": "im2col",', b""),
    "not a number": winners.dump({"key": A}).replace(b"0.002", b"NaN"),
    "no time": winners.dump({"key": A}).replace(b"0.002", b"null"),
    "winner without a time": winners.dump({"key": A}).replace(b'"winner": "direct"', b'"winner": "other"'),
    "date in another form": winners.dump({"key": A}).replace(b"05.000006Z", b"05Z"),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_damaged_file_is_moved_aside(file, content):
    file.write_bytes(content)
    assert winners.read() == {} and file.read_bytes() == content
    with pytest.warns(RuntimeWarning, match="damaged") as caught:
        winners.keep("new", B)
        winners.keep("newer", A)
    assert len(caught) == 1
    assert winners.read() == {"new": B, "newer": A}
    assert (file.parent / "t.json.corrupt1").read_bytes() == content
    winners._said.clear()
    file.write_bytes(b"again")
    with pytest.warns(RuntimeWarning, match="corrupt2"):
        winners.keep("new", B)
    assert (file.parent / "t.json.corrupt1").read_bytes() == content


def test_empty_file_is_an_empty_one(file):
    file.write_bytes(b"\n")
    winners.keep("key", A)
    assert winners.read() == {"key": A} and not list(file.parent.glob("*.corrupt*"))


def test_file_of_a_later_version_is_left_alone(file):
    later = json.dumps({"format": winners.FORMAT, "version": winners.VERSION + 1, "things": []}).encode()
    file.write_bytes(later)
    with pytest.warns(RuntimeWarning, match="left alone") as caught:
        assert winners.read() == {}
        winners.keep("key", A)
        assert winners.read() == {}
    assert len(caught) == 1 and file.read_bytes() == later


def test_nothing_is_lost_between_writers(file):
    code = """
    from fastconv import winners
    from fastconv.winners import Winner
    for i in range(25):
        winners.keep(f"{who} {i}", Winner("a", "a", {"a": 1.0 + i}, winners.now(), "0"))
    """
    python(*(f"who = {who!r}" + code.replace("\n    ", "\n") for who in "abcd"))
    assert set(winners.read()) == {f"{who} {i}" for who in "abcd" for i in range(25)}
    assert sorted(p.name for p in file.parent.iterdir()) == ["t.json", "t.json.lock"]


def test_a_lock_that_is_never_released(file, monkeypatch):
    monkeypatch.setattr(winners, "PATIENCE", 0.05)
    with winners._locked(f"{file}.lock"), pytest.warns(RuntimeWarning, match="another process"):
        winners.keep("key", A)
    winners.keep("key", A)
    assert winners.read() == {"key": A}


def test_a_child_forked_by_a_writer_does_not_keep_its_lock(file):
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    code = """
    import os, time
    from fastconv import winners
    with winners._locked("{lock}"):
        child = os.fork()
        if not child:
            time.sleep(10)
            os._exit(0)
    winners.PATIENCE = 1
    with winners._locked("{lock}"):
        os.kill(child, 9)
    """
    python(code.replace("{lock}", f"{file}.lock"))


@pytest.mark.parametrize("kind", ["below a file", "a folder"])
def test_what_cannot_be_written(tmp_path, monkeypatch, file, kind):
    blocker = tmp_path / "blocker"
    if kind == "a folder":
        blocker.mkdir()
    else:
        blocker.write_text("")
    monkeypatch.setenv("FASTCONV_TUNING_FILE", str(blocker if kind == "a folder" else blocker / "x" / "t.json"))
    with pytest.warns(RuntimeWarning, match="FASTCONV_TUNING_FILE") as caught:
        for _ in range(3):
            assert winners.read() == {}
            winners.keep("key", A)
    assert len(caught) == 1 and blocker.exists()


@pytest.mark.skipif(os.name != "posix", reason="a device")
def test_devices_are_not_replaced(tmp_path, monkeypatch, file):
    pipe = tmp_path / "link"
    pipe.symlink_to(os.devnull)
    monkeypatch.setenv("FASTCONV_TUNING_FILE", str(pipe))
    with pytest.warns(RuntimeWarning, match="not a writable file"):
        winners.keep("key", A)
    assert not Path(os.devnull).is_file() and not Path(f"{os.devnull}.lock").exists()


@pytest.mark.skipif(os.name != "posix", reason="links and modes")
def test_links_and_modes_stay(tmp_path, file):
    real = tmp_path / "elsewhere" / "real.json"
    real.parent.mkdir()
    real.write_bytes(winners.dump({"old": A}))
    real.chmod(0o664)
    file.symlink_to(real)
    winners.keep("new", B)
    assert file.is_symlink() and winners.parse(real.read_bytes()) == {"old": A, "new": B}
    assert real.stat().st_mode & 0o777 == 0o664


def test_beside_the_folders_of_compiled_code(tmp_path, monkeypatch):
    """So it outlives a change of the sources, which those folders are named by."""
    code = "from fastconv import winners; from fastconv.codegen import cache; print(winners.path(), cache.folder())"
    (printed,) = python(code, FASTCONV_CACHE_DIR=str(tmp_path), FASTCONV_TUNING_FILE="")
    where, folder = map(Path, printed.split())
    assert where == tmp_path / "tuning.json" and folder.parent == tmp_path


def test_no_folder_at_all(monkeypatch):
    monkeypatch.delenv("FASTCONV_TUNING_FILE", raising=False)
    monkeypatch.setattr(winners.cache, "folder", lambda: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert winners.path() is None and winners.read() == {}
        winners.keep("key", A)
