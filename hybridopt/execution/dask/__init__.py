"""Jobs on a Dask cluster: connection, rule of the cuts, and the executor."""
