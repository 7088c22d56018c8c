"""Tables, figures and the report of a run, made from stored predictions; no torch."""
