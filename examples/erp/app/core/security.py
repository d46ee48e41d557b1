"""Who is asking, and the roles that an endpoint asks for."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import jwt
from fastapi import Depends, HTTPException
from fastapi.security import OAuth2PasswordBearer

from app.core.config import settings
from app.core.database import fetch_one

bearer = OAuth2PasswordBearer(tokenUrl="/login")


class UserRole(str, Enum):
    DEVELOPER = "Developer"
    SUPERADMIN = "Superadmin"
    MANAGER = "Manager"
    FINANCE_MANAGER = "Finance Manager"
    ADMIN = "Admin"
    PPIC_MANAGER = "PPIC Manager"
    PPIC_ADMIN = "PPIC Admin"
    SPV_CUTTING = "SPV Cutting"
    SPV_SEWING = "SPV Sewing"
    SPV_FINISHING = "SPV Finishing"
    WAREHOUSE_ADMIN = "Warehouse Admin"
    WAREHOUSE_STAFF = "Warehouse Staff"
    QC_LAB = "QC Lab"
    QC_INSPECTOR = "QC Inspector"
    PURCHASING_HEAD = "Purchasing Head"
    PURCHASING = "Purchasing"
    OPERATOR_CUT = "Operator Cut"
    OPERATOR_EMBRO = "Operator Embro"
    OPERATOR_SEW = "Operator Sew"
    OPERATOR_FINISH = "Operator Finish"
    OPERATOR_PACK = "Operator Pack"
    SECURITY = "Security"


# Who passed every check.
BYPASS_ROLES = frozenset({UserRole.DEVELOPER, UserRole.SUPERADMIN})

# A role passes wherever one of these does.
ROLE_INHERITS = {
    UserRole.PPIC_MANAGER: [UserRole.PPIC_ADMIN],
    UserRole.SPV_CUTTING: [UserRole.OPERATOR_CUT, UserRole.OPERATOR_EMBRO],
    UserRole.SPV_SEWING: [UserRole.OPERATOR_SEW],
    UserRole.SPV_FINISHING: [UserRole.OPERATOR_FINISH, UserRole.OPERATOR_PACK],
    UserRole.WAREHOUSE_ADMIN: [UserRole.WAREHOUSE_STAFF],
    UserRole.QC_LAB: [UserRole.QC_INSPECTOR],
    UserRole.PURCHASING_HEAD: [UserRole.PURCHASING],
}


@dataclass(frozen=True)
class User:
    id: int
    username: str
    role: UserRole


def get_current_user(token: str = Depends(bearer)) -> User:
    try:
        claims = jwt.decode(token, settings.token_key, algorithms=["HS256"])
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "log in again") from error
    row = fetch_one(
        "SELECT id, username, role::text FROM users WHERE id = %s AND is_active", claims["user_id"]
    )
    if row is None:
        raise HTTPException(401, "log in again")
    return User(row[0], row[1], UserRole[row[2]])


def require_roles(*roles: UserRole | str | list[UserRole | str]) -> Callable[..., User]:
    """A dependency that lets a user of one of the roles through, and whoever inherits one."""
    wanted: set[UserRole] = set()
    for item in roles:
        for role in item if isinstance(item, list) else [item]:
            wanted.add(role if isinstance(role, UserRole) else UserRole[role])

    def check(user: User = Depends(get_current_user)) -> User:
        held = {user.role, *ROLE_INHERITS.get(user.role, [])}
        if user.role not in BYPASS_ROLES and not held & wanted:
            raise HTTPException(403, "your role does not allow this")
        return user

    return check
