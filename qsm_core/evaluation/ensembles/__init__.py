"""Ensembles of the models of several training seeds, from their stored scores."""
