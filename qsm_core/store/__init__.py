"""Stage outputs, stored by everything that decides them, so that no work is done twice.

A stage is a pure function from a spec to a folder of files. `spec` says what the work is and
gives it a key, `store` keeps the folder under that key, `explain` says why a stage must run.
"""
