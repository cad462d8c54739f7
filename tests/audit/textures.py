"""Pictures with the frequencies of photographs, and what people do to copies of them."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageEnhance, ImageOps


def texture(seed: int, width: int = 220, height: int = 180, fineness: float = 1.3) -> Image.Image:
    """Noise whose power falls with its frequency."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = 1
    spectrum = rng.normal(size=frequency.shape) + 1j * rng.normal(size=frequency.shape)
    spectrum[0, 0] = 0
    plane = np.fft.irfft2(spectrum / frequency**fineness, s=(height, width))
    plane = np.clip(128 + 45 * plane / plane.std(), 0, 255)
    return Image.fromarray(plane.astype(np.uint8))


def follow_up(seed: int, visit: int) -> Image.Image:
    """The same outlines with other details: another film of one patient, the next slice of a volume."""
    outline = texture(seed, fineness=2.4)
    return Image.blend(outline, texture(1000 * seed + visit, fineness=0.9), 0.45)


def jpeg(image: Image.Image, quality: int = 50) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    copy = Image.open(stream)
    copy.load()
    return copy


def cropped(image: Image.Image, share: float) -> Image.Image:
    dx, dy = int(share * image.width), int(share * image.height)
    return image.crop((dx, dy, image.width - dx, image.height - dy))


def framed(image: Image.Image) -> Image.Image:
    return ImageOps.expand(image, (30, 14, 22, 18), 0)


COPIES = {
    "recompressed": jpeg,
    "scaled": lambda image: image.resize((image.width * 2 // 3, image.height * 2 // 3), Image.Resampling.LANCZOS),
    "squashed": lambda image: image.resize((128, 128), Image.Resampling.BICUBIC),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.25),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.4),
    "mirrored": ImageOps.mirror,
    "upside down": ImageOps.flip,
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "cut by 3%": lambda image: cropped(image, 0.03),
    "cut by 8%": lambda image: cropped(image, 0.08),
    "framed": framed,
    "coloured": lambda image: ImageOps.colorize(image, "black", "#fff0e0"),
}


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()
