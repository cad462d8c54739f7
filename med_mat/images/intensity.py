"""From more than 8 bits to 8: which intensities become black and which white.

The rule, for gray pictures that say nothing about how they are to be shown: values that already lie in 0..255
stay as they are; otherwise the 0.5th percentile becomes 0, the 99.5th becomes 255, and what lies between is
scaled linearly. Percentiles, because one hot pixel or a burned-in letter would leave the picture black under
a rule of minimum and maximum; and not the format's full range, because 16-bit medical files mostly hold 10 to
14 bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from med_mat.errors import ImageError

LOW_PERCENTILE = 0.5
HIGH_PERCENTILE = 99.5

_ROWS = 256  # rows scaled at a time: floats of a whole picture would take eight times its memory


def to_8bit(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Apply the rule to one picture.

    Args:
        values: Array of shape (height, width), integer or float. NaN and infinite values become 0 and do not
            count.

    Returns:
        Array of the same shape.

    Raises:
        ImageError: No finite value at all.
    """
    low, high = value_range(values)
    return scale(values, low, high)


def value_range(values: npt.NDArray[Any], excluded: npt.NDArray[np.bool_] | None = None) -> tuple[float, float]:
    """The values that become 0 and 255 under the rule.

    Args:
        values: Array of any shape.
        excluded: Same shape; True where a value does not count (padding).

    Returns:
        ``(0, 255)`` if every value lies there; else the two percentiles; minimum and maximum where the
        percentiles coincide.

    Raises:
        ImageError: No value is left to look at.
    """
    counted = values if excluded is None else values[~excluded]
    if counted.dtype.kind == "f":
        counted = counted[np.isfinite(counted)]
    if counted.size == 0:
        raise ImageError("the picture holds no value that may be shown: only padding, or not a number")
    smallest, largest = float(counted.min()), float(counted.max())
    if smallest >= 0 and largest <= 255 and values.dtype.kind != "f":
        return 0.0, 255.0
    # "nearest" is a value of the picture, so nothing depends on how a library interpolates.
    low, high = np.percentile(counted, (LOW_PERCENTILE, HIGH_PERCENTILE), method="nearest")
    if low == high:
        return smallest, largest
    return float(low), float(high)


def scale(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    """Scale linearly: ``low`` and below to 0, ``high`` and above to 255, halves upwards.

    Args:
        values: Array of shape (height, ...).
        low: Value that becomes 0.
        high: Value that becomes 255. Equal to ``low`` in a picture of one value, which becomes 0.
    """
    scaled = np.zeros(values.shape, np.uint8)
    if high <= low:
        return scaled
    for start in range(0, len(values), _ROWS):
        part = values[start : start + _ROWS].astype(np.float64)
        part = np.nan_to_num((part - low) * (255.0 / (high - low)), nan=0.0, posinf=0.0, neginf=0.0)
        scaled[start : start + _ROWS] = np.floor(np.clip(part, 0.0, 255.0) + 0.5)
    return scaled


def high_byte(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """16-bit colour to 8-bit: the high byte, for colour files use the full range that their format states."""
    return (values >> 8).astype(np.uint8)
