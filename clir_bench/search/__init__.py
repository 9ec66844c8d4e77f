"""Exact search over blocks of document vectors, and the merge that makes it exact over all blocks.

`exact.search_block` (FAISS, inner product) and `maxsim.search_block` (late interaction) search one
block of documents. `topk.TopK` merges blocks, so no index of a whole corpus is needed.
"""
