"""browser: the error browser, a table of results to look through, mark and export."""
