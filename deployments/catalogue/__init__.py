"""The catalogue of models: what each one is, and which options it takes.

yaml_files    YAML files that know the line of each key
faults        what is wrong with a record, in our own words
records       frozen records, and what is wrong with one
bm25_options  the options of BM25
families      what is true of every model of a family, one record each
card          what a model is
catalogue     all models by name, read from YAML files
entry         adds models to such a file
providers     the kinds of external providers, one record each
options       checks the options of an inference object
"""
