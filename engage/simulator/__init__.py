"""A carrier for development, demonstration and tests.

It speaks the telecom provider's REST API, signs its callbacks and shows every phone it has written to as a handset
page. It is a process of its own with its own log and imports nothing of the product: whatever it knows about
Engage came over HTTP.
"""
