"""Requests, purchase orders and vendors."""

from fastapi import APIRouter, Depends

from app.core.security import User, require_roles

router = APIRouter(prefix="/purchasing", tags=["purchasing"])

BUYERS = ["PURCHASING"]
ORDER_READERS = ["MANAGER", "FINANCE_MANAGER", "WAREHOUSE_ADMIN", *BUYERS, "SECURITY"]
VENDOR_READERS = ["MANAGER", "FINANCE_MANAGER"] + BUYERS + ["SECURITY"]

purchasing_head = require_roles("PURCHASING_HEAD")


@router.get(
    "/requests",
    dependencies=[Depends(require_roles("MANAGER", "PPIC_ADMIN", "PURCHASING"))],
)
def list_requests() -> dict:
    return {"what": "requests"}


@router.post("/requests")
def create_request(user: User = Depends(require_roles("PPIC_ADMIN", "PURCHASING"))) -> dict:
    return {"what": "new request", "by": user.id}


@router.post("/requests/{request_id}/cancel")
def cancel_request(request_id: int, user: User = Depends(purchasing_head)) -> dict:
    return {"what": "cancelled", "request_id": request_id, "by": user.id}


@router.get("/requests/{request_id}/quotes", dependencies=[Depends(require_roles(*BUYERS))])
def list_quotes(request_id: int) -> dict:
    return {"what": "quotes", "request_id": request_id}


@router.post("/requests/{request_id}/quotes")
def add_quote(request_id: int, user: User = Depends(require_roles(*BUYERS))) -> dict:
    return {"what": "new quote", "request_id": request_id, "by": user.id}


@router.get("/orders", dependencies=[Depends(require_roles(*ORDER_READERS))])
def list_orders() -> dict:
    return {"what": "orders"}


@router.get("/orders/{order_id}")
def show_order(order_id: int, user: User = Depends(require_roles(*ORDER_READERS))) -> dict:
    return {"what": "order", "order_id": order_id, "by": user.id}


@router.post("/orders")
def create_order(user: User = Depends(require_roles("PURCHASING_HEAD", "PURCHASING"))) -> dict:
    return {"what": "new order", "by": user.id}


@router.patch("/orders/{order_id}")
def update_order(order_id: int, user: User = Depends(require_roles(*BUYERS))) -> dict:
    return {"what": "order", "order_id": order_id, "by": user.id}


@router.post("/orders/{order_id}/approve")
def approve_order(order_id: int, user: User = Depends(purchasing_head)) -> dict:
    return {"what": "approved", "order_id": order_id, "by": user.id}


@router.post("/orders/{order_id}/reject", dependencies=[Depends(purchasing_head)])
def reject_order(order_id: int) -> dict:
    return {"what": "rejected", "order_id": order_id}


@router.post("/orders/{order_id}/payment")
def pay_order(order_id: int, user: User = Depends(require_roles("FINANCE_MANAGER"))) -> dict:
    return {"what": "paid", "order_id": order_id, "by": user.id}


@router.get("/vendors", dependencies=[Depends(require_roles(*VENDOR_READERS))])
def list_vendors() -> dict:
    return {"what": "vendors"}


@router.post("/vendors")
def create_vendor(user: User = Depends(require_roles(*BUYERS))) -> dict:
    return {"what": "new vendor", "by": user.id}


@router.post("/vendors/{vendor_id}/ratings")
def rate_vendor(
    vendor_id: int,
    user: User = Depends(require_roles("WAREHOUSE_ADMIN", "PURCHASING_HEAD")),
) -> dict:
    return {"what": "rating", "vendor_id": vendor_id, "by": user.id}
