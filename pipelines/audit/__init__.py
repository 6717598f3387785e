"""Know a dataset before training on it: what it holds, what is missing, what is wrong, what leaks."""
