"""Sewing."""

from fastapi import APIRouter, Depends, Security

from app.core.security import User, UserRole, require_roles

router = APIRouter(tags=["sewing"])


@router.get(
    "/orders",
    dependencies=[
        Depends(
            require_roles(
                UserRole.MANAGER, UserRole.PPIC_ADMIN, UserRole.QC_INSPECTOR, UserRole.OPERATOR_SEW
            )
        )
    ],
)
def list_orders() -> dict:
    return {"what": "orders"}


@router.post("/orders/{order_id}/start")
def start(
    order_id: int,
    user: User = Security(require_roles(UserRole.SPV_SEWING, UserRole.OPERATOR_SEW)),
) -> dict:
    return {"what": "started", "order_id": order_id, "by": user.id}


@router.post("/orders/{order_id}/output")
def record_output(
    order_id: int,
    user: User = Security(require_roles(UserRole.OPERATOR_SEW)),
) -> dict:
    return {"what": "output", "order_id": order_id, "by": user.id}


@router.post("/orders/{order_id}/complete")
def complete(order_id: int, user: User = Security(require_roles(UserRole.OPERATOR_SEW))) -> dict:
    return {"what": "completed", "order_id": order_id, "by": user.id}


@router.api_route(
    "/orders/{order_id}/inline-checks",
    methods=["POST"],
    dependencies=[Depends(require_roles(UserRole.SPV_SEWING, UserRole.QC_INSPECTOR))],
)
def inline_check(order_id: int) -> dict:
    return {"what": "checked", "order_id": order_id}


@router.post("/orders/{order_id}/transfer")
def transfer(order_id: int, user: User = Depends(require_roles(UserRole.SPV_SEWING))) -> dict:
    return {"what": "transferred", "order_id": order_id, "by": user.id}


@router.post("/orders/{order_id}/rework")
def rework(order_id: int, user: User = Depends(require_roles(UserRole.SPV_SEWING))) -> dict:
    return {"what": "rework", "order_id": order_id, "by": user.id}


@router.put("/lines/{line_id}/order")
def assign_line(line_id: int, user: User = Depends(require_roles(UserRole.SPV_SEWING))) -> dict:
    return {"what": "line", "line_id": line_id, "by": user.id}
