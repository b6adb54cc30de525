"""One file each; their numbers sort by age."""
