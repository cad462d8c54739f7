"""ISIC 2016 task 3B: the names of task 1, each mask beside its dermoscopic image."""

from med_mat.loaders.isic_2016_task_1 import samples

__all__ = ["samples"]
