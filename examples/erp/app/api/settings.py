"""Settings of the application."""

from fastapi import APIRouter, Depends

from app.core.security import User, UserRole, require_roles

router = APIRouter(tags=["settings"])


@router.get("", dependencies=[Depends(require_roles(UserRole.MANAGER, UserRole.ADMIN))])
def show_settings() -> dict:
    return {"what": "settings"}


@router.patch("")
def update_settings(
    user: User = Depends(require_roles(UserRole.SUPERADMIN, UserRole.ADMIN)),
) -> dict:
    return {"what": "settings", "by": user.id}


@router.put("/integrations/{name}")
def set_integration(name: str, user: User = Depends(require_roles(UserRole.SUPERADMIN))) -> dict:
    return {"what": "integration", "name": name, "by": user.id}
