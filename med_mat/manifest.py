"""The manifest of a build: what each source has, what was left out and why, and the hash of every shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from med_mat import __version__
from med_mat.encode import ShardRecord
from med_mat.plan import SPLITS, SourcePlan
from med_mat.sample import Split
from med_mat.schema import SCHEMA_VERSION


def build_manifest(
    plans: Sequence[SourcePlan],
    out: Path,
    records: Mapping[Path, ShardRecord],
    summaries: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Describes a build. Holds no time and no place: equal builds have equal manifests.

    ``losses`` names raw files, so it is empty for a source whose file names are private; ``left_out`` counts them.
    ``disputed`` counts by split the rows whose picture another source answers differently, and lists each with a row
    of that source and what the two say; ``splits`` counts them too. ``withdrawn`` lists published rows that are left
    out, since they overlap what is published in another split.

    Args:
        plans: Plans of the sources, in order of admission.
        out: The build's folder.
        records: Shard file to what it holds.
        summaries: Slug to what its index found, as ``Index.as_dict`` gives it.
    """
    sources = {plan.card.slug: _entry(plan, out, records, summaries[plan.card.slug]) for plan in plans}
    return {
        "med_mat": __version__,
        "schema": SCHEMA_VERSION,
        "rows": sum(entry["rows"] for entry in sources.values()),
        "sources": sources,
    }


def _entry(
    plan: SourcePlan, out: Path, records: Mapping[Path, ShardRecord], summary: Mapping[str, Any]
) -> dict[str, Any]:
    by_split = {split: plan.table.filter(pc.equal(plan.table["split"], split)) for split in SPLITS}
    by_split = {split: rows for split, rows in by_split.items() if rows.num_rows}
    folder = out / "data" / plan.card.slug
    return {
        "rows": plan.table.num_rows,
        "splits": {split: rows.num_rows for split, rows in by_split.items()},
        "labels": {split: _labels(rows) for split, rows in by_split.items()},
        "groups": pc.count_distinct(plan.table["group"]).as_py(),
        "redistribution": plan.card.redistribution,
        "files": summary["files"],
        "samples": summary["samples"]["total"],
        "missing": summary["missing"]["total"],
        "left_out": {**summary["left_out"], **plan.left_out},
        "losses": [] if plan.card.path_ids == "private" else _losses(plan),
        "odd": _count(oddity["kind"] for oddity in summary["odd"]),
        "undeclared": _count(
            [
                *(oddity["kind"] for oddity in summary["odd"] if not oddity["declared"]),
                *(oddity.kind for oddity in plan.undeclared),
            ]
        ),
        "follow_an_earlier_source": plan.moved,
        "disputed": {
            "splits": {split: number for split, number in _disputed(plan, by_split).items() if number},
            "rows": [[name, dispute.other, dispute.said] for name, dispute in plan.disputed.items()],
        },
        "withdrawn": list(plan.withdrawn),
        "shards": {
            path.relative_to(out).as_posix(): asdict(record)
            for path, record in sorted(records.items())
            if path.parent == folder
        },
    }


def _disputed(plan: SourcePlan, by_split: Mapping[Split, pa.Table]) -> dict[Split, int]:
    named = pa.array(plan.disputed, pa.string())
    return {split: pc.sum(pc.is_in(rows["id"], value_set=named)).as_py() for split, rows in by_split.items()}


def _losses(plan: SourcePlan) -> list[list[str]]:
    return sorted([loss.raw_path, loss.reason, loss.detail] for loss in plan.losses if loss.kind != "split")


def _labels(rows: pa.Table) -> dict[str, int]:
    return _count(rows["labels"].combine_chunks().flatten().to_pylist())


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
