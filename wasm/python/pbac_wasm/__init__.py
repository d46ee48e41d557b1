"""The policy core of pbac in Python: the same answers, by the same code, as everywhere else."""

from pbac_wasm.answers import Claims, Decision, Explanation, Holders, Rule
from pbac_wasm.errors import PbacError, TokenError
from pbac_wasm.module import Pbac
from pbac_wasm.policy import Policy
from pbac_wasm.ring import KeyRing
from pbac_wasm.session import Session

__all__ = [
    "Claims",
    "Decision",
    "Explanation",
    "Holders",
    "KeyRing",
    "Pbac",
    "PbacError",
    "Policy",
    "Rule",
    "Session",
    "TokenError",
]
