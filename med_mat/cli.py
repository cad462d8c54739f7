"""The ``med-mat`` command. Imports what a command needs only when it runs, so that ``--help`` is quick."""

from __future__ import annotations

import io
import sys
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from med_mat.commands import register
from med_mat.commands.options import (
    CORES,
    AllowMissing,
    AsJson,
    Cache,
    Loaders,
    RawRootOption,
    Workers,
    open_registry,
    plain_console,
    print_json,
)
from med_mat.commands.options import show as show_page


class Engines(StrEnum):
    """Where a build's units of work are done."""

    local = "local"
    ray = "ray"


app = typer.Typer(
    help="Med-MAT: public medical imaging datasets as one visual question answering dataset.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Runs the command; an error made for people is printed without a trace, and exits with 2."""
    from med_mat.errors import MedMatError, visible

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's encoding lacks is no reason to stop.
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except OSError as error:
        print(f"med-mat: {visible(str(error))}", file=sys.stderr)
        sys.exit(2)
    except (MedMatError, KeyError) as error:
        print(f"med-mat: {visible(str(error.args[0] if error.args else error))}", file=sys.stderr)
        sys.exit(2)


@app.command()
def sources(
    modality: Annotated[str | None, typer.Option(help="Only this modality code, such as ct.")] = None,
    anatomy: Annotated[str | None, typer.Option(help="Only this anatomical area, such as kidney.")] = None,
    subset: Annotated[str | None, typer.Option(help="Only this published subset, such as 02.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="Only this kind: classification, multilabel, detection or segmentation.")
    ] = None,
    loaders: Loaders = None,
    as_json: AsJson = False,
) -> None:
    """List the 109 sources of the catalogue, and those added from outside."""
    from med_mat.listing import list_sources
    from med_mat.terminal import sources_table

    wanted = {"modality": modality, "anatomy": anatomy, "subset": subset, "kind": kind}
    rows = list_sources(open_registry(loaders), {name: value for name, value in wanted.items() if value is not None})
    if as_json:
        print_json(rows)
    else:
        show_page(sources_table(rows))


@app.command()
def show(slug: Annotated[str, typer.Argument(help="The source.")], loaders: Loaders = None) -> None:
    """Print a source's card."""
    from med_mat.terminal import card_page

    show_page(card_page(open_registry(loaders)[slug].card))


@app.command()
def index(
    slug: Annotated[str, typer.Argument(help="The source.")],
    raw: RawRootOption,
    out: Annotated[Path | None, typer.Option(help="Write the index as Parquet.")] = None,
    as_json: AsJson = False,
    allow_missing: AllowMissing = False,
    loaders: Loaders = None,
    cache: Cache = None,
) -> None:
    """Find a source's samples in a raw root, without opening a picture.

    Exit code 0: nothing odd that the card does not declare. 1: something undeclared is odd. 2: the layout does not
    fit.
    """
    from med_mat.files import write_table
    from med_mat.index import index_source
    from med_mat.raw import RawRoot

    found = index_source(open_registry(loaders)[slug], RawRoot.open(raw, cache=cache), allow_missing=allow_missing)
    if out is not None:
        write_table(out, found.table)
    if as_json:
        print_json(found.as_dict())
    else:
        from med_mat.terminal import index_report

        show_page(index_report(found, allow_missing=allow_missing))
    raise typer.Exit(found.exit_code)


@app.command()
def build(
    raw: Annotated[str, typer.Option(help="Folder or fsspec URL with one raw root per source, named by slug.")],
    out: Annotated[str, typer.Option(help="Folder or fsspec URL to build; load_dataset reads it as it lies.")],
    slugs: Annotated[
        list[str] | None, typer.Argument(metavar="[SLUG]...", help="Sources; all whose raw root is there if none.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Units of work at a time; as many as there are cores if not given.")
    ] = None,
    engine: Annotated[
        Engines, typer.Option(help="Where the work is done: processes of this machine, or a Ray cluster.")
    ] = Engines.local,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join, such as auto or host:6379; with --engine ray.")
    ] = None,
    salt_file: Annotated[
        Path | None, typer.Option(help="File whose bytes salt the hashes of groups and private keys; keep it secret.")
    ] = None,
    published: Annotated[
        str | None,
        typer.Option(
            help="Repository, such as ORG/med-mat, or folder of a build, whose rows keep their splits; the folder "
            "remembers it."
        ),
    ] = None,
    new_major: Annotated[
        bool, typer.Option("--new-major", help="Plan as if nothing were published: rows may change their splits.")
    ] = False,
    loaders: Loaders = None,
    cache: Cache = None,
) -> None:
    """Build sources into a dataset folder. A build that was stopped goes on where it stopped.

    Exit code 0: all went in as the cards say. 1: something undeclared is odd. 2: a source failed.
    """
    from med_mat.build import build as run_build
    from med_mat.engine import processes
    from med_mat.terminal import BuildProgress, build_report

    if address is not None and engine is not Engines.ray:
        raise typer.BadParameter("only --engine ray joins a cluster", param_hint="--address")
    console = plain_console()
    with ExitStack() as stack:
        if engine is Engines.ray:
            from med_mat.engine_ray import ray_cluster

            spread = stack.enter_context(ray_cluster(address, workers=workers))
            out = out if "://" in out else str(Path(out).absolute())  # its workers stand elsewhere
        else:
            spread = processes(workers or CORES)
        progress = stack.enter_context(BuildProgress(console))
        result = run_build(
            open_registry(loaders),
            raw,
            out,
            slugs=slugs or (),
            engine=spread,
            salt=salt_file.read_bytes() if salt_file else b"",
            cache=cache,
            progress=progress,
            published=published,
            new_major=new_major,
        )
    console.print(build_report(result))
    raise typer.Exit(result.exit_code)


@app.command()
def preview(
    slug: Annotated[str, typer.Argument(help="The source.")],
    raw: RawRootOption,
    out: Annotated[Path, typer.Option(help="Picture to write, PNG or JPEG.")],
    per_label: Annotated[int, typer.Option(min=1, help="At most so many pictures of a label.")] = 8,
    loaders: Loaders = None,
    cache: Cache = None,
) -> None:
    """Draw a contact sheet of a source by label, as its pictures would be published."""
    from med_mat.index import index_source
    from med_mat.preview import preview_index
    from med_mat.raw import RawRoot

    root = RawRoot.open(raw, cache=cache)
    found = index_source(open_registry(loaders)[slug], root, allow_missing=True)
    sheet = preview_index(found, root, per_label=per_label)
    sheet.save(out)
    print(f"{out}: {found.found.total} pictures, {len(found.found.by_label)} labels")


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(help="A picture file of any format.")],
    out: Annotated[Path | None, typer.Option(help="Write what would be published; the suffix is set to match.")] = None,
    frame: Annotated[int | None, typer.Option(min=0, help="Frame, page or slice of a file that holds several.")] = None,
) -> None:
    """Show what would be published of a file, by which rule, and which metadata would not."""
    from med_mat.inspection import inspect_file, render

    show_page(render(inspect_file(file, out, frame)))


@app.command()
def demo(
    raw: Annotated[Path, typer.Option(help="Folder for the drawn raw trees.")] = Path("demo-raw"),
    out: Annotated[Path, typer.Option(help="Folder to build.")] = Path("med-mat"),
    sheet: Annotated[Path, typer.Option(help="Contact sheet to write.")] = Path("demo.png"),
    workers: Workers = CORES,
) -> None:
    """Draw phantoms in the layouts of five sources, build them, load them, and show rows. Needs no download."""
    from med_mat.demo import run_demo

    run_demo(raw, out, sheet, workers, plain_console())


register(app)
