"""Duke Liver Dataset, version 2: the layout of version 1."""

from med_mat.loaders.duke_liver_v1 import samples

__all__ = ["samples"]
