"""`python -m control.main`: the same as the `garrison` command."""

from control.main import main

if __name__ == "__main__":
    raise SystemExit(main())
