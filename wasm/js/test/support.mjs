// What the tests of the loader share: a policy, a key ring and tokens.
import { createHmac } from "node:crypto";
import { Pbac } from "../pbac.mjs";
import { bundle, compiled } from "./module.mjs";

export const HOUR = 3_600_000_000n;
export const SECRET = "Zq8vN1xT0mRk5LwYc3HdUe7PfJ2sBgAo9iVtQnXK";

export const POLICY = {
  permissions: ["po.approve", "po.create", "po.view", "warehouse.stock.adjust"],
  roles: [
    { name: "BUYER", grants: ["po.create", "po.view"] },
    { name: "HEAD", grants: ["po.approve"], aliases: ["Purchasing Head"], inherits: ["BUYER"] },
  ],
  users: [{ user: "42", roles: ["HEAD"] }, { user: "é", roles: ["BUYER"] }, { user: "\ufffd", roles: ["HEAD"] }],
  overrides: [
    { user: "42", effect: "deny", pattern: "po.approve", expires_at: 1000, reason: "holiday" },
    { user: "7", effect: "allow", pattern: "warehouse.*", expires_at: 2000 },
  ],
};
export const OTHER = { permissions: ["po.view"], roles: [{ name: "HEAD", grants: ["*"] }], users: [{ user: "42", roles: ["HEAD"] }] };

/** A loaded policy. */
export async function loaded(policy = POLICY, options) {
  const pbac = await Pbac.load(compiled, options);
  return { pbac, policy: pbac.policy(bundle(policy)) };
}

/** A ring document with one active key and these rules. */
export const ringDocument = (rules = {}) =>
  JSON.stringify({
    keys: [{ kty: "oct", kid: "k1", alg: "HS256", k: Buffer.from(SECRET).toString("base64url"), state: "active", since: null }],
    revoked: [],
    rules,
  });

/** A token of these claims, which may be JSON text already, signed with the ring's key. */
export function token(claims, header = { alg: "HS256", kid: "k1" }) {
  const text = typeof claims === "string" ? claims : JSON.stringify(claims);
  const signed = [JSON.stringify(header), text].map((part) => Buffer.from(part).toString("base64url")).join(".");
  return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}

/** Seconds from now, as tokens say times. */
export const inSeconds = (seconds) => Math.floor(Date.now() / 1000) + seconds;

export { bundle, compiled };
