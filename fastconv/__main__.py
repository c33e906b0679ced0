"""The command line: bench, compare, explain, tune, info."""

from __future__ import annotations

import argparse
import sys

import fastconv as fc
from fastconv.networks import NETWORKS, all_layers, network


def main(arguments: list[str] | None = None) -> int:
    """Run a command; 2 is the status of bad arguments."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, TypeError) as wrong:
        print(f"fastconv: {wrong}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m fastconv", description=fc.__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    bench = commands.add_parser("bench", help="time every convolution layer of a network")
    bench.set_defaults(run=_bench)
    bench.add_argument(
        "network",
        nargs="?",
        default="resnet50",
        help=f"all, pool (all networks' pools and more), or one of {', '.join(NETWORKS)}",
    )
    bench.add_argument("--pass", dest="pass_", default="forward",
                       choices=["forward", "input_grad", "weight_grad", "training"],
                       help="training: the convolution, its input's gradient and its weight's")  # fmt: skip
    bench.add_argument(
        "--against", default="", help="peers: torch,onnxruntime,openvino,ncnn,jax,scipy, or all; for gradients torch"
    )
    bench.add_argument("--layout", default="channels_first", choices=["channels_first", "channels_last"])
    bench.add_argument("--dtype", default="float32", choices=["float32", "float64", "float16", "bfloat16"])
    bench.add_argument("--threads", type=_ints, default=None, help="one number; several, as 1,2, with --regret")
    bench.add_argument("--batch", type=int, default=1)
    bench.add_argument("--api", default="both", choices=["both", "function", "layer"],
                       help="conv2d (weights new at each call), Conv2d (packed once) or both")  # fmt: skip
    bench.add_argument("--json", metavar="FILE")
    bench.add_argument("--plot", metavar="FILE")
    bench.add_argument("--scaling", action="store_true",
                       help="instead of a network: one convolution with each of its sizes from 16 to 512")  # fmt: skip
    bench.add_argument("--regret", action="store_true",
                       help="time every algorithm, on odd shapes too, against auto's: of conv2d in all networks, "
                            "or of the set conv1d, conv3d or transposed")  # fmt: skip
    bench.add_argument("--errors", action="store_true", help="instead of times: every algorithm's errors")
    bench.add_argument("--write", metavar="DOCUMENT", help="put the table of --regret or --errors into it")
    bench.add_argument("--seed", type=int, default=0, help="of the random numbers of --regret and --errors")
    bench.add_argument("--stride", type=int, default=1, help="of the kernels of --errors")
    compare = commands.add_parser("compare", help="a table by groups of layers and pictures, from the JSON of a run")
    compare.set_defaults(run=_compare)
    compare.add_argument("json", metavar="FILE", help="of `bench --json`, or of `pytest benchmarks/peers`")
    compare.add_argument("--plot", metavar="PICTURE", help="every layer's speed, ours and the peers'; or the scaling")
    compare.add_argument("--roofline", metavar="PICTURE", help="every layer under what the machine allows")
    compare.add_argument("--write", metavar="DOCUMENT", help="put it between the document's comparison markers")
    explain = commands.add_parser("explain", help="say which algorithm would run, and why")
    explain.set_defaults(run=_explain)
    explain.add_argument("op")
    explain.add_argument("x_shape", type=_ints)
    explain.add_argument("weight_shape", type=_ints)
    for name in ("stride", "padding", "dilation"):
        explain.add_argument(f"--{name}", type=_size, default=None)
    explain.add_argument("--groups", type=int, default=None)
    explain.add_argument("--dtype", default="float32")
    explain.add_argument("--layout", default="channels_first")
    explain.add_argument("--packed", action="store_true", help="weights packed once, as in a layer")
    tune = commands.add_parser("tune", help="measure which algorithm is best for each layer, and remember it")
    tune.set_defaults(run=_tune)
    tune.add_argument("network", nargs="?", help=f"all, or one of {', '.join(NETWORKS)}")
    tune.add_argument("--layout", default="channels_first", choices=["channels_first", "channels_last"])
    tune.add_argument("--dtype", default="float32", choices=["float32", "float64", "float16", "bfloat16"])
    tune.add_argument("--threads", type=int, default=None)
    tune.add_argument("--batch", type=int, default=1)
    tune.add_argument("--api", default="both", choices=["both", "function", "layer"])
    tune.add_argument("--model", action="store_true", help="instead: fit the cost model of auto to this machine")
    tune.add_argument("--merge", metavar="FILE", help="add the winners of another tuning file, the newer of each")
    info = commands.add_parser("info", help="versions, CPU, threads, cache folder")
    info.set_defaults(run=lambda _: fc.show_config() or 0)
    return parser


def _ints(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _size(text: str) -> object:
    if not text[0].isdigit():
        return text
    numbers = _ints(text)
    return numbers[0] if len(numbers) == 1 else numbers


def _explain(options: argparse.Namespace) -> int:
    given = {name: getattr(options, name) for name in ("stride", "padding", "dilation", "groups")}
    print(fc.explain(options.op, options.x_shape, options.weight_shape, dtype=options.dtype, layout=options.layout,
                     packed=options.packed,
                     **{name: value for name, value in given.items() if value is not None}))  # fmt: skip
    return 0


def _bench(options: argparse.Namespace) -> int:
    from fastconv.bench import peers, pools, report, roofline, runner

    if options.stride != 1 and not options.errors:
        raise ValueError("--stride: of --errors only")
    if options.errors:
        if options.pass_ != "forward":
            raise ValueError("--errors: of the forward pass only")
        from fastconv.bench import accuracy

        accuracy.run(options.dtype, options.seed, options.write, options.stride)
        return 0
    threads = options.threads or (fc.get_num_threads(),)
    if options.batch < 1 or min(threads) < 1:
        raise ValueError(f"--batch and --threads must be at least 1, got {options.batch} and {min(threads)}")
    if options.api == "layer" and options.pass_ != "forward":
        raise ValueError("--api layer: only the forward pass has weights packed once; others take them at each call")
    if options.regret:
        from fastconv.bench import regret

        family = options.network if options.network in regret.FAMILIES else "conv2d"
        regret.run(options.layout, options.dtype, threads, options.api, options.seed, options.write, options.pass_,
                   family)  # fmt: skip
        return 0
    if options.write or options.seed:
        raise ValueError("--write and --seed are for --errors and --regret")
    if len(threads) > 1:
        raise ValueError(f"--threads: several numbers are for --regret, got {threads}")
    (threads,) = threads
    if options.plot:
        _require("matplotlib", "--plot")
    if options.scaling:
        return _scaling(options, threads)
    layers = all_layers() if options.network in ("all", "pool") else network(options.network)
    if options.network == "pool":
        layers = tuple(layer for layer in layers if "_pool" in layer.op)
    against, missing = peers.wanted(options.against, options.pass_)
    for message in missing:
        print(message, file=sys.stderr)
    others = sorted({layer.op for layer in layers if not pools.timed(layer, options.pass_)})
    layers = tuple(layer for layer in layers if pools.timed(layer, options.pass_))
    if others:
        print(f"not timed: {', '.join(others)}")
    pass_ = "" if options.pass_ == "forward" else f"{options.pass_}, "
    title = f"{options.network}, {pass_}{options.dtype}, {options.layout}, batch {options.batch}, {threads} threads"
    print(title)
    rows = report.show(
        runner.measure(layers, against=against, pass_=options.pass_, layout=options.layout, dtype=options.dtype,
                       threads=threads, batch=options.batch, api=options.api),
        against, len(layers), title, options.pass_,
    )  # fmt: skip
    print(report.summary(rows, against, options.pass_))
    roof = roofline.roof(options.dtype, threads) if options.json else None
    data = report.as_json(rows, {k: v for k, v in vars(options).items() if k != "run"}, roof)
    if options.json:
        report.write_json(options.json, data)
    if options.plot and rows:
        from fastconv.bench.plot import plot

        plot(options.plot, data)
    return 0


def _scaling(options: argparse.Namespace, threads: int) -> int:
    from fastconv.bench import report, scaling

    if options.pass_ != "forward" or options.against or options.batch != 1:
        raise ValueError("--scaling: of the forward pass only, against nobody; it has batches of its own")
    data = scaling.run(options.layout, options.dtype, threads, options.api)
    if options.json:
        report.write_json(options.json, data)
    if options.plot:
        from fastconv.bench import plot_limits

        plot_limits.scaling(options.plot, data)
    return 0


def _compare(options: argparse.Namespace) -> int:
    from fastconv.bench import comparison

    for flag in ("plot", "roofline"):
        if getattr(options, flag):
            _require("matplotlib", f"--{flag}")
    data = comparison.load(options.json)
    if "points" in data:
        from fastconv.bench import plot_limits, scaling

        if options.write or options.roofline:
            raise ValueError("--write and --roofline are for runs of layers, not for --scaling")
        print(scaling.summary(data["points"]))
        if options.plot:
            plot_limits.scaling(options.plot, data)
        return 0
    table = comparison.markdown(data)
    print(table)
    if options.write:
        comparison.write(table, options.write)
    if options.plot:
        from fastconv.bench.plot import plot

        plot(options.plot, data)
    if options.roofline:
        from fastconv.bench import plot_limits

        plot_limits.roofline(options.roofline, data)
    return 0


def _tune(options: argparse.Namespace) -> int:
    from fastconv.bench import fit, tune

    if options.model:
        if options.network or options.merge:
            raise ValueError("--model: goes without a network and without --merge")
        fit.run()
        return 0
    return tune.run(options)


def _require(module: str, flag: str) -> None:
    import importlib.util

    if importlib.util.find_spec(module) is None:
        raise ValueError(f"{flag} needs {module}: pip install 'fastconv[bench]'")


if __name__ == "__main__":
    sys.exit(main())
