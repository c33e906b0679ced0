"""Options, the layers and libraries to compare, and what is printed at the end."""

import pytest

from fastconv import threads
from fastconv.bench import comparison, peers, pools, report, roofline, runner
from fastconv.bench.passes import PASSES
from fastconv.networks import NETWORKS, all_layers, network

OURS = {"function": "fastconv", "layer": "fastconv_held"}


def pytest_addoption(parser):
    group = parser.getgroup("peers", "layers and libraries that are compared")
    group.addoption("--network", default="all", choices=["all", *NETWORKS], help="whose layers; each shape once")
    group.addoption("--against", default="all", help="libraries, as torch,onnxruntime; those installed by default")
    group.addoption("--pass", dest="pass_", default="forward", choices=list(PASSES))
    group.addoption("--layout", default="channels_first", choices=["channels_first", "channels_last"])
    group.addoption("--dtype", default="float32", choices=["float32", "float64"])
    group.addoption("--batch", type=int, default=1)
    group.addoption("--threads", type=int, default=threads.get_num_threads())
    group.addoption("--budget", type=float, default=0.04, help="seconds of each library for each layer")


class Comparison:
    """One run: its options, and a row for each layer that was measured."""

    def __init__(self, config):
        names = ("network", "against", "pass_", "layout", "dtype", "batch", "threads", "budget")
        self.options = {name: config.getoption(name) for name in names}
        try:
            self.against, self.missing = peers.wanted(self.options["against"], self.options["pass_"])
        except ValueError as wrong:
            raise pytest.UsageError(str(wrong)) from None
        name = self.options["network"]
        layers = all_layers() if name == "all" else network(name)
        self.layers = [layer for layer in layers if pools.timed(layer, self.options["pass_"])]
        self.rows = {}

    @property
    def libraries(self):
        """Ours first; a layer that holds its weights has no gradients."""
        return [*OURS] if self.options["pass_"] == "forward" else ["function"]

    def row(self, layer):
        """A layer's figures: all libraries checked and timed in turns, when the first of them is asked for."""
        if layer.label not in self.rows:
            keys = ("pass_", "layout", "dtype", "batch", "threads", "budget")
            more = {key: self.options[key] for key in keys}
            (self.rows[layer.label],) = runner.measure((layer,), against=self.against, **more)
        return self.rows[layer.label]

    def as_json(self):
        """What `python -m fastconv bench --json` writes."""
        roof = roofline.roof(self.options["dtype"], self.options["threads"])
        return report.as_json(list(self.rows.values()), self.options, roof)


KEY = pytest.StashKey[Comparison]()


def pytest_configure(config):
    config.stash[KEY] = Comparison(config)


def pytest_report_header(config):
    run = config.stash[KEY]
    return [f"{key}: {value}" for key, value in {**report.machine(), **report.versions()}.items()] + run.missing


def pytest_generate_tests(metafunc):
    run = metafunc.config.stash[KEY]
    metafunc.parametrize("layer", run.layers, ids=lambda layer: f"layer={layer.label}")
    names = [*run.libraries, *run.against]
    metafunc.parametrize("library", names, ids=lambda name: f"library={OURS.get(name, name)}")


@pytest.fixture(scope="session")
def comparison_run(request):
    return request.config.stash[KEY]


def pytest_benchmark_update_machine_info(config, machine_info):
    machine_info.clear()  # it names the host
    machine_info.update(report.machine())


def pytest_benchmark_update_json(config, benchmarks, output_json):
    output_json["fastconv"] = config.stash[KEY].as_json()


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter, config):
    run = config.stash[KEY]
    rows = list(run.rows.values())
    if rows:
        terminalreporter.section("geometric means over layers")
        terminalreporter.write_line(report.summary(rows, run.against, run.options["pass_"]))
        terminalreporter.write_line("")
        terminalreporter.write_line(comparison.markdown(run.as_json()))
