"""Stage outputs kept by content: the same work is found again, and never done twice.

A stage is a pure function from a spec to a folder of files. `spec` says what the work is and
gives it a key, `store` keeps the folder under that key, `explain` says why a stage has to run.
"""
