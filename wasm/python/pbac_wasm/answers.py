"""The shapes of what is answered. All times are microseconds since 1970-01-01T00:00:00Z."""

from typing import Literal, NotRequired, TypedDict


class Decision(TypedDict):
    """A decision with its reason; `role` and `pattern` where the reason has them."""

    decision: Literal["allow", "deny"]
    reason: Literal["role", "override", "explicit_deny", "no_grant", "unknown_permission", "invalid_request"]
    role: NotRequired[str]
    pattern: NotRequired[str]


class Rule(TypedDict):
    """A rule that applies to the user: of a role (`role`, held `through` one of the user's) or an override (`effect`, …)."""

    kind: Literal["role", "override"]
    pattern: str
    role: NotRequired[str]
    through: NotRequired[str]
    effect: NotRequired[Literal["allow", "deny"]]
    expires_at: NotRequired[int | None]
    note: NotRequired[str]


class NearMiss(Rule):
    """A grant that matches the first segments of a permission, but not all of it."""

    matching_segments: int


class Explanation(Decision):
    """A decision with every rule that had a say in it."""

    winner: Rule | None
    # The other rules that match, in the order in which they would have decided.
    shadowed: list[Rule]
    # Overrides that match and have expired.
    expired: list[Rule]
    # Where nothing grants it: the user's grant that matches the most segments from the left.
    nearest: NearMiss | None
    # Spellings among the roles that the policy does not know.
    unknown_roles: list[str]


class Holders(TypedDict):
    """Who holds a permission, in byte order."""

    roles: list[str]
    users: list[str]


class Claims(TypedDict):
    """The claims of a token that holds. `str(claims["user_id"])` is the user of a question."""

    # The name of the key that signed it, and whether the token named that key itself.
    key: str
    named_key: bool
    user_id: str | int | None
    username: str | None
    email: str | None
    roles: list[str]
    exp: int
    iat: int | None
