"""Images from strangers: fetched by URL, taken apart, decoded, and cut to a model's size.

loader    the Serve deployment: from URLs and base64 to pixels
fetching  over HTTP, each hop checked anew
rules     what may be fetched
hosts     which addresses are public, and lists of hosts
urls      reads a URL so that what is checked is what is connected to
files     what an image file says of itself, before a decoder sees it
decoding  from a file's bytes to a square of pixels
"""
