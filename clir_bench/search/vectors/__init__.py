"""Vectors of documents on disk, so that a killed run loses no more than the shard in hand.

    <folder>/<key>/entry.json                  what the vectors are of, for people and for checking
                   000000.json                 shard 0 is done: its counts and checksums
                   000000-<sha256>.f32         its vectors, float32, row by row
                   .in-use                     locked by runs that read or write the entry

The key is a hash of everything that decides the vectors: the documents as they are encoded and the
encoder (`cache_key`). A shard is some windows of documents (`outline`) in the corpus' own order.
Documents that changed since they were checked are found before they are encoded, so no shard holds
them. Vectors are stored as they were encoded: texts of several windows get the vector of the first
when shards are read (`repeats`).

A shard's vectors are written beside and renamed to a name that tells their content, then its
manifest is written beside and renamed: a shard is done when its manifest is there. Whatever a
process is killed at, no file is half there, and two processes that encode one shard never write one
file with different content. A shard whose checksum is wrong is encoded again.

Vectors of late interaction are all documents' tokens below one another, followed by the number of
tokens of each document, int64.
"""
