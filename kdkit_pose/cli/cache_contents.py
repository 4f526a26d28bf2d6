"""``kdkit-pose cache verify`` and ``kdkit-pose cache info``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kdkit import CacheError, TargetCache
from kdkit.cache.header import read_header, shard_path
from kdkit.cache.target_cache import describe_cache
from kdkit_pose.cli import options
from kdkit_pose.cli.outputs import check_outputs, show_written
from kdkit_pose.cli.show import progress_bar, write_json

Folder = Annotated[Path, typer.Argument(help="The cache's folder.")]


def cache_verify(folder: Folder, json_file: options.Json = None) -> None:
    """Look at every record, and name a damaged shard.

    \b
    Example:
      kdkit-pose cache verify caches/senior
    """
    check_outputs({"--json": json_file}, {})
    records = 0
    try:
        cache = TargetCache.open(folder, verify="none")
        records = cache.header.records
        with progress_bar("verifying") as progress:
            cache.verify("all", progress=progress)
    except CacheError as error:
        write_json({"whole": False, "records": records, "error": str(error)}, json_file)
        raise
    write_json({"whole": True, "records": records, "error": None}, json_file)
    show_written(json_file)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{folder}: all {records:,} records are whole", markup=False)


def cache_info(folder: Folder, json_file: options.Json = None) -> None:
    """Say what a cache holds and what it was made of.

    \b
    Example:
      kdkit-pose cache info caches/senior
    """
    check_outputs({"--json": json_file}, {})
    header = read_header(folder)
    missing = [shard for shard in range(header.shards) if not shard_path(folder, shard).exists()]
    # Of an unfinished one nothing can be read yet but what it is made of.
    inexact = {} if missing else TargetCache.open(folder, verify="none").inexact
    console = Console(highlight=False, soft_wrap=True)
    for line in describe_cache(header, inexact):
        console.print(line if len(line) <= _LINE else f"{line[:_LINE]}...", markup=False)
    if missing:
        console.print(
            f"not finished: {len(missing)} of {header.shards} shards are missing; the same cache build goes on",
            markup=False,
        )
    outputs = {
        name: {
            "shape": list(output.shape),
            "codec": output.codec.describe(),
            "inexact": inexact[name][0] if name in inexact else None,
            "maps": inexact[name][1] if name in inexact else None,
        }
        for name, output in header.outputs.items()
    }
    content = {
        "samples": header.samples,
        "views": header.views,
        "records": header.records,
        "record_bytes": header.record_bytes,
        "shards": header.shards,
        "missing_shards": len(missing),
        "bytes": sum(header.shard_bytes(shard) for shard in range(header.shards)),
        "outputs": outputs,
        "fingerprint": dict(header.fingerprint),
        "convention": dict(header.convention),
        "recorded": dict(header.recorded),
    }
    write_json(content, json_file)
    show_written(json_file)


_LINE = 150  # a skeleton has some thousand characters
