"""arthrosis: crops of growth zones of children's hands, one folder per joint and stage of maturity."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.sample import Sample

SITES = {
    "DIP": "distal phalanx of a finger",
    "DIPFirst": "distal phalanx of the thumb",
    "MCP": "metacarpal of a finger",
    "MCPFirst": "metacarpal of the thumb",
    "MIP": "middle phalanx of a finger",
    "PIP": "proximal phalanx of a finger",
    "PIPFirst": "proximal phalanx of the thumb",
    "Radius": "distal radius",
    "Ulna": "distal ulna",
}


def samples(raw: RawRoot) -> Iterator[Sample]:
    for image in raw.glob(f"{{{','.join(SITES)}}}/{{[1-9],0[1-9],1[0-4]}}/*.{{png,jpg,jpeg}}"):
        joint, folder, name = image.key.parts
        stage = folder.lstrip("0")
        yield Sample(image, labels=[stage], key=f"{joint}/{stage}/{name}", extra={"site": SITES[joint]})
