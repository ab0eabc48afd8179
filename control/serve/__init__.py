"""`garrison serve`: the processes of one machine, started, watched, restarted and ended together.

The parent holds no truth and serves no application: it starts children, notes how they fare, and merges their metrics.
"""
