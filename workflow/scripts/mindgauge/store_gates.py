"""Gates asked of the entries behind them, not of this clone's files, nor of the checkpoints that the run at hand happens to have: what a
configuration asks for follows from its recipes alone, whatever ran here last."""

from typing import Any

from mindgauge import raw
from mindgauge.config import Settings
from mindgauge.errors import UserError
from mindgauge.plan import Plan, maker


class NotMade(Exception):
    """An entry behind a gate that was not made: what lies beyond cannot be known."""


class _Gates:
    """What the gates of one plan say, each read once."""

    plan: Plan

    def __init__(self, *, hashing: bool) -> None:
        self._hashing = hashing
        self._told: dict[str, dict[str, Any]] = {}

    def ask(self, gate: str, fact: str | None = None) -> dict[str, Any]:
        if gate not in self._told:
            kind, _, name = gate.partition("/")
            if kind == "raw":
                if not self._hashing and raw.remembered(name, self.plan.raw_token(name)) is None:
                    raise NotMade(gate)
                self._told[gate] = {"sha256": self.plan.raw_sha256(name)}
            else:
                where = self.plan.recipe(*maker(gate)).where
                if not self.plan.store.has(where):
                    raise NotMade(where)
                self._told[gate] = {**self.plan.store.manifest(where), "where": where}
        if fact and fact not in self._told[gate]["facts"]:  # an older program made it
            raise NotMade(gate)
        return self._told[gate]


def plan_of(settings: Settings, *, hashing: bool = True) -> Plan:
    """A plan that writes nothing, and raises NotMade where a gate does not tell. With `hashing` raw files are hashed that have changed
    since they were, which takes as long as reading them."""
    gates = _Gates(hashing=hashing)
    gates.plan = Plan(settings, gates.ask, main=False)
    return gates.plan


def current(settings: Settings) -> dict[str, str | None]:
    """`<step>/<names…>` of every view -> where in the store the entry is that it must show; None where that is not known."""
    plan = plan_of(settings, hashing=False)
    found: dict[str, str | None] = {}
    views = ((step, *names) for _, step, names, _ in plan.views())
    for step, *names in dict.fromkeys([("catalogue",), *views, *plan.further().values()]):
        try:
            found["/".join([step, *names])] = plan.recipe(step, *names).where
        except (NotMade, UserError, OSError):
            found["/".join([step, *names])] = None
    return found
