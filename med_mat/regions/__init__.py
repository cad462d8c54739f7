"""Regions: masks and boxes of any form become the objects and the label map of a row."""

from med_mat.regions.boxes import (
    SLACK,
    Box,
    Form,
    Style,
    canonical,
    edges,
    format_boxes,
    from_relative,
    from_xyxy,
    parse_boxes,
    to_xyxy,
)
from med_mat.regions.coco import CocoPicture, coco_pictures
from med_mat.regions.components import (
    SPECK_PIXELS,
    SPECK_SHARE,
    Component,
    Mask,
    components,
    mask_boxes,
    speck_limit,
)
from med_mat.regions.draw import Drawn, Rules, draw, mask_hash, mask_png
from med_mat.regions.labelmap import LabelMap, fit_mask, label_map, label_masks
from med_mat.regions.model import Object, Regions, united
from med_mat.regions.pixels import JPEG_THRESHOLD, binary_mask, class_masks, colour_masks, mask_pixels
from med_mat.regions.polygons import polygon_mask, ring_box, ring_of_numbers
from med_mat.regions.rewrite import BOX_INSTRUCTIONS, BOX_STYLES, BoxStyle, rewrite_boxes
from med_mat.regions.runs import (
    KAGGLE_COLUMNS,
    KAGGLE_ROWS,
    SIIM_ACR,
    RunDialect,
    decode_coco_runs,
    decode_runs,
    encode_runs,
)
from med_mat.regions.stored import orientation_of, stored_values, undo_orientation
from med_mat.regions.voc import VocAnnotation, voc_annotation

__all__ = [
    "BOX_INSTRUCTIONS",
    "BOX_STYLES",
    "JPEG_THRESHOLD",
    "KAGGLE_COLUMNS",
    "KAGGLE_ROWS",
    "SIIM_ACR",
    "SLACK",
    "SPECK_PIXELS",
    "SPECK_SHARE",
    "Box",
    "BoxStyle",
    "CocoPicture",
    "Component",
    "Drawn",
    "Form",
    "LabelMap",
    "Mask",
    "Object",
    "Regions",
    "Rules",
    "RunDialect",
    "Style",
    "VocAnnotation",
    "binary_mask",
    "canonical",
    "class_masks",
    "coco_pictures",
    "colour_masks",
    "components",
    "decode_coco_runs",
    "decode_runs",
    "draw",
    "edges",
    "encode_runs",
    "fit_mask",
    "format_boxes",
    "from_relative",
    "from_xyxy",
    "label_map",
    "label_masks",
    "mask_boxes",
    "mask_hash",
    "mask_pixels",
    "mask_png",
    "orientation_of",
    "parse_boxes",
    "polygon_mask",
    "rewrite_boxes",
    "ring_box",
    "ring_of_numbers",
    "speck_limit",
    "stored_values",
    "to_xyxy",
    "undo_orientation",
    "united",
    "voc_annotation",
]
