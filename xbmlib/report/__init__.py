"""The study as a static site: claims, executed notebooks and an explorer of retrieved images."""
