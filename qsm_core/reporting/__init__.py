"""Tables, figures and the report of a whole job, made from stored predictions; no torch."""
