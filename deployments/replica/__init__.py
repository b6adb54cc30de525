"""The replica of a model.

replica   takes batches, gives embeddings
served    the class of the Serve deployment
fetching  one that fetches its files if its node does not have them
settings  its `user_config`
loading   loads the model and warms it up
work      a batch on its way
queue     what waits, and which of it goes well together
worker    the threads that run the model
memory    memory that was freed, and that the system could use
gpu       the memory of this process's GPU
channel_server  takes calls from its own machine over a socket
"""
