"""A file of a stranger is opened here only after it was opened elsewhere, in a small process.

Formats are read by libraries in C, and a file that is damaged or made to do harm may end the
process, hang it, or take all memory. So a file that is new is tried once in a process with limits
(`trial.process`), by the very reader that is to read it (`trial.kinds`); `trial.proof_book`
remembers it until it changes.

Light to import: a command starts the process before it imports the readers.
"""
