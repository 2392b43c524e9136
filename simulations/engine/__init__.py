"""The sweep engine: every cell of a grid evaluated once, with the same result whatever the schedule.

study      what a study and a cell are; a cell's key, seed and result
grid       the grid in TOML, as a lazy sorted stream of cells
journal    append-only records of finished cells, each checking itself
index      which cells are finished, 48 bytes a cell
table      journals to one sorted Parquet
folder     the folder of a sweep; merging folders
sweep      a sweep from start to end, in one process
processes  the same on local processes
cluster    the same on an existing Dask cluster
precision  draws until an interval is narrow enough
"""
