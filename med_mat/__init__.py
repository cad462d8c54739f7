"""Med-MAT: public medical imaging datasets as one MAT-labelled visual question answering dataset."""

__version__ = "0.1.0.dev0"
