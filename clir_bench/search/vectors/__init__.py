"""Stores document vectors on disk, so that a killed run loses at most the shard it was making.

    <folder>/<key>/entry.json                  what the vectors are of, for people and for checking
                   000000.json                 shard 0 is done: its counts and checksums
                   000000-<sha256>.f32         its vectors, float32, row by row
                   .in-use                     locked by runs that read or write the entry

The folder of one key is called an entry. The key is a hash of everything that decides the vectors:
the encoder, and the documents as they are encoded (`cache_key`). A shard holds the vectors of
several windows of documents (`tasks.outline`) in corpus order. If documents changed since they were
checked, the run notices before it encodes them, so no shard holds them. Vectors are stored as they
were encoded; a text in several windows gets its first vector when shards are read (`repeats`).

A shard's vectors are written to a temporary file, which then gets its final name, with the hash of
its content. After that, the shard's manifest is written in the same way; with it, the shard is
done. So a process killed at any point leaves no half file under a final name, and two processes
that encode one shard never write different content to one file. A shard with a wrong checksum is
encoded again.

For late interaction, the file holds the token vectors of all documents one after another, then the
number of tokens of each document, int64.
"""
