"""Blueprints as texts, applied to a store of the test's own."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from control.blueprint import Run, apply_files
from control.domain.errors import Invalid
from control.store import Actor, Store

OWN = "https://garrison.example.com"


class Applier:
    """Applies texts as files of one folder."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder

    def __call__(self, *texts: str, **environment: str) -> list[str]:
        return self.run(texts, environment)

    def dry(self, text: str) -> list[str]:
        return self.run([text], {}, dry_run=True)

    def run(self, texts: Sequence[str], environment: dict[str, str], *, dry_run: bool = False) -> list[str]:
        run = Run(
            files=self.write(texts),
            own_url=OWN,
            actor=Actor(name="cli"),
            environment=environment,
            dry_run=dry_run,
        )
        return [str(outcome) for outcome in apply_files(self.store, run)]

    def refused(self, *texts: str, **environment: str) -> list[str]:
        with pytest.raises(Invalid) as caught:
            self(*texts, **environment)
        return [str(problem).replace(f"{self.folder}/", "") for problem in caught.value.problems]

    def write(self, texts: Sequence[str]) -> list[Path]:
        files = [self.folder / f"{place}.yaml" for place in range(len(texts))]
        for file, text in zip(files, texts, strict=True):
            file.write_text(text)
        return files
