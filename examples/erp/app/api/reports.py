"""Reports and their exports."""

from fastapi import APIRouter, Depends

from app.core.role_groups import SUPERVISORS
from app.core.security import User, UserRole, require_roles

router = APIRouter(prefix="/reports", tags=["reports"])
finance = APIRouter(prefix="/finance", tags=["finance"])


@router.get(
    "/production",
    dependencies=[Depends(require_roles(UserRole.MANAGER, UserRole.PPIC_MANAGER, *SUPERVISORS))],
)
def production_report() -> dict:
    return {"what": "production"}


@router.get(
    "/purchasing",
    dependencies=[
        Depends(require_roles(UserRole.MANAGER, UserRole.FINANCE_MANAGER, UserRole.PURCHASING_HEAD))
    ],
)
def purchasing_report() -> dict:
    return {"what": "purchasing"}


@router.get("/inventory/export")
def export_inventory(user: User = Depends(require_roles(UserRole.WAREHOUSE_ADMIN))) -> dict:
    return {"what": "inventory", "by": user.id}


@finance.get("")
def finance_report() -> dict:
    return {"what": "finance"}


@finance.get("/export")
def export_finance(user: User = Depends(require_roles(UserRole.FINANCE_MANAGER))) -> dict:
    return {"what": "finance", "by": user.id}


router.include_router(
    finance,
    dependencies=[Depends(require_roles(UserRole.MANAGER, UserRole.FINANCE_MANAGER))],
)
