"""What takes the place of `require_roles`: pbac's tables answer."""

from collections.abc import Callable

from fastapi import Depends, HTTPException

from app.core.database import fetch_one
from app.core.security import User, get_current_user


def require_permission(permission: str) -> Callable[..., User]:
    """A dependency that lets a user through who holds the permission now."""

    def check(user: User = Depends(get_current_user)) -> User:
        row = fetch_one("SELECT pbac.has_permission(%s, %s)", str(user.id), permission)
        if row is None or row[0] is not True:
            raise HTTPException(403, f"you lack {permission}")
        return user

    return check
