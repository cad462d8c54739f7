"""RSNA Pneumonia Detection Challenge 2018: DICOM radiographs, one class each, as Kaggle or as RSNA gives them out."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import DICOM_OR_CONVERTED, csv_rows, json_file
from med_mat.sample import Sample

CLASSES = "stage_2_detailed_class_info.csv"
ANNOTATIONS = "pneumonia-challenge-annotations-adjudicated-kaggle_2018.json"
MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find(DICOM_OR_CONVERTED, by="stem")
    nih = json_file(raw, MAPPING) if raw.maybe(MAPPING) else []
    if raw.maybe(ANNOTATIONS) and not raw.maybe(CLASSES):
        class_of = adjudicated_classes(raw)
        for entry in nih:
            label = class_of.get(entry["StudyInstanceUID"], "")
            image = images[entry["SOPInstanceUID"]]
            yield Sample(image, key=entry["subset_img_id"], labels=[label], group=entry["img_id"][:8])
        return
    patient_of = {entry["subset_img_id"]: entry["img_id"][:8] for entry in nih}
    rows = csv_rows(raw, CLASSES, columns=["patientId", "class"])
    # A row stands for a box: a picture with several boxes has as many rows.
    for name, label in dict.fromkeys((row["patientId"], row["class"]) for row in rows):
        yield Sample(images[name], key=name, labels=[label], split="train", group=patient_of.get(name))


def adjudicated_classes(raw: RawRoot) -> dict[str, str]:
    """Study to class. Each study is one picture; other label groups hold the readers' votes and remarks."""
    content = json_file(raw, ANNOTATIONS)
    groups = {group["name"]: group["labels"] for group in content["labelGroups"]}
    name_of = {label["id"]: label["name"].strip() for label in groups["Calculated"]}
    annotations = [annotation for dataset in content["datasets"] for annotation in dataset["annotations"]]
    return {
        annotation["StudyInstanceUID"]: name_of[annotation["labelId"]]
        for annotation in annotations
        if annotation["labelId"] in name_of
    }
