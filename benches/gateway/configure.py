"""Writes what the bench of the gateway compares: Envoy configurations with our filter, with Envoy's own JWT and RBAC filters, and
with neither, for the ERP example, and a token that all of them accept.

Arguments: the directory to write to, the filter's module, the bundle of examples/erp, its endpoint rules.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import re
import sys
import time
import tomllib

PORT, APPLICATION_PORT = 18180, 18190
ROLE = "PURCHASING_HEAD"


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def type_of(name: str) -> str:
    return f"type.googleapis.com/envoy.{name}"


def listener(port: int, filters: list, route: dict) -> dict:
    router = {"name": "router", "typed_config": {"@type": type_of("extensions.filters.http.router.v3.Router")}}
    manager = {
        "@type": type_of("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "in",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **route}]}]},
        "http_filters": [*filters, router],
    }
    return {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def proxy(port: int, filters: list) -> dict:
    endpoint = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": APPLICATION_PORT}}}
    cluster = {
        "name": "application",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "application", "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
    }
    return {"static_resources": {"listeners": [listener(port, filters, {"route": {"cluster": "application"}})], "clusters": [cluster]}}


def pbac(module: str, configuration: dict) -> list:
    config = {
        "name": "pbac",
        "vm_config": {"vm_id": "pbac", "runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": module}}},
        "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": json.dumps(configuration)},
    }
    return [{"name": "pbac", "typed_config": {"@type": type_of("extensions.filters.http.wasm.v3.Wasm"), "config": config}}]


def jwt(key: dict) -> dict:
    provider = {
        "local_jwks": {"inline_string": json.dumps({"keys": [key]})},
        "payload_in_metadata": "claims",
        "forward": True,
    }
    return {
        "name": "jwt",
        "typed_config": {
            "@type": type_of("extensions.filters.http.jwt_authn.v3.JwtAuthentication"),
            "providers": {"erp": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "erp"}}],
        },
    }


def rbac(rules: list, rights: dict) -> dict:
    """One policy for each endpoint: its method and path, and the roles that hold its permission."""
    policies = {}
    for rule in rules:
        pattern = "/".join("[^/]+" if part.startswith("{") else re.escape(part) for part in rule["path"].split("/"))
        request = {
            "and_rules": {
                "rules": [
                    {"header": {"name": ":method", "string_match": {"exact": rule["method"]}}},
                    {"url_path": {"path": {"safe_regex": {"regex": pattern}}}},
                ]
            }
        }
        roles = [
            {
                "metadata": {
                    "filter": "envoy.filters.http.jwt_authn",
                    "path": [{"key": "claims"}, {"key": "roles"}],
                    "value": {"list_match": {"one_of": {"string_match": {"exact": role}}}},
                }
            }
            for role in rights[rule["permission"]]
        ]
        policies[f"{rule['method']} {rule['path']}"] = {"permissions": [request], "principals": roles}
    return {
        "name": "rbac",
        "typed_config": {
            "@type": type_of("extensions.filters.http.rbac.v3.RBAC"),
            "rules": {"action": "ALLOW", "policies": policies},
        },
    }


def main() -> None:
    directory, module, bundle, endpoints = sys.argv[1:]
    out = pathlib.Path(directory)
    document = tomllib.loads(pathlib.Path(endpoints).read_text())
    rules = document["endpoints"]
    # Which roles hold what is read off the legacy rules, with which the policy agrees (the suite erp_example proves it).
    rights: dict[str, list[str]] = {}
    inherits = document["legacy"]["inherits"]
    for rule in rules:
        listed = set(rule["roles"]) | set(document["legacy"]["bypass"])
        listed |= {role for role, held in inherits.items() if listed & set(held)}
        rights.setdefault(rule["permission"], [])
        rights[rule["permission"]] = sorted(set(rights[rule["permission"]]) | listed)
    secret = hashlib.sha256(b"bench").hexdigest().encode()
    key = {"kty": "oct", "kid": "k1", "alg": "HS256", "k": base64url(secret)}
    now = int(time.time())
    claims = {"user_id": 7, "username": "siti", "email": "siti@erp.example", "roles": [ROLE], "iat": now, "exp": now + 86400}
    parts = [base64url(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "HS256", "kid": "k1"}, claims)]
    signature = hmac.new(secret, ".".join(parts).encode(), hashlib.sha256).digest()
    (out / "token").write_text(".".join([*parts, base64url(signature)]))
    configuration = {
        "ring": {
            "keys": [{**key, "state": "active", "since": None}],
            "revoked": [],
            "rules": {"leeway": 0, "issuers": [], "audiences": []},
        },
        "route_table": {"routes": [{name: rule[name] for name in ("method", "path", "permission")} for rule in rules]},
        "bundle": base64.b64encode(pathlib.Path(bundle).read_bytes()).decode(),
    }
    asked = [rule for rule in rules if (rule["method"], rule["path"]) == ("GET", "/api/v1/purchasing/orders/{order_id}")]
    variants = {
        "none": [],
        "pbac": pbac(module, configuration),
        "jwt-rbac-all": [jwt(key), rbac(rules, rights)],
        "jwt-rbac-one": [jwt(key), rbac(asked, rights)],
        "jwt": [jwt(key)],
    }
    for place, (name, filters) in enumerate(variants.items()):
        (out / f"{name}.json").write_text(json.dumps(proxy(PORT + place, filters)))
    answer = {"direct_response": {"status": 200, "body": {"inline_string": "hello"}}}
    application = {"static_resources": {"listeners": [listener(APPLICATION_PORT, [], answer)]}}
    (out / "application.json").write_text(json.dumps(application))


main()
