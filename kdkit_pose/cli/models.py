"""``kdkit-pose models``."""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
import typer
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from kdkit import ConfigurationError
from kdkit_pose.cli.given import refuse
from kdkit_pose.cli.options import Json, build_codec
from kdkit_pose.cli.outputs import check_outputs, show_written
from kdkit_pose.cli.show import write_json
from kdkit_pose.models import create, names
from kdkit_pose.models.cost import MACS_CONVENTION, count_macs, count_parameters
from kdkit_pose.models.latency import FEWEST, MOST, Latency, describe_machine, measure_latency

Size = tuple[int, int]

_PUBLISHED = (
    "hrnet_w32, hrnet_w48, simplebaseline_resnet50, lpn_50, litehrnet_18 and litehrnet_30 have the parameters "
    "and, by their sources' conventions, the MACs that were published; of exactly the others no figures were"
)


@dataclass(frozen=True)
class _Row:
    name: str
    parameters: int
    macs: int
    latencies: tuple[Latency, ...] = ()

    def to_json(self) -> dict[str, Any]:
        found = {str(one.batch): {"ms": one.milliseconds, "runs": one.runs} for one in self.latencies}
        return {"parameters": self.parameters, "macs": self.macs, "latency": found}


def models(
    context: typer.Context,
    name: Annotated[
        list[str] | None, typer.Argument(help="Networks; by default all in the list.", show_default=False)
    ] = None,
    input_size: Annotated[str, typer.Option(help="Height x width of the input, in pixels.")] = "256x192",
    latency: Annotated[bool, typer.Option("--latency/--no-latency", help="Measure how long they take.")] = True,
    batch: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Images at a time, 1 and 32 by default; may be given several times."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="Where to measure: cpu or cuda; by default a GPU.")] = None,
    seconds: Annotated[float, typer.Option(min=0, help="How long to time each network and batch.")] = 2.0,
    json: Json = None,
) -> None:
    """List the networks: parameters, multiply-adds, and latency measured here.

    Latency is the median of several passes of one batch, in float32 and eval mode, after warm-up. On a few
    cores a pass of the largest network takes half a minute at batch 32: name the networks of interest, or
    leave it out with --no-latency.

    \b
    Example:
      kdkit-pose models
      kdkit-pose models hrnet_w16 hrnet_w32 --input-size 384x288 --batch 1
    """
    if not latency:
        refuse(context, ["batch", "device", "seconds"], "--no-latency measures nothing; leave one out")
    check_outputs({"--json": json}, {})
    size = build_codec(None, input_size, None).input_size
    batches = tuple(dict.fromkeys(batch or (1, 32))) if latency else ()
    place = _device(device)
    # All costs first: a wrong name or size is told before anything is measured.
    rows = [_cost(one, size) for one in dict.fromkeys(name or names())]
    if batches:
        rows = _timed(rows, size, batches, place, seconds)
    Console().print(_table(rows, batches))
    notes = {
        "input": f"{size[1]}x{size[0]} (height x width)",
        "GMAC": MACS_CONVENTION,
        "published": _PUBLISHED,
    }
    if batches:
        notes["latency"] = f"ms of a whole batch; {_procedure(seconds)}; float32{_tensor_cores(place)}"
        notes["measured on"] = describe_machine(place)
    for title, text in notes.items():
        typer.echo(f"{title}: {text}")
    write_json({**notes, "models": {row.name: row.to_json() for row in rows}}, json)
    show_written(json)


def _device(name: str | None) -> torch.device:
    """Return the device of an option.

    Raises:
        ConfigurationError: There is no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=name)
        device = torch.device(name)
    # RuntimeError for an unknown kind or a missing GPU, AssertionError of a PyTorch built without CUDA.
    except (RuntimeError, AssertionError) as error:
        raise ConfigurationError(f"--device '{name}' cannot be used here: {str(error).splitlines()[0]}") from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigurationError(f"--device '{name}': latency is measured on cpu or cuda")
    return device


def _cost(name: str, size: Size) -> _Row:
    with torch.device("meta"):
        network = create(name)
    return _Row(name, count_parameters(network), count_macs(network, size))


def _timed(
    rows: list[_Row], size: Size, batches: tuple[int, ...], device: torch.device, seconds: float
) -> list[_Row]:
    """Return the rows with latencies, showing what is being measured where there is a terminal."""
    timed: list[_Row] = []
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(rows) * len(batches))
        for row in rows:
            network = create(row.name).to(device)
            latencies = []
            for count in batches:
                progress.update(task, description=f"{row.name}, batch {count}")
                latencies.append(measure_latency(network, count, size, seconds=seconds))
                progress.advance(task)
            timed.append(_Row(row.name, row.parameters, row.macs, tuple(latencies)))
    return timed


def _table(rows: list[_Row], batches: tuple[int, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("model", overflow="fold")
    for title in ("params, M", "GMAC", *(f"ms at {count}" for count in batches)):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        figures = (f"{row.parameters / 1e6:.2f}", f"{row.macs / 1e9:.2f}")
        table.add_row(row.name, *figures, *(_digits(one.milliseconds) for one in row.latencies))
    return table


def _digits(milliseconds: float) -> str:
    """Return a time as exactly as it can be known: three digits."""
    return f"{milliseconds:.{max(0, 2 - (len(str(int(milliseconds))) - 1))}f}"


def _procedure(seconds: float) -> str:
    return f"median of {FEWEST} to {MOST} passes after warm-up, one where it takes more than {seconds:g} s"


def _tensor_cores(device: torch.device) -> str:
    """Return whether a GPU rounds the factors of convolutions to TF32, as PyTorch lets it unless told not to."""
    if device.type != "cuda":
        return ""
    return f", TF32 in convolutions {'on' if torch.backends.cudnn.allow_tf32 else 'off'}"
