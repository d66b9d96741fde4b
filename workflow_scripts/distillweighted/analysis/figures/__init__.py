"""The paper's figures and mean ranks, one module each: data frames in, a matplotlib figure out.

Each module makes its data frame from the tables, and draws it; `style.save` writes PNG and PDF.
Nothing is imported here: a job draws one figure, and the statistics of another would take most of
its time.
"""
