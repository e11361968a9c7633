"""The study: which runs make up a figure, how they are trained, and what they say."""
