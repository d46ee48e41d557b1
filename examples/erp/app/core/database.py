"""One connection pool for the whole process."""

from functools import lru_cache

from psycopg_pool import ConnectionPool

from app.core.config import settings


@lru_cache
def pool() -> ConnectionPool:
    return ConnectionPool(settings.database_url, open=True)


def fetch_one(query: str, *values: object) -> tuple | None:
    with pool().connection() as connection:
        return connection.execute(query, values).fetchone()
