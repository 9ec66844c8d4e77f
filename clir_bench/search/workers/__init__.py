"""Who turns texts into vectors: this process, several on this machine, or a cluster's.

    executor.py batches of texts, what comes back, and the executor that is this process
    pool.py     hands batches to workers, in order back; replaces those that are lost
    local.py    workers that are processes of this machine, one a GPU or a few cores each
    serve.py    what such a process runs
    ray.py      workers that are actors of a Ray cluster
    plan.py     how many workers, and whether it is worth it

Reading, storing, searching and scoring stay where the run was started: workers need the model and
neither the data nor a folder in common. A batch is the different texts of a window (`outline`)
whoever encodes it, so the vectors of one worker and of twenty are the same to the last bit.
"""
