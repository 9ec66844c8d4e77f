"""Systems that translate: the queries, or the documents, before another system gets them."""
