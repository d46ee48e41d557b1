"""All of the API below its prefix."""

from fastapi import APIRouter

from app.api import (
    admin,
    customers,
    cutting,
    dashboard,
    finishing,
    ppic,
    purchasing,
    quality,
    reports,
    settings,
    sewing,
    shipments,
    warehouse,
)

production = APIRouter(prefix="/production")
production.include_router(cutting.router)
production.include_router(sewing.router, prefix="/sewing")
production.include_router(finishing.router, prefix="/finishing")

api_router = APIRouter()
for module in (admin, purchasing, ppic, quality, shipments, customers, reports, dashboard):
    api_router.include_router(module.router)
api_router.include_router(warehouse.router, prefix="/warehouse")
api_router.include_router(production)
api_router.include_router(settings.router, prefix="/settings")
