"""The paper's figures, one module each: data frames in, a matplotlib figure out.

`distillweighted.figure_data` makes the data frames. `save` writes a figure as PNG and PDF.
"""

from distillweighted.figures.fig1_weightings import fig1_weightings
from distillweighted.figures.fig3_single_source import fig3_single_source
from distillweighted.figures.fig4_similarity_vs_accuracy import fig4_similarity_vs_accuracy
from distillweighted.figures.fig5_accuracy_vs_compute import fig5_accuracy_vs_compute
from distillweighted.figures.fig6_effect_of_p import fig6_effect_of_p
from distillweighted.figures.style import save

__all__ = [
    "fig1_weightings",
    "fig3_single_source",
    "fig4_similarity_vs_accuracy",
    "fig5_accuracy_vs_compute",
    "fig6_effect_of_p",
    "save",
]
