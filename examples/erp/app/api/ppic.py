"""Work orders and production plans."""

from fastapi import APIRouter, Depends

from ..core.role_groups import PLANNERS, SUPERVISORS
from ..core.security import (
    User,
    UserRole,
    require_roles,
)

router = APIRouter(prefix="/ppic", tags=["ppic"])
READERS = [*PLANNERS, *SUPERVISORS]


@router.get("/work-orders", dependencies=[Depends(require_roles(*READERS))])
def list_work_orders() -> dict:
    return {"what": "work orders"}


@router.get("/work-orders/{work_order_id}", dependencies=[Depends(require_roles(*READERS))])
def show_work_order(work_order_id: int) -> dict:
    return {"what": "work order", "work_order_id": work_order_id}


@router.post("/work-orders")
def create_work_order(user: User = Depends(require_roles(UserRole.PPIC_ADMIN))) -> dict:
    return {"what": "new work order", "by": user.id}


@router.post("/work-orders/{work_order_id}/release")
def release_work_order(
    work_order_id: int,
    user: User = Depends(require_roles(UserRole.PPIC_MANAGER)),
) -> dict:
    return {"what": "released", "work_order_id": work_order_id, "by": user.id}


@router.get(
    "/work-orders/{work_order_id}/materials",
    dependencies=[Depends(require_roles(UserRole.PPIC_ADMIN))],
)
def material_needs(work_order_id: int) -> dict:
    return {"what": "materials", "work_order_id": work_order_id}


@router.get("/plans", dependencies=[Depends(require_roles(*PLANNERS))])
def list_plans() -> dict:
    return {"what": "plans"}


@router.post("/plans")
def create_plan(
    user: User = Depends(require_roles(UserRole.PPIC_MANAGER, UserRole.PPIC_ADMIN)),
) -> dict:
    return {"what": "new plan", "by": user.id}


@router.patch("/plans/{plan_id}")
def update_plan(plan_id: int, user: User = Depends(require_roles(UserRole.PPIC_ADMIN))) -> dict:
    return {"what": "plan", "plan_id": plan_id, "by": user.id}


@router.post("/plans/{plan_id}/approve")
def approve_plan(plan_id: int, user: User = Depends(require_roles(UserRole.PPIC_MANAGER))) -> dict:
    return {"what": "approved", "plan_id": plan_id, "by": user.id}
