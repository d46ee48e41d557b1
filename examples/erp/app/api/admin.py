"""The system itself, its users and their roles."""

from typing import Annotated

from fastapi import APIRouter, Depends

from app.api.deps import AdminUser
from app.core.security import User, UserRole, require_roles

router = APIRouter(prefix="/admin", tags=["admin"])
system = APIRouter(
    prefix="/system",
    tags=["system"],
    dependencies=[Depends(require_roles(UserRole.SUPERADMIN))],
)
STAFF = ["MANAGER", "ADMIN"]


@router.get("/system/status", dependencies=[Depends(require_roles(*STAFF))])
def system_status() -> dict:
    return {"what": "versions and uptime"}


@router.get("/system/health")
def system_health(user: AdminUser) -> dict:
    return {"what": "health checks", "by": user.id}


@system.post("/backups")
def start_backup() -> dict:
    return {"what": "backup"}


@system.get("/backups/{backup_id}")
def download_backup(backup_id: int) -> dict:
    return {"what": "backup", "backup_id": backup_id}


@system.get("/audit-log")
def audit_log() -> dict:
    return {"what": "audit log"}


@system.put("/maintenance")
def set_maintenance() -> dict:
    return {"what": "maintenance mode"}


@router.get("/users", dependencies=[Depends(require_roles(STAFF))])
def list_users() -> dict:
    return {"what": "users"}


@router.post("/users")
def create_user(
    user: Annotated[User, Depends(require_roles(UserRole.SUPERADMIN, UserRole.ADMIN))],
) -> dict:
    return {"what": "new user", "by": user.id}


@router.get("/users/{user_id}", dependencies=[Depends(require_roles("MANAGER", "ADMIN"))])
def show_user(user_id: int) -> dict:
    return {"what": "user", "user_id": user_id}


@router.patch("/users/{user_id}")
def update_user(user_id: int, user: AdminUser) -> dict:
    return {"what": "user", "user_id": user_id, "by": user.id}


@router.post("/users/{user_id}/deactivate")
def deactivate_user(user_id: int, user: AdminUser) -> dict:
    return {"what": "deactivated", "user_id": user_id, "by": user.id}


@router.post("/users/{user_id}/reactivate")
def reactivate_user(user_id: int, user: AdminUser) -> dict:
    return {"what": "reactivated", "user_id": user_id, "by": user.id}


@router.post("/users/{user_id}/reset-password")
def reset_password(user_id: int, user: AdminUser) -> dict:
    return {"what": "new password", "user_id": user_id, "by": user.id}


@router.post("/users/{user_id}/unlock")
def unlock_user(user_id: int, user: AdminUser) -> dict:
    return {"what": "unlocked", "user_id": user_id, "by": user.id}


@router.get("/roles", dependencies=[Depends(require_roles(*STAFF))])
def list_roles() -> dict:
    return {"what": "roles"}


@router.put("/users/{user_id}/role")
def assign_role(user_id: int, user: User = Depends(require_roles(UserRole.SUPERADMIN))) -> dict:
    return {"what": "role", "user_id": user_id, "by": user.id}


@router.get("/roles/history")
def role_history(user: User = Depends(require_roles(UserRole.SUPERADMIN))) -> dict:
    return {"what": "who had which role", "by": user.id}


router.include_router(system)
