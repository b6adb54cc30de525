"""The files of models: where they come from, and the cache where they are kept.

store      the cache: pull, verify, pin, remove
sources    fetches the files of a source: wheel, hub, folder
hub        the model hub's API: which files a repository has
downloads  one file by HTTP, continued after a break, with progress
"""
