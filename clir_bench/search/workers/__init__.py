"""Encodes texts in this process, in worker processes on this machine, or on a Ray cluster.

    executor.py batches of texts, their vectors, and the executor for this process
    pool.py     gives batches to workers, returns vectors in order, replaces lost workers
    local.py    workers that are processes of this machine, one per GPU or per few cores
    serve.py    the program of such a worker
    messages.py the messages between such a worker and this process
    ray.py      workers that are actors of a Ray cluster
    plan.py     how many workers, and whether they are worth it

Reading, storing, searching and scoring stay in the process that started the run: workers need the
model, but neither the data nor a shared folder. A batch always holds the different texts of one
window (`tasks.outline`), so one worker and twenty give the same vectors to the last bit.
"""
