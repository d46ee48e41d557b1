"""Stuffing, closing and packing."""

from typing import Annotated

from fastapi import APIRouter, Depends

from app.core.security import User, UserRole, require_roles

router = APIRouter(tags=["finishing"])
Finisher = Annotated[User, Depends(require_roles(UserRole.OPERATOR_FINISH))]


@router.get(
    "/orders",
    dependencies=[
        Depends(
            require_roles(
                UserRole.MANAGER,
                UserRole.PPIC_ADMIN,
                UserRole.QC_INSPECTOR,
                UserRole.OPERATOR_FINISH,
                UserRole.OPERATOR_PACK,
            )
        )
    ],
)
def list_orders() -> dict:
    return {"what": "orders"}


@router.post("/orders/{order_id}/stuffing")
def stuff(
    order_id: int,
    user: Annotated[User, Depends(require_roles(UserRole.SPV_FINISHING, UserRole.OPERATOR_FINISH))],
) -> dict:
    return {"what": "stuffed", "order_id": order_id, "by": user.id}


@router.post("/orders/{order_id}/closing")
def close(order_id: int, user: Finisher) -> dict:
    return {"what": "closed", "order_id": order_id, "by": user.id}


@router.post("/orders/{order_id}/output")
def record_output(order_id: int, user: Finisher) -> dict:
    return {"what": "output", "order_id": order_id, "by": user.id}


@router.post("/orders/{order_id}/metal-detection")
def detect_metal(order_id: int, user: Finisher) -> dict:
    return {"what": "metal", "order_id": order_id, "by": user.id}


@router.post("/orders/{order_id}/cartons")
def pack(
    order_id: int,
    user: Annotated[User, Depends(require_roles(UserRole.OPERATOR_PACK))],
) -> dict:
    return {"what": "carton", "order_id": order_id, "by": user.id}


@router.post("/orders/{order_id}/handover")
def hand_over(
    order_id: int,
    user: Annotated[User, Depends(require_roles(UserRole.SPV_FINISHING))],
) -> dict:
    return {"what": "handed over", "order_id": order_id, "by": user.id}
