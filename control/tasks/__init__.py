"""Background work: a queue in the database, the process that works on it, and what each kind of task does.

`context` is what a task gets, `kinds` the table of tasks; `process` is what `garrison serve` starts.
"""
