"""From the files of a model to its entry in the catalogue.

inspect                which families the checkpoint holds, and the fields of each
repository             the files of a repository
sentence_transformers  what sentence-transformers says of pooling, window and prefixes
colbert                what ColBERT's own files say
"""
