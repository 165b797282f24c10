"""What a prediction rests on: search over a cohort, names of codewords, maps of tiles and slides.

Only `attribution` may compute with torch.
"""
