"""Detectors compared on recordings that none of them was trained on."""
