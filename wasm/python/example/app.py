"""Purchasing of the ERP (examples/erp/app/api/purchasing.py), with permissions in place of roles.

    POLICY_BUNDLE=erp.pbac KEY_RING=ring.json uvicorn app:app

A token's claim `roles` says the user's roles in any spelling that the policy knows.
"""

import os
from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI

from pbac_wasm import Pbac
from pbac_wasm.fastapi import Guard, Identity

# PBAC_WASM: where the module lies, when it is not in the package.
pbac = Pbac.load(os.environ.get("PBAC_WASM"))
policy = pbac.policy(Path(os.environ["POLICY_BUNDLE"]).read_bytes())
ring = pbac.key_ring(Path(os.environ["KEY_RING"]).read_bytes())
guard = Guard(policy, ring, realm="ERP")
require_permission = guard.require_permission

router = APIRouter(prefix="/purchasing", tags=["purchasing"])


@router.get("/requests", dependencies=[Depends(require_permission("purchasing.view"))])
def list_requests() -> dict:
    return {"what": "requests"}


@router.post("/requests")
def create_request(user: Identity = Depends(require_permission("purchasing.create_request"))) -> dict:
    return {"what": "new request", "by": user.user}


@router.post("/requests/{request_id}/cancel")
def cancel_request(request_id: int, user: Identity = Depends(require_permission("purchasing.cancel_request"))) -> dict:
    return {"what": "cancelled", "request_id": request_id, "by": user.user}


@router.get("/orders")
def list_orders(user: Identity = Depends(require_permission("po.view"))) -> dict:
    # What the page shows as buttons: bit tests, and no further call.
    may = [name for name in ("po.create", "po.approve", "po.pay") if user.session.allows(name)]
    return {"what": "orders", "may": may}


@router.post("/orders")
def create_order(user: Identity = Depends(require_permission("po.create"))) -> dict:
    return {"what": "new order", "by": user.user}


@router.patch("/orders/{order_id}")
def update_order(order_id: int, user: Identity = Depends(require_permission("po.update"))) -> dict:
    return {"what": "order", "order_id": order_id, "by": user.user}


@router.post("/orders/{order_id}/approve")
def approve_order(order_id: int, user: Identity = Depends(require_permission("po.approve"))) -> dict:
    return {"what": "approved", "order_id": order_id, "by": user.user}


@router.post("/orders/{order_id}/payment")
def pay_order(order_id: int, user: Identity = Depends(require_permission("po.pay"))) -> dict:
    return {"what": "paid", "order_id": order_id, "by": user.user}


@router.post("/vendors/{vendor_id}/ratings", dependencies=[Depends(require_permission("vendors.rate"))])
def rate_vendor(vendor_id: int) -> dict:
    return {"what": "rating", "vendor_id": vendor_id}


app = FastAPI(title="ERP")
guard.install(app)
app.include_router(router, prefix="/api/v1")
