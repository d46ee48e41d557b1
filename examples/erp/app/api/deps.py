"""Users with a certain role, as parameters of endpoints."""

from typing import Annotated

from fastapi import Depends

from app.core.security import User, UserRole, require_roles

AdminUser = Annotated[User, Depends(require_roles(UserRole.ADMIN))]
QualityUser = Annotated[User, Depends(require_roles(UserRole.QC_LAB))]
