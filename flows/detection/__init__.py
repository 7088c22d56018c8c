"""The detection system as flows see it: parameters, stages, what is shown."""
