"""Cutting and embroidery."""

from fastapi import APIRouter, Depends

from app.core.security import User, UserRole, require_roles

router = APIRouter()
cutting = APIRouter(prefix="/cutting", tags=["cutting"])
embroidery = APIRouter(
    prefix="/embroidery/orders/{order_id}",
    tags=["embroidery"],
    dependencies=[Depends(require_roles(UserRole.OPERATOR_EMBRO))],
)


@cutting.get(
    "/orders",
    dependencies=[
        Depends(
            require_roles(
                UserRole.MANAGER,
                UserRole.PPIC_ADMIN,
                UserRole.QC_INSPECTOR,
                UserRole.OPERATOR_CUT,
                UserRole.OPERATOR_EMBRO,
            )
        )
    ],
)
def list_orders() -> dict:
    return {"what": "orders"}


@cutting.post("/orders/{order_id}/start")
def start(
    order_id: int,
    user: User = Depends(require_roles(UserRole.SPV_CUTTING, UserRole.OPERATOR_CUT)),
) -> dict:
    return {"what": "started", "order_id": order_id, "by": user.id}


@cutting.post("/orders/{order_id}/output")
def record_output(
    order_id: int,
    user: User = Depends(require_roles(UserRole.OPERATOR_CUT)),
) -> dict:
    return {"what": "output", "order_id": order_id, "by": user.id}


@cutting.post("/orders/{order_id}/complete")
def complete(order_id: int, user: User = Depends(require_roles(UserRole.OPERATOR_CUT))) -> dict:
    return {"what": "completed", "order_id": order_id, "by": user.id}


@cutting.post("/orders/{order_id}/defects")
def report_defect(
    order_id: int,
    user: User = Depends(require_roles(UserRole.OPERATOR_CUT, UserRole.OPERATOR_EMBRO)),
) -> dict:
    return {"what": "defect", "order_id": order_id, "by": user.id}


@cutting.post("/orders/{order_id}/variance")
def approve_variance(
    order_id: int,
    user: User = Depends(require_roles(UserRole.SPV_CUTTING)),
) -> dict:
    return {"what": "variance", "order_id": order_id, "by": user.id}


@embroidery.post("/output")
def embroider(order_id: int) -> dict:
    return {"what": "output"}


@embroidery.post("/transfer")
def transfer(order_id: int) -> dict:
    return {"what": "transferred"}


router.include_router(cutting)
router.include_router(embroidery)
