"""Tables as a reader sees them: headings, cells as text, and notes on what is missing.

The page, Prefect, LaTeX and Markdown take these views; the numbers are in `reporting.tables`.
"""
