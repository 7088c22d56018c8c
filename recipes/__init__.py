"""How the models that lie in this repository were made. Not part of the installed package."""
