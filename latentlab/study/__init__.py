"""Questions asked of a generator and its spaces."""
