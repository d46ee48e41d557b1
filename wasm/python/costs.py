"""What a check costs in Python: `python costs.py MODULE BUNDLE` (BUNDLE: `pbac bundle build --policy examples/erp/policy.toml`).

Each row is the least of many short rounds, in which the rows take turns, so that what else runs on the machine falls on all of them.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from pbac_wasm import Pbac

ROUNDS = 600
CALLS = 100


def main(module: str, bundle: str) -> None:
    begun = time.perf_counter()
    policy = Pbac.load(module).policy(Path(bundle).read_bytes())
    print(f"{(time.perf_counter() - begun) * 1000:9.0f} ms  to compile the module and load the policy")
    promised = Pbac.load(module, fast_calls=False).policy(Path(bundle).read_bytes())
    roles, names = ["PURCHASING_HEAD"], policy.permissions
    questions = [(str(10_000 + at * 7), names[at * 31 % len(names)]) for at in range(1024)]
    sessions = [policy.session(user, roles=roles) for user, _ in questions]
    for (user, permission), session in zip(questions, sessions, strict=True):
        expected = policy.decide(user, permission, roles=roles)["decision"] == "allow"
        answers = policy.check(user, permission, roles=roles), promised.check(user, permission, roles=roles), session.allows(permission)
        if answers != (expected,) * 3:
            raise ValueError("a wrong answer is not timed")
    permissions = [permission for _, permission in questions]
    rows: dict[str, tuple[int, Callable[[int], object]]] = {
        "nothing, for the rows below": (1, lambda at: questions[at]),
        "policy.check": (1, lambda at: policy.check(*questions[at], roles=roles)),
        "policy.check, fast_calls=False": (1, lambda at: promised.check(*questions[at], roles=roles)),
        "policy.decide": (1, lambda at: policy.decide(*questions[at], roles=roles)),
        "policy.session": (1, lambda at: policy.session(questions[at][0], roles=roles)),
        "policy.check_all of 1,024, each": (1024, lambda at: policy.check_all("7", permissions, roles=roles)),
        "session.allows": (1, lambda at: sessions[at].allows(questions[at][1])),
    }
    least = dict.fromkeys(rows, float("inf"))
    for turn in range(ROUNDS):
        for name, (each, ask) in rows.items():
            calls = 1 if each > 1 else CALLS
            begun = time.perf_counter()
            for call in range(calls):
                ask((turn + call) & 1023)
            least[name] = min(least[name], (time.perf_counter() - begun) / (calls * each))
    for name, seconds in least.items():
        print(f"{seconds * 1e6:9.3f} µs  {name}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python costs.py MODULE BUNDLE")
    main(*sys.argv[1:])
