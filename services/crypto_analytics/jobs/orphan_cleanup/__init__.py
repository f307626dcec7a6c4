"""Removes archived objects that no transaction lists; run it now and then, it is never urgent."""
