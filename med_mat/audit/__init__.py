"""Audit: pictures that several rows share, answers that contradict, questions that give themselves away."""
