"""Slides handed out to the workers of a Dask cluster, one task for each slide or part of one.

Each output is made under a lock, so that it is made once whatever the cluster does twice.
"""
