"""The psychoacoustic conditions: what is done to a clip before a model hears it."""
