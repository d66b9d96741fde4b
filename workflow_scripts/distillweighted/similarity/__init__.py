"""Who is near: how similar sources are to a target, and the weights that follow (section 4).

Every metric compares a source's representation of the probe images with their labels: arrays in,
one number out, larger is more similar; `metrics.registry` says of each in which range. The paper's
metrics, PARC, RSA and CKA, are in [-1, 1], and its scores 100 times these. Compare scores between
sources of one target only: the ceiling depends on the target's classes.
"""

from distillweighted.similarity.metrics.cka import cka
from distillweighted.similarity.metrics.parc import parc, rsa

__all__ = ["cka", "parc", "rsa"]
