"""The results of runs, on disk and in memory."""
