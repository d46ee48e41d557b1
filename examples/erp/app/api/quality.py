"""Inspections, tests and standards."""

from fastapi import APIRouter, Depends

from app.api.deps import QualityUser
from app.core.security import User, UserRole, require_roles

router = APIRouter(prefix="/quality", tags=["quality"])


@router.get(
    "/batches",
    dependencies=[Depends(require_roles(UserRole.MANAGER, UserRole.QC_INSPECTOR))],
)
def list_batches() -> dict:
    return {"what": "batches"}


@router.post("/standards")
def create_standard(user: QualityUser) -> dict:
    return {"what": "new standard", "by": user.id}


@router.post("/batches/{batch_id}/release")
def release_batch(batch_id: int, user: QualityUser) -> dict:
    return {"what": "released", "batch_id": batch_id, "by": user.id}


@router.post("/batches/{batch_id}/block")
def block_batch(batch_id: int, user: User = Depends(require_roles(UserRole.QC_INSPECTOR))) -> dict:
    return {"what": "blocked", "batch_id": batch_id, "by": user.id}


@router.get(
    "/inspections",
    dependencies=[Depends(require_roles(UserRole.MANAGER, UserRole.QC_INSPECTOR))],
)
def list_inspections() -> dict:
    return {"what": "inspections"}


@router.post("/inspections")
def inspect(user: User = Depends(require_roles(UserRole.QC_LAB, UserRole.QC_INSPECTOR))) -> dict:
    return {"what": "inspection", "by": user.id}


@router.post("/tests")
def record_test(user: QualityUser) -> dict:
    return {"what": "test", "by": user.id}


@router.post("/tests/{test_id}/approve")
def approve_test(test_id: int, user: QualityUser) -> dict:
    return {"what": "approved", "test_id": test_id, "by": user.id}
