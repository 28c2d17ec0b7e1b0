"""Texts as numbers: what counts as the same, how near two are, what one contains, what is wrong with one."""
