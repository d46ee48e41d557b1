"""Shipments and the gate."""

from fastapi import APIRouter, Depends

from app.core.security import User, UserRole, require_roles

router = APIRouter(prefix="/shipments", tags=["shipments"])

only_managers = Depends(require_roles(UserRole.MANAGER))


@router.get(
    "",
    dependencies=[
        Depends(
            require_roles(
                UserRole.MANAGER,
                UserRole.PPIC_ADMIN,
                UserRole.WAREHOUSE_ADMIN,
                UserRole.OPERATOR_PACK,
                UserRole.SECURITY,
            )
        )
    ],
)
def list_shipments() -> dict:
    return {"what": "shipments"}


@router.post("")
def create_shipment(user: User = Depends(require_roles(UserRole.WAREHOUSE_ADMIN))) -> dict:
    return {"what": "new shipment", "by": user.id}


@router.post("/{shipment_id}/load")
def load(shipment_id: int, user: User = Depends(require_roles(UserRole.OPERATOR_PACK))) -> dict:
    return {"what": "loaded", "shipment_id": shipment_id, "by": user.id}


@router.post("/{shipment_id}/release", dependencies=[only_managers])
def release(shipment_id: int) -> dict:
    return {"what": "released", "shipment_id": shipment_id}


@router.delete("/{shipment_id}", dependencies=[only_managers])
def cancel(shipment_id: int) -> dict:
    return {"what": "cancelled", "shipment_id": shipment_id}


@router.post("/{shipment_id}/gate-out")
def gate_out(shipment_id: int, user: User = Depends(require_roles(UserRole.SECURITY))) -> dict:
    return {"what": "gone", "shipment_id": shipment_id, "by": user.id}
