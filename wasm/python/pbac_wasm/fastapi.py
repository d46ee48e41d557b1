"""Permissions as dependencies of FastAPI. The answers are those of the gateway (RFC 6750, RFC 9457)."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer

from pbac_wasm.answers import Claims
from pbac_wasm.errors import TokenError
from pbac_wasm.policy import Policy
from pbac_wasm.ring import KeyRing
from pbac_wasm.session import Session


@dataclass(frozen=True)
class Identity:
    """Who asks. `session.allows("po.view")` is a bit test, for further checks in a handler."""

    user: str
    claims: Claims
    session: Session


class Refused(HTTPException):
    """A request that does not pass; its detail is a problem document."""

    def __init__(self, status: int, title: str, detail: str, reason: str, *, permission: str | None = None, challenge: str | None = None) -> None:
        named = {} if permission is None else {"permission": permission}
        problem = {"type": "about:blank", "title": title, "status": status, "detail": detail, **named, "reason": reason}
        super().__init__(status, problem, None if challenge is None else {"WWW-Authenticate": challenge})


class Guard:
    """Makes `require_permission`. A request's token is verified and its session resolved once, however many checks follow."""

    def __init__(self, policy: Policy, ring: KeyRing, *, roles: Literal["token", "stored"] = "token", realm: str = "pbac") -> None:
        """`roles`: whether the claim `roles` of the token counts, or the roles that the bundle stores."""
        if roles not in ("token", "stored"):
            raise ValueError(f"roles is {roles!r}: it has to be `token` (the claim `roles`) or `stored` (those in the bundle)")
        if not re.fullmatch(r'[ !#-\[\]-~]*', realm):
            raise ValueError("realm has to be visible ASCII without quotes and backslashes")
        self._policy, self._ring, self._realm = policy, ring, realm
        self._named = roles == "token"
        # One function, since FastAPI asks a dependency once a request when it is the same one.
        self.identity = self._dependency()

    def install(self, application: FastAPI) -> None:
        """Lets refusals go out as `application/problem+json`. Without it they are the `detail` of FastAPI's own JSON."""
        application.add_exception_handler(Refused, _answer)

    def require_permission(self, permission: str) -> Callable[..., Awaitable[Identity]]:
        """A dependency that lets whoever holds the permission through, and says who it is."""

        async def check(identity: Identity = Depends(self.identity)) -> Identity:
            return identity if identity.session.allows(permission) else self._ask_again(identity, permission)

        return check

    def _dependency(self) -> Callable[..., Awaitable[Identity]]:
        # Only says in the OpenAPI document what is wanted: it reads the first of several headers.
        documented = HTTPBearer(auto_error=False)

        async def identity(request: Request, _: Any = Depends(documented)) -> Identity:
            try:
                claims = self._ring.verify(_bearer(request.headers.getlist("authorization")))
                if claims["user_id"] is None:
                    raise TokenError("no_user_id")
                user = str(claims["user_id"])
                return Identity(user, claims, self._policy.session(user, roles=self._roles(claims)))
            except TokenError as error:
                raise self._unauthorized(error.reason) from None
            except Exception as error:
                raise _unavailable() from error

        return identity

    def _ask_again(self, identity: Identity, permission: str) -> Identity:
        """What was denied by a bit has its reason here; or an override has ended while the request was under way."""
        roles = self._roles(identity.claims)
        try:
            decision = self._policy.decide(identity.user, permission, roles=roles)
            if decision["decision"] == "allow":
                return Identity(identity.user, identity.claims, self._policy.session(identity.user, roles=roles))
        except Exception as error:
            raise _unavailable() from error
        raise Refused(403, "Forbidden", f"the permission {permission} is needed", decision["reason"], permission=permission)

    def _roles(self, claims: Claims) -> list[str] | None:
        return claims["roles"] if self._named else None

    def _unauthorized(self, reason: str) -> Refused:
        # Without a token no error is named (RFC 6750 section 3.1). Reasons are single words, so they need no escapes.
        challenge = f'Bearer realm="{self._realm}"'
        if reason == _NO_TOKEN:
            return Refused(401, "Unauthorized", "a bearer token is needed", reason, challenge=challenge)
        challenge += f', error="invalid_token", error_description="{reason}"'
        return Refused(401, "Unauthorized", "the token is not accepted", reason, challenge=challenge)


_NO_TOKEN = "no_token"


def _bearer(values: list[str]) -> str:
    """The token of a request that has one `Authorization`, and in it a bearer token (RFC 6750 section 2.1)."""
    # A server could have joined two of them, and no token has a comma.
    if len(values) > 1 or any("," in value for value in values):
        raise TokenError("several_tokens")
    scheme, space, token = (values[0] if values else "").partition(" ")
    if not space or scheme.lower() != "bearer":
        raise TokenError(_NO_TOKEN)
    return token


def _unavailable() -> Refused:
    # Whatever it is, nobody passes, and the client is not told.
    return Refused(503, "Service Unavailable", "there is nothing to decide by", "unavailable")


async def _answer(_: Request, refused: Exception) -> JSONResponse:
    if not isinstance(refused, Refused):
        raise refused
    return JSONResponse(refused.detail, refused.status_code, refused.headers, media_type="application/problem+json")
