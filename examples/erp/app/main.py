"""The application: `TOKEN_KEY=… uvicorn app.main:app`, from the directory above."""

from fastapi import FastAPI

from app.api.router import api_router
from app.core.config import settings

app = FastAPI(title="ERP")
app.include_router(api_router, prefix=settings.api_prefix)


@app.get("/health")
def health() -> dict:
    return {"status": "up"}
