"""Roles that are listed together in several places."""

from app.core.security import UserRole

SUPERVISORS = (UserRole.SPV_CUTTING, UserRole.SPV_SEWING, UserRole.SPV_FINISHING)
OPERATORS = [
    UserRole.OPERATOR_CUT,
    UserRole.OPERATOR_EMBRO,
    UserRole.OPERATOR_SEW,
    UserRole.OPERATOR_FINISH,
    UserRole.OPERATOR_PACK,
]
PLANNERS = [UserRole.MANAGER, UserRole.PPIC_ADMIN]
