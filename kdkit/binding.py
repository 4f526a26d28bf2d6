"""How a curriculum's balances get to know their objectives and the student."""

from kdkit.adaptors import Adaptor
from kdkit.balance import Balance
from kdkit.curriculum import Curriculum
from kdkit.student import Student

RESERVED = "balance:"
"""How the names of what balances train beside the student begin."""


def bind_balances(student: Student, curriculum: Curriculum) -> dict[str, Balance]:
    """Tell each balance its objectives, put its trainable part beside the student, and return all by key."""
    named: list[tuple[Balance, dict[str, None]]] = []
    for stage in curriculum:
        for objective in stage.objectives:
            if objective.balance is None:
                continue
            for balance, names in named:
                if balance is objective.balance:
                    names[objective.name] = None
                    break
            else:
                named.append((objective.balance, {objective.name: None}))
    for name in [name for name in student.adaptor_sources if name.startswith(RESERVED)]:
        student.detach(name)  # of an earlier distiller of the same student
    balances = {f"{RESERVED}{position}": balance for position, (balance, _) in enumerate(named)}
    for key, (balance, names) in zip(balances, named, strict=True):
        module = balance.bind(key, tuple(names))
        if module is not None:
            student.attach(key, Adaptor(None, module))
    return balances
