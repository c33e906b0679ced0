"""The tables of errors: their statistics on made-up figures, the exact results, a small real run, the document."""

import itertools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import fastconv as fc
from fastconv.__main__ import main
from fastconv.algorithm.winograd.members import Member, family
from fastconv.bench import accuracy
from fastconv.bench.accuracy import Kernel, Row
from fastconv.microkernels import toomcook
from fastconv.microkernels.winograd import STRIDED_TILES, TILES
from fastconv.target import host

DOCUMENT = Path(__file__).parents[1] / "docs" / "accuracy.md"
MACHINE = {"cpu": "a CPU", "core": "znver5", "isa": "avx512", "date": "2026-01-02"}


def test_statistics():
    exact = np.array([3.0, -4.0, 0.0, 0.0]).reshape(1, 1, 2, 2)  # RMS 2.5
    y = exact + np.array([0.5, -1.0, 0.0, 0.0]).reshape(exact.shape)
    assert accuracy.statistics(y, [exact]) == (1.5 / 4 / 2.5, 1 / 2.5)
    assert accuracy.statistics(y, [exact, y - exact]) == (0, 0)


def test_ratios_are_taken_problem_by_problem():
    base = Row(Kernel(3, 3), "normal", 16, "direct", errors=[(1.0, 2.0), (1.0, 8.0)])
    row = replace(base, algorithm="other", errors=[(2.0, 6.0), (4.0, 16.0)])
    assert row.times(base) == (3.0, 3.0) and row.most == 16.0


def test_exact_float64_is_exact(rng):
    x, w = rng.normal(size=(1, 5, 5, 6)), rng.normal(size=(2, 5, 2, 3))
    terms = accuracy.exact(x, w, 2)
    assert len(terms) == 6 and terms[0].shape == (1, 2, 3, 2)
    for k, i, j in np.ndindex(2, 3, 2):
        true = sum(Fraction(x[0, c, i + 2 * r, j + 2 * s]) * Fraction(w[k, c, r, s]) for c, r, s in np.ndindex(5, 2, 3))
        found = sum(Fraction(term[0, k, i, j]) for term in terms)
        assert abs(found - true) < Fraction(2) ** -56
        assert abs(Fraction(terms[0][0, k, i, j]) - true) > Fraction(2) ** -40  # that is, the other terms matter


