"""The report of an experiment: one page, the same numbers as CSV, and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

FOLDER = "report"
PAGE = "index.html"
MARKDOWN = "README.md"


def write_report(folder: Path, *, all_pictures: bool = False, loaders: Sequence[Path] = ()) -> Path:
    """Writes the report of an experiment into its folder ``report``, over an older one.

    Args:
        folder: That ``med-mat baselines run`` wrote, with ``outcomes.json``.
        all_pictures: Show sample pictures of every source, for a page that is not passed on. Else those of sources
            whose card does not allow it are left out, and those of sources without a card.
        loaders: Folders with more loaders and their cards.

    Returns:
        ``folder / "report" / "index.html"``.

    Raises:
        BaselineError: It is no experiment, or predictions are missing.
    """
    from med_mat.baselines.report.page import render
    from med_mat.baselines.report.results import gather, strongest
    from med_mat.baselines.report.samples import sample_answers
    from med_mat.baselines.report.tables import TABLES, csv_tables, markdown
    from med_mat.files import replacing
    from med_mat.registry import registry

    results = gather(folder)
    rights = {source.slug: source.card.redistribution for source in registry(loaders)}
    trials = [line.outcome for line in strongest(results.lines)]
    samples = sample_answers(folder, results.outcomes, trials, rights, all_pictures=all_pictures)
    tables = csv_tables(results)
    out = folder / FOLDER
    out.mkdir(exist_ok=True)
    pages = {
        **tables,
        MARKDOWN: markdown(results),
        PAGE: render(results, samples, [*tables, MARKDOWN]),
    }
    for name in set(TABLES) - set(tables):
        (out / name).unlink(missing_ok=True)
    for name, text in pages.items():
        with replacing(out / name) as part:
            part.write_text(text, encoding="utf-8")
    return out / PAGE
