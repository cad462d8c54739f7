"""COVID-19-CT SCAN IMAGES of Tianchi, in truth chest radiographs: one folder of positives, one of negatives."""

import re
from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob("*{Pos,Neg}_Samples*/*.{jpeg,jpg,png}"):
        # Of the long names of the folders only this part is certain.
        kind = "Pos" if "pos_samples" in image.parent.name.lower() else "Neg"
        folder = f"COVID-19-CT SCAN IMAGES_{kind}_Samples_datasets"
        yield Sample(image, key=f"{folder}/{image.name}", labels=[folder], group=study_or_figure(image.stem))


def study_or_figure(stem: str) -> str:
    kermany = re.match(r"(NORMAL2-)?IM-\d+", stem)
    # The other names are those of figures of articles: kjr-21-e24-g001-l-a, jkms-35-e79-g001-l-c, …main.pdf-002-a1.
    figure = re.sub(r"(?<=\d)[a-d]\b|(-\d{3})?(-[a-z]\d?)*(-day\d+)?$", "", stem)
    return kermany[0] if kermany else figure
