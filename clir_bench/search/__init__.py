"""Exact search over blocks of document vectors, and the merge that makes it exact over all.

`exact.search_block` (FAISS, inner product) and `maxsim.search_block` (late interaction) answer one
block of documents; `topk.TopK` merges blocks, so that no index of a whole corpus need exist.
"""
