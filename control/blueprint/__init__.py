"""`garrison apply`: files that say which objects there are to be, and what is done about it, all or nothing.

`parse` makes entries of files (pure but for the files and variables they name), `perform` carries them out through
the same commands as the admin interface, in one unit of work.
"""

from control.blueprint.apply import Run, apply_files
from control.blueprint.perform import Outcome

__all__ = ["Outcome", "Run", "apply_files"]
