"""The kinds of models: each prepares a batch and runs parts of it, knowing nothing of Ray, queues or budgets.

protocol          what every family does
loading           from the files of a model to the model
dense             text to one vector, from a BERT and a pooling
many              several kinds of vectors of a text in one run: BGE-M3
sparse            text to a sparse vector: SPLADE
late_interaction  text to a vector a token: ColBERT
cross_encoder     query and document to a score
clip_text         the text side of CLIP
clip_vision       the image side of CLIP
text_image        both sides of a model by one name: SigLIP
vision            what models that read images share
bm25              text to a sparse vector, by Qdrant's own code
text              what dense, sparse and clip_text share: a tokenizer, a network, and what is done with its output
tokenizing        from texts to token ids, and how a text was read
token_ids         token ids that somebody sends instead of a text
pooling           from rows of tokens to a row a text; normalization
chunks            batches cut by length, and their vectors put together
unicode           texts that other libraries take
"""
