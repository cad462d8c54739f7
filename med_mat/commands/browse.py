"""``med-mat browse``: rows of a build or of a dataset on the Hub, one at a time, in the browser."""

from __future__ import annotations

from typing import Annotated

import typer

from med_mat.commands.options import Loaders, open_registry


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(browse)


def browse(
    dataset: Annotated[str, typer.Argument(help="Folder that `med-mat build` wrote, or ORG/repo on the Hub.")],
    revision: Annotated[str | None, typer.Option(help="Tag, branch or commit on the Hub.")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port; a free one from 7860 on if left out.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to serve on. Beyond 127.0.0.1 others see pictures that may not be passed on.")
    ] = "127.0.0.1",
    window: Annotated[bool, typer.Option("--window/--no-window", help="Open the page in the browser.")] = True,
    loaders: Loaders = None,
) -> None:
    """Page through rows: picture with regions, question, options, answer. Stops with Ctrl-C."""
    import os
    import tempfile

    with tempfile.TemporaryDirectory(prefix="med-mat-browse-") as folder:
        # What is shown is not to stay on the disk, and nothing is to be told to anybody.
        os.environ.update(GRADIO_TEMP_DIR=folder, GRADIO_ANALYTICS_ENABLED="False")
        from med_mat.browse import page
        from med_mat.report.dataset import open_dataset

        blocks = page(open_dataset(dataset, open_registry(loaders), revision=revision))
        blocks.launch(
            server_name=host, server_port=port, inbrowser=window, share=False, show_error=True, footer_links=[]
        )
