"""The catalogue of models: what each one is, and which options it takes.

records       frozen records, and one line of what is wrong with one
bm25_options  the options of BM25
families      what is true of every model of a family, one record each
card          what a model is
catalogue     all models by name, read from YAML files
entry         adds models to such a file
options       checks the options of an inference object
"""
