"""What the models of checkpoints are made of.

checkpoint   a model's files as Hugging Face lays them out
transformer  records that say what a transformer encoder is made of
projection   the linear layers that sentence-transformers puts behind a checkpoint
rotary       what a config.json says of rotary positions
known        the architectures by the model type that a config.json names
bert, ...    one architecture each: from a config.json to a record
"""
