"""Clips: manifests, importers, checks, group splits, leakage audit, prepared corpora."""
