"""PyJWT and python-jose on tokens of the source document's claims, beside what criterion measured: see `token-verification`."""

import json
import pathlib
import statistics
import sys
import time

import jose.jwt
import jwt

SECRETS = [f"key-{number}-of-the-benchmark-0123456789abcdef" for number in range(4)]
TOKENS = 1_000
ROUNDS = 11


def claims(user):
    name = f"user-{user}"
    roles = ["ROLE_1", "ROLE_17"][: 1 + user % 2]
    return {"user_id": user, "username": name, "email": f"{name}@example.com", "roles": roles, "exp": 4_000_000_000, "iat": 1_700_000_000}


def first(tokens, secrets, decode, refused):
    """Each token's user, by the first secret that verifies it."""
    for token in tokens:
        for secret in secrets:
            try:
                yield decode(token, secret, algorithms=["HS256"])["user_id"]
                break
            except refused:
                continue


def nanoseconds(secrets, decode, refused):
    tokens = [jwt.encode(claims(user), secrets[-1], algorithm="HS256") for user in range(TOKENS)]
    assert list(first(tokens, secrets, decode, refused)) == list(range(TOKENS))
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter_ns()
        for _ in first(tokens, secrets, decode, refused):
            pass
        times.append((time.perf_counter_ns() - start) / TOKENS)
    return statistics.median(times)


def main():
    rows = []
    for path in pathlib.Path(sys.argv[1]).glob("*/new"):
        median = json.loads((path / "estimates.json").read_text())["median"]["point_estimate"]
        name = json.loads((path / "benchmark.json").read_text())["function_id"]
        rows.append((name, median / TOKENS))
    for library, decode, refused in (
        (f"PyJWT {jwt.__version__}", jwt.decode, jwt.InvalidSignatureError),
        (f"python-jose {jose.__version__}", jose.jwt.decode, jose.JWTError),
    ):
        rows.append((f"peer: {library}, one key", nanoseconds(SECRETS[:1], decode, refused)))
        rows.append((f"peer: {library}, each of four keys", nanoseconds(SECRETS, decode, refused)))
    known = dict(rows)["ring: kid known"]
    print("| path | ns a token, median | against the ring with the `kid` known |\n|---|---|---|")
    for name, time_taken in sorted(rows, key=lambda row: row[1]):
        print(f"| {name} | {time_taken:,.0f} | {time_taken / known:.2f} |")


main()
