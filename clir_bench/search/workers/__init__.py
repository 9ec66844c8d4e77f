"""Who turns texts into vectors: this process, other processes of this machine, or a cluster.

    executor.py batches of texts, their vectors, and the executor that is this process
    pool.py     gives batches to workers, returns vectors in order, replaces lost workers
    local.py    workers that are processes of this machine, one per GPU or per few cores
    serve.py    what such a process runs
    messages.py what it and this process send each other
    ray.py      workers that are actors of a Ray cluster
    plan.py     how many workers, and whether they are worth it

Reading, storing, searching and scoring stay in the process that started the run: workers need the
model, but neither the data nor a shared folder. A batch is the different texts of a window
(`outline`) on any worker, so one worker and twenty give the same vectors to the last bit.
"""
