"""What may go wrong at the command line that its user can mend, each said in one line."""

from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from control.domain.errors import Invalid, NotFound
from control.serve.lock import AlreadyRunning
from control.serve.ports import Taken
from control.settings import BadSetting
from control.store import SealingError

MENDABLE = (
    AlreadyRunning,
    BadSetting,
    Invalid,
    ModuleNotFoundError,
    NotFound,
    OSError,
    SealingError,
    SQLAlchemyError,
    Taken,
)


def explained(error: Exception) -> tuple[str, ...]:
    """The lines for an error of MENDABLE: one, or one for each problem."""
    match error:
        case Invalid():
            return tuple(map(str, error.problems))
        case _:
            return (_line(error),)


def _line(error: Exception) -> str:
    match error:
        case ModuleNotFoundError() | NoSuchModuleError():
            return f"the database driver for GARRISON_DATABASE_URL is not installed ({error})"
        case SealingError():
            return f"{error}: GARRISON_SECRET_KEY or secret.key in the data folder is not the one the database has"
        case SQLAlchemyError():
            return f"the database refused: {str(error.__cause__ or error).splitlines()[0]}"
        case _:
            return str(error)
