"""Places, stock and its movements."""

from typing import Annotated

from fastapi import APIRouter, Depends

from app.core import role_groups, security
from app.core.security import User
from app.core.security import UserRole as Role

router = APIRouter(tags=["warehouse"])


@router.get(
    "/locations",
    dependencies=[
        Depends(
            security.require_roles(
                Role.MANAGER, Role.PPIC_ADMIN, Role.WAREHOUSE_STAFF, Role.SECURITY
            )
        )
    ],
)
def list_locations() -> dict:
    return {"what": "locations"}


@router.post("/locations")
def create_location(
    user: Annotated[User, Depends(security.require_roles(Role.WAREHOUSE_ADMIN))],
) -> dict:
    return {"what": "new location", "by": user.id}


@router.get("/stock", dependencies=[Depends(security.require_roles(Role.WAREHOUSE_STAFF))])
def list_stock() -> dict:
    return {"what": "stock"}


@router.get(
    "/stock/{location_id}", dependencies=[Depends(security.require_roles(Role.WAREHOUSE_STAFF))]
)
def show_stock(location_id: int) -> dict:
    return {"what": "stock", "location_id": location_id}


@router.post("/transfers")
def create_transfer(
    user: Annotated[User, Depends(security.require_roles(Role.WAREHOUSE_STAFF))],
) -> dict:
    return {"what": "transfer", "by": user.id}


@router.post("/adjustments")
def create_adjustment(
    user: Annotated[User, Depends(security.require_roles(Role.WAREHOUSE_ADMIN))],
) -> dict:
    return {"what": "adjustment", "by": user.id}


@router.post("/adjustments/{adjustment_id}/approve")
def approve_adjustment(
    adjustment_id: int,
    user: Annotated[User, Depends(security.require_roles([Role.MANAGER, Role.FINANCE_MANAGER]))],
) -> dict:
    return {"what": "approved", "adjustment_id": adjustment_id, "by": user.id}


@router.get(
    "/items",
    dependencies=[
        Depends(
            security.require_roles(
                Role.MANAGER,
                Role.PPIC_ADMIN,
                *role_groups.SUPERVISORS,
                Role.WAREHOUSE_STAFF,
                Role.PURCHASING,
            )
        )
    ],
)
def list_items() -> dict:
    return {"what": "items"}


@router.post("/receipts")
def receive(
    user: Annotated[
        User, Depends(security.require_roles(Role.WAREHOUSE_ADMIN, Role.WAREHOUSE_STAFF))
    ],
) -> dict:
    return {"what": "receipt", "by": user.id}


@router.post("/issues")
def issue(user: Annotated[User, Depends(security.require_roles(Role.WAREHOUSE_STAFF))]) -> dict:
    return {"what": "issue", "by": user.id}


@router.post("/counts")
def count(user: Annotated[User, Depends(security.require_roles(Role.WAREHOUSE_STAFF))]) -> dict:
    return {"what": "count", "by": user.id}
