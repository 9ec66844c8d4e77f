"""Ranks documents by their vectors, exactly or with an approximate index.

Exact search reads a corpus block by block. `exact.search_block` (inner product) and
`maxsim.search_block` (late interaction) search one block. `topk.TopK` merges the results of all
blocks, so no index of a whole corpus is needed.
"""
