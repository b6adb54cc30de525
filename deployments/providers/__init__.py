"""Models behind other people's HTTP APIs.

settings     how long a call may take, how often it is tried
translators  a batch in a provider's words, and its answer in ours
answers      what a provider answered, which is checked like any input
pictures     images as providers take them
refusals     what a provider's statuses mean for a caller
replies      what a provider's server sent back
client       the way there: one pool of connections a host
circuit      who need not be asked just now
providers    the Serve deployment
"""
