"""Who works on a file or a folder just now, told by a file beside it."""
