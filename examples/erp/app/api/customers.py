"""Customers."""

from fastapi import APIRouter, Depends

from app.core.security import User, UserRole, require_roles

router = APIRouter(prefix="/customers", tags=["customers"])


def finance_manager(user: User = Depends(require_roles(UserRole.FINANCE_MANAGER))) -> User:
    """Whoever answers for money."""
    return user


@router.get("", dependencies=[Depends(require_roles(UserRole.MANAGER, UserRole.FINANCE_MANAGER))])
def list_customers() -> dict:
    return {"what": "customers"}


@router.post("")
def create_customer(user: User = Depends(require_roles(UserRole.MANAGER))) -> dict:
    return {"what": "new customer", "by": user.id}


@router.put("/{customer_id}/credit-limit")
def set_credit_limit(customer_id: int, user: User = Depends(finance_manager)) -> dict:
    return {"what": "credit limit", "customer_id": customer_id, "by": user.id}


@router.delete("/{customer_id}")
def deactivate_customer(
    customer_id: int,
    user: User = Depends(require_roles(UserRole.MANAGER)),
) -> dict:
    return {"what": "deactivated", "customer_id": customer_id, "by": user.id}
