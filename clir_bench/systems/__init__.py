"""Systems: what `--model` names and a table compares.

A system gets groups of pairs that share a corpus, and yields a ranking for each pair (`answers`).
An encoder is a system by itself: `scheduler` runs it over the corpus. Other systems are made of
encoders and of each other: they fuse, re-rank or translate (`names` lists how they are written).
"""
