"""The paper's figures and mean ranks, one module each: data frames in, a matplotlib figure out.

Each module makes its data frame from the tables, and draws it; `save` writes it as PNG and PDF.
"""

from distillweighted.analysis.figures.critical_difference import critical_difference
from distillweighted.analysis.figures.fig1_weightings import fig1_weightings
from distillweighted.analysis.figures.fig3_single_source import fig3_single_source
from distillweighted.analysis.figures.fig4_similarity_vs_accuracy import fig4_similarity_vs_accuracy
from distillweighted.analysis.figures.fig5_accuracy_vs_compute import fig5_accuracy_vs_compute
from distillweighted.analysis.figures.fig6_effect_of_p import fig6_effect_of_p
from distillweighted.analysis.figures.style import save

__all__ = [
    "critical_difference",
    "fig1_weightings",
    "fig3_single_source",
    "fig4_similarity_vs_accuracy",
    "fig5_accuracy_vs_compute",
    "fig6_effect_of_p",
    "save",
]
