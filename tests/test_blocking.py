"""Cuts and choices without arithmetic: pure functions, checked by their properties, and dispatch pinned as strings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastconv import blocking, dispatch
from fastconv.problem.conv import conv2d_problem
from fastconv.target import Target


@given(st.integers(1, 5000), st.integers(1, 40))
def test_split_covers(extent, most):
    parts, base, larger = blocking.split(extent, most)
    assert parts * base + larger == extent and larger < parts
    assert base + (larger > 0) <= most
    assert blocking.sizes(extent, most) == {size for size, _ in blocking.counted(extent, most)}


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from(["avx512", "avx2", "neon", "generic"]))
def test_tiles_fit_the_registers(rows, vectors, isa):
    target = Target(isa)
    most_rows, most_vectors, cycles = blocking.choose_tile(rows, vectors, target)
    assert cycles > 0 and most_rows <= rows
    assert most_rows * most_vectors + most_vectors + 1 <= target.registers


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(1, 5))
def test_strip_rows_are_affine(height, r, stride, dilation):
    strips = blocking.runs_of(height, r, stride, dilation)
    assert len(strips.lines) == blocking.count_lines(height, r, stride, dilation) <= r * height
    for j, start in enumerate(strips.starts):
        assert [strips.lines[start + i] for i in range(height)] == [i * stride + j * dilation for i in range(height)]


@given(st.integers(1, 99), st.integers(1, 9), st.integers(1, 4), st.integers(1, 70), st.booleans())
def test_strip_columns_are_affine(run, s, stride, dilation, contiguous):
    """A tap's columns lie in its piece, evenly, and are those that its outputs read."""
    found = blocking.columns_of(run, s, stride, dilation, contiguous=contiguous)
    assert len(found.firsts) * found.width <= 2 * s * run
    assert stride % found.step == 0
    for tap, (part, place) in enumerate(zip(found.parts, found.places, strict=True)):
        for i in range(run):
            column = place + i * (stride // found.step)
            assert 0 <= column < found.width
            assert found.firsts[part] + column * found.step == tap * dilation + i * stride


@given(st.integers(1, 4000), st.integers(1, 200), st.integers(1, 5000))
def test_chunks_are_bounded(channels, r, s):
    """They cover the reduction, and the products of each lie side by side in the weights."""
    chunk = blocking.chunk_of(channels, r, s)
    assert 1 <= chunk.channels <= channels and 1 <= chunk.rows <= r and 1 <= chunk.columns <= s
    assert chunk.products <= 2 * blocking.CHUNK
    assert chunk.products >= min(channels * r * s, blocking.CHUNK // 2) or chunk.channels > 1
    assert chunk.channels == 1 or (chunk.rows, chunk.columns) == (r, s)
    assert chunk.rows == 1 or chunk.columns == s


@given(st.integers(1, 300), st.integers(1, 12), st.integers(1, 90), st.sampled_from(["default", "strict"]))
def test_chunks_of_few_outputs(channels, outputs, size, precision):
    shapes = (1, channels, size, size), (outputs, channels, 1, 1)
    problem = conv2d_problem(*shapes, dtype="float32", precision=precision)
    chunk, whole = blocking.dense_chunk(problem), blocking.chunk_of(channels, 1, 1)
    if outputs > 8 or size < 32 or precision == "strict":
        assert chunk == whole
    else:
        most = 8 if outputs <= 4 else 32
        assert chunk.channels <= most and chunk.count(channels, 1, 1) == -(-channels // most)


@given(st.integers(1, 200_000), st.booleans())
def test_parts_are_short_and_few(products, few):
    part = blocking.part_products(products, few)
    parts, root = -(-products // part), products**0.5
    assert 1 <= part <= products and parts * part < products + parts
    assert part <= max(16, 2 * root) * (1 if few else 2)
    assert parts <= 1 + root


@given(st.integers(1, 5000))
def test_chunks_of_winograd_are_whole_vectors(channels):
    chunk = blocking.chunk_winograd(channels)
    assert 0 < chunk <= 64 and chunk % 16 == 0


@pytest.mark.parametrize(
    ("x", "w", "options", "expected"),
    [
        ((1, 315, 56, 56), (35, 315, 1, 1), {}, "pointwise"),
        ((1, 1050, 7, 7), (105, 1050, 1, 1), {}, "pointwise"),
        ((1, 105, 56, 56), (105, 105, 3, 3), {"padding": 1}, "winograd"),
        ((1, 105, 56, 56), (105, 105, 3, 3), {"padding": 1, "precision": "strict"}, "im2col"),
        ((1, 105, 56, 56), (105, 1, 3, 3), {"padding": 1, "groups": 105}, "depthwise"),
        ((1, 105, 56, 56), (210, 1, 3, 3), {"padding": 1, "groups": 105}, "depthwise"),
        ((1, 105, 57, 57), (105, 1, 5, 5), {"padding": 2, "stride": 2, "groups": 105}, "depthwise"),
        (
            (1, 105, 56, 56),
            (105, 1, 3, 3),
            {"padding": 1, "padding_mode": "circular", "groups": 105},
            "depthwise",
        ),
        ((1, 1050, 7, 7), (105, 1050, 1, 1), {"padding": 1}, "im2col"),
        ((1, 3, 224, 224), (63, 3, 7, 7), {"padding": 3, "stride": 2}, "im2col"),
    ],
)
def test_choice(x, w, options, expected):
    problem = conv2d_problem(x, w, dtype="float32", **options)
    target = Target("avx512", l1=32 << 10, l2=1 << 20)
    assert dispatch.choose(problem, dispatch.contiguous_steps(problem), "auto", True, target).name == expected


def test_vectors_in_halves_cost_twice():
    """Where a cycle has one multiply-add of a whole vector, small tiles come as near to the peak as large ones."""
    for rows, vectors in ((8, 3), (12, 2), (4, 2), (8, 1)):
        halves, whole = (
            blocking.tile_cycles(rows, vectors, Target("avx512", name=name)) for name in ("znver4", "znver5")
        )
        assert rows * vectors <= halves < 1.1 * rows * vectors
        assert halves > 1.15 * whole
    assert Target("avx2", name="znver4").multiply_adds == 2
