"""The layer rule: nothing imports upwards, Numba is asked to compile in one place, importing is light."""

import ast
from pathlib import Path

import pytest

import fastconv as fc

PACKAGE = Path(fc.__file__).parent
# From the top: a module may import from its own layer and those below, never from above.
ORDER = [
    ("__main__", "bench"),
    ("__init__",),
    ("insight", "operators.layers_transposed"),
    ("operators.layers", "operators.adaptive"),
    ("operators.conv_grad", "operators.conv_transpose_grad"),
    ("operators.gradients", "operators.conv_transpose", "operators.pool_grad", "operators.windows", "operators.unpool"),
    ("operators.pool",),
    ("operators.conv",),
    ("operators",),
    ("tuning",),
    ("jobcall",),
    ("call", "pool_call"),
    ("dispatch",),
    ("algorithm",),
    ("cost", "peak", "pool_cost"),
    ("threads",),
    ("microkernels",),
    ("constants",),
    ("blocking", "winners"),
    ("codegen",),
    ("job",),
    ("problem", "target", "networks", "workspace"),
    ("trunk",),
    ("checks", "version"),
]
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}
# `import fastconv` inside these is the public package, as a user has it.
PUBLIC_USERS = {"__main__", "bench"}


def placed(parts):
    """The name under which ORDER places a module, given the parts of its dotted name below the package."""
    return ".".join(parts[:2]) if ".".join(parts[:2]) in LEVEL else parts[0]


def modules():
    """(path, its name in ORDER) of every module."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path, placed(path.relative_to(PACKAGE).with_suffix("").parts)


def imports(tree):
    """Every fastconv module that a tree imports, by its name in ORDER ("" for the package itself)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            above = (node.module or "").split(".")
            if above[0] == "fastconv":
                for alias in node.names:
                    parts = [*above[1:], alias.name]
                    yield placed(parts) if parts[0] in LEVEL else ""
        elif isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                if parts[0] == "fastconv":
                    yield placed(parts[1:]) if parts[1:] else ""


@pytest.mark.parametrize(("path", "module"), list(modules()), ids=lambda v: v.name if isinstance(v, Path) else v)
def test_nothing_imports_upwards(path, module):
    assert module in LEVEL, f"{module} has no place in the order"
    for imported in imports(ast.parse(path.read_text())):
        if imported == "":
            assert module in PUBLIC_USERS, f"{path} imports the package itself"
        else:
            assert LEVEL[imported] >= LEVEL[module], f"{path}: {module} imports {imported} from above"


def test_one_place_compiles():
    for path, module in modules():
        if module == "codegen":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "numba":
                names = {alias.name for alias in node.names}
                assert not names & {"njit", "jit", "cfunc", "vectorize", "guvectorize"}, path


def test_public_names():
    public = {"ConvGradients", "Plan", "explain", "algorithms", "show_config", "set_num_threads", "get_num_threads",
              "num_threads"}  # fmt: skip
    for op in ("conv1d", "conv2d", "conv3d"):
        public |= {op, f"{op}_backward", f"{op}_input_grad", f"{op}_weight_grad", op.capitalize()}
        op = op.replace("conv", "conv_transpose")
        public |= {op, f"{op}_backward", f"{op}_input_grad", f"{op}_weight_grad", f"ConvTranspose{op[-2:]}"}
    pools = {
        f"{kind}_pool{dims}d"
        for kind in ("max", "avg", "lp", "weighted_avg", "adaptive_avg", "adaptive_max")
        for dims in (1, 2, 3)
    }
    pools |= {f"max_unpool{dims}d" for dims in (1, 2, 3)} | {f"global_{kind}_pool" for kind in ("avg", "max", "lp")}
    public |= {"fold", "unfold"} | pools | {f"{pool}_backward" for pool in pools}
    assert set(fc.__all__) == public
    assert all(getattr(fc, name).__doc__ for name in public)


def test_files_are_short():
    for path in [*PACKAGE.rglob("*.py"), *Path(__file__).parent.glob("*.py")]:
        assert len(path.read_text().splitlines()) <= 400, path
