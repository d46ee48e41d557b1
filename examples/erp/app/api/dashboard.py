"""The pages that open first."""

from fastapi import APIRouter, Depends

from app.core.role_groups import OPERATORS, SUPERVISORS
from app.core.security import UserRole, require_roles

router = APIRouter(prefix="/dashboard", tags=["dashboard"])

EVERYBODY = [
    UserRole.MANAGER,
    UserRole.FINANCE_MANAGER,
    UserRole.ADMIN,
    UserRole.PPIC_ADMIN,
    UserRole.WAREHOUSE_STAFF,
    UserRole.QC_INSPECTOR,
    UserRole.PURCHASING,
    *OPERATORS,
    UserRole.SECURITY,
]


@router.get("", dependencies=[Depends(require_roles(*EVERYBODY))])
def dashboard() -> dict:
    return {"what": "dashboard"}


@router.get(
    "/production",
    dependencies=[Depends(require_roles(UserRole.MANAGER, UserRole.PPIC_MANAGER, *SUPERVISORS))],
)
def production() -> dict:
    return {"what": "production"}


@router.get(
    "/management",
    dependencies=[Depends(require_roles(UserRole.MANAGER, UserRole.FINANCE_MANAGER))],
)
def management() -> dict:
    return {"what": "management"}
