"""The figures of the report: tables of an analysis in, matplotlib figures out.

Rates are shares from 0 to 1 in the tables and per cent in the figures. Figures are made without
pyplot, so they hold no global state and need no display. Each function works for any number of
systems and conditions: what does not fit side by side goes into a grid of panels.
"""
