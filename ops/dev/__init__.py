"""Tools that write generated files of the checkout anew, and build the documentation site."""
