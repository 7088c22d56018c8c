"""Parameters and stages of `perturb_weights`."""
