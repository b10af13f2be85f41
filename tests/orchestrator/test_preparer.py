"""What was worked out about a program and then removed is worked out anew by whoever needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from circuits.features import features
from orchestrator.job import Failure, JobSpec
from orchestrator.preparation import ProgramFacts, preparation_key
from orchestrator.preparer import Preparer
from orchestrator.runtime import Leash, Prepared, PrepareWork, RuntimeFailure
from orchestrator.settings import Settings
from orchestrator.sql.store import SqlStore


def test_facts_that_were_removed_are_worked_out_anew(spec: JobSpec, settings: Settings, tmp_path: Path) -> None:
    asked: list[PrepareWork] = []
    facts = ProgramFacts("program", features(spec.program.load().build()), adaptive=False, ideal={"00": 1.0})

    class Hands:
        """Knows one program."""

        def prepare(self, work: PrepareWork, _: Leash) -> Prepared:
            asked.append(work)
            if len(asked) > 1:
                raise RuntimeFailure(Failure("prepare", "timeout", "it took too long"))
            return Prepared(facts, {})

    def preparer() -> Preparer:
        hands: Any = Hands()
        return Preparer(store, hands, settings)

    store = SqlStore(f"sqlite:///{tmp_path / 'qorch.sqlite'}")
    assert preparer().facts(spec.program) == facts
    assert preparer().facts(spec.program) == facts, "written down, and read by the next process"
    assert [work.devices for work in asked] == [()]
    assert list(store.prepared([preparation_key(spec.program)], [])) == [preparation_key(spec.program)]
    assert store.prune_programs() == 1
    assert preparer().facts(spec.program) is None, "who cannot work them out does without"
    store.close()
