"""The report of an experiment with damaged weights."""
