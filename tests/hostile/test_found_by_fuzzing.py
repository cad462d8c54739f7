"""What fuzzing has found (see ``tests/fuzz``), each as small as it could be made."""

from __future__ import annotations

import faulthandler
import gzip
import io
import logging
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from tiny import card_text, noise
from world import zipped

from med_mat.card import parse_card
from med_mat.errors import CardError, ImageError, LayoutError
from med_mat.images import dropped, examine, frame_count
from med_mat.raw import RawRoot
from med_mat.raw.patterns import compile_patterns
