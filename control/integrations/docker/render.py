"""An outpost as containers: what `control.fleet.launch` knows of starting one, in the form that Docker gets.

What types differ in is a table: which ports clients come to, and which containers go along.
"""
