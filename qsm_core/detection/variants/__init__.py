"""Training sets made of labelled recordings: which clips, which noise, which splits."""
