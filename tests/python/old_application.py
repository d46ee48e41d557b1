"""The part of the source document's application that signs and verifies tokens: `app/core/security.py` and the settings
that it reads from `.env`. It knows two variables and no `kid`.

    old_application.py ENV_FILE sign (jose|pyjwt) EXPIRES_AT ISSUED_AT     prints a token
    old_application.py ENV_FILE decode                                     reads a token a line, prints its user or `None`

Signing is done by both libraries that such applications use; the claims are the same.
"""

import sys

import jwt as pyjwt
from dotenv import dotenv_values
from jose import JWTError, jwt

ALGORITHM = "HS256"


def all_valid_keys(settings):
    keys = [settings["SECRET_KEY"]]
    history = settings.get("SECRET_KEYS_HISTORY") or ""
    keys.extend(k.strip() for k in history.split(",") if k.strip())
    return keys


def sign(settings, library, expires_at, issued_at):
    claims = {
        "user_id": 42,
        "username": "siti",
        "email": "siti@quty.example",
        "roles": ["Purchasing Head"],
        "exp": int(expires_at),
        "iat": int(issued_at),
    }
    encode = {"jose": jwt.encode, "pyjwt": pyjwt.encode}[library]
    return encode(claims, settings["SECRET_KEY"], algorithm=ALGORITHM)


def decode(settings, token):
    for secret_key in all_valid_keys(settings):
        try:
            return jwt.decode(token, secret_key, algorithms=[ALGORITHM]).get("user_id")
        except JWTError:
            continue
    return None


def main(env_file, action, *arguments):
    settings = dotenv_values(env_file)
    if action == "sign":
        print(sign(settings, *arguments))
    else:
        for line in sys.stdin:
            print(decode(settings, line.strip()))


main(*sys.argv[1:])
