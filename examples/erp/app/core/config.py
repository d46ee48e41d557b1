"""Settings, which the environment overrides."""

from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    api_prefix: str = "/api/v1"
    database_url: str = "postgresql:///erp"
    token_key: str


settings = Settings()
