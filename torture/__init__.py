"""Try to lose work, crash the program and let secrets out; a table tells how often that failed.

Run from the root of the repository: ``python -m torture``. Nothing here is installed.
"""
