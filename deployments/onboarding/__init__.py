"""A model of one's own: its files are inspected, and it is checked and timed without Ray.

adding      from a folder or a repository to cards that were checked
inspection  from the files of a model to its entry in the catalogue
in_process  runs a model with no replica around it
self_check  whether it gives vectors, and the same ones whatever they are computed with
benchmark   how fast it is here
"""