def test_exact_float32_is_the_convolution(rng):
    x, w = (rng.normal(size=size).astype(np.float32) for size in ((1, 5, 8, 9), (2, 5, 3, 2)))
    (term,) = accuracy.exact(x, w, 2)
    y = fc.conv2d(x.astype(np.float64), w.astype(np.float64), dilation=2, algorithm="im2col")
    np.testing.assert_allclose(term, y, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_small_run(dtype):
    kernels, channels = [Kernel(3, 3, 2), Kernel(1, 5), Kernel(3, 3, stride=2), Kernel(1, 4, stride=2)], [20]
    runs = [list(accuracy.measure(dtype, 7, kernels, channels, size=12)) for _ in range(2)]
    assert runs[0] == runs[1]
    for some in runs[0]:
        kernel = some[0].kernel
        members = family(kernel.r, kernel.s, "fast", kernel.steps)
        tiles = host().amx and dtype == "float32" and kernel.stride == 1
        also = [replace(m, matrix=True) for m in members] if tiles else []
        assert [row.member for row in some if row.member] == [*members, *also]
        eps = np.finfo(dtype).eps
        for row in some:
            assert eps / 100 < row.mean < row.most < 1000 * eps
            if row.member and row.data != accuracy.SPARSE:
                assert row.times(some[0])[1] < accuracy.BOUND[accuracy.precision(row)]


def test_table():
    member = Member(6, 6, 3, 3)
    base = Row(Kernel(3, 3), "normal", 16, "direct", errors=[(1e-7, 1e-6)])
    other = Row(Kernel(3, 3), "normal", 16, accuracy.title(member), member, [(2e-7, 2e-5)])
    rows = []
    for data in accuracy.DATA:
        worse = 3 if data == accuracy.SPARSE else 1
        errors = [(worse * mean, worse * most) for mean, most in other.errors]
        rows += [replace(base, data=data), replace(other, data=data, errors=errors)]
    text = accuracy.markdown(rows, "float32", MACHINE)
    assert "| 3x3 | F(6x6, 3x3) | fast | 64 | 2, 20 | 6, 60 |" in text
    assert text.count("| 3x3 | F(6x6, 3x3) | 2, 200 |") == 3 and "| 3x3 | F(6x6, 3x3) | 6, 600 |" in text
    assert "2026-01-02" in text and "torch |" not in text


def test_the_document_has_every_member_at_its_precision():
    text = DOCUMENT.read_text()
    for dtype, kernel in itertools.product(accuracy.UNIT, accuracy.KERNELS):
        mark = accuracy.marker(dtype, kernel.stride)
        table = text.split(f"<!-- {mark} -->")[1].split(f"<!-- /{mark} -->")[0]
        for member in family(kernel.r, kernel.s, "fast", kernel.steps):
            least = accuracy.precision(Row(kernel, "", 0, "", member))
            start = f"| {accuracy.name(kernel)} | {accuracy.title(member)} | {least} | {accuracy.BOUND[least]} |"
            (line,) = (line for line in table.splitlines() if line.startswith(start))
            largest = float(line.removeprefix(start).split("|")[0].split(",")[1])
            assert largest < 0.8 * accuracy.BOUND[least]


def test_numbers_of_transforms_are_exact():
    class Ops:
        def add(self, a, b):
            return 0

        sub = add

        def mul(self, value, number):
            assert Fraction(float(np.float32(float(number)))) == number
            return 0

        def fma(self, value, number, addend):
            return self.mul(value, number)

    for stride, family_tiles in ((1, TILES), (2, STRIDED_TILES)):
        for taps, m in ((taps, m) for taps, tiles in family_tiles.items() for m in tiles):
            toomcook.transform_input(Ops(), [0] * ((m - 1) * stride + taps), m, taps, stride)
            toomcook.transform_output(Ops(), [0] * toomcook.products(m, taps, stride), m, taps, stride)


def test_command_line(tmp_path, capsys):
    document = tmp_path / "accuracy.md"
    document.write_text("no markers")
    for arguments, said in (
        (["--errors", "--dtype", "float16"], "float32, float64"),
        (["--errors", "--seed", "-1"], "--seed"),
        (["--errors", "--stride", "3"], "--stride: must be one of 1, 2"),
        (["--errors", "--write", str(document)], "must contain <!-- accuracy float32 -->"),
        (["--errors", "--write", str(tmp_path / "none.md")], "cannot be read"),
        (["lenet5", "--write", str(document)], "--errors"),
        (["lenet5", "--stride", "2"], "--stride: of --errors only"),
    ):
        assert main(["bench", *arguments]) == 2
        assert said in capsys.readouterr().err
    assert document.read_text() == "no markers"


def test_written_between_its_markers(tmp_path, capsys, monkeypatch):
    document = tmp_path / "accuracy.md"
    document.write_text("a<!-- accuracy float64 -->old<!-- /accuracy float64 -->b")
    rows = [Row(Kernel(3, 3), data, 16, "direct", errors=[(1e-16, 2e-15)]) for data in accuracy.DATA]
    monkeypatch.setattr(accuracy, "measure", lambda dtype, seed, kernels: [[row] for row in rows])
    assert main(["bench", "--errors", "--dtype", "float64", "--write", str(document)]) == 0
    text = document.read_text()
    assert text.startswith("a<!--") and text.endswith("-->b") and "old" not in text
    assert text.count("| 3x3 | direct | 1, 20 |") == len(accuracy.DATA)
    capsys.readouterr()
