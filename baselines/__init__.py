"""Fine-tuning and scoring of image-text-to-text models on Med-MAT. Needs the extra ``med-mat[baselines]``."""
