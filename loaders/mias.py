"""mini-MIAS: numbered film mammograms, two of each woman; a list has a row of words for each abnormality."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import text_lines
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    films = raw.find("mdb[0-9][0-9][0-9].pgm", by="stem")
    for film, classes in classes_of_films(raw).items():
        number = int(film.removeprefix("mdb"))
        yield Sample(
            films[film],
            labels=sorted(classes),
            group=str((number + 1) // 2),
            extra={"laterality": "R" if number % 2 else "L"},
        )


def classes_of_films(raw: RawRoot) -> dict[str, set[str]]:
    table = raw.maybe("Info.txt") or raw.one("README")
    classes: dict[str, set[str]] = {}
    for line in text_lines(raw, str(table.key)):
        # Some copies explain the columns above the rows, others name them, or do neither.
        if line.startswith("mdb"):
            film, _, kind, *_ = line.split()
            classes.setdefault(film, set()).add(kind)
    return classes
