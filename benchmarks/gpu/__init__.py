"""How near does this software come to what a GPU can do?

texts      texts of random words, with a tokenizer to go with them: no network is needed
bare       one script for a card: neither Ray nor a network, ten minutes at most
matrices   the card's rate of matrix products through onnxruntime
runs       tokens, images and texts a second of a session and of a replica in this process
small_models  one of every architecture and head
parity     float16 on the card against float32 on the CPU
peer       sentence-transformers on the same weights, if it is installed
feeding    what one replica's process feeds, with a stand-in for the card
stack      through the whole service
"""
