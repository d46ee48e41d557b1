// The component in Node, transpiled by jco, as a program: `node component_runner.mjs MODULE` with target/wasm/component/pbac.js, then lines of the
// protocol (protocol.mjs) on standard input.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { PbacError, TokenError } from "../pbac.mjs";
import { fromJson } from "../json.mjs";
import { serve } from "./lines.mjs";

const [path] = process.argv.slice(2);
if (path === undefined) {
  console.error("usage: node component_runner.mjs MODULE   (target/wasm/component/pbac.js, which `scripts/wasm component` makes)");
  process.exit(2);
}
const { policies, keys } = await import(pathToFileURL(resolve(path)));

/** What jco throws for the error of a result carries it. */
function loaded(code, load) {
  try {
    return load();
  } catch (error) {
    if (typeof error.payload !== "string") throw error;
    throw new PbacError(code, error.payload);
  }
}

const who = ({ user, roles }) => [user, roles == null ? { tag: "stored" } : { tag: "named", val: roles }];

const DECISIONS = {
  "allowed-by-role": ({ role, pattern }) => ({ decision: "allow", reason: "role", role, pattern }),
  "allowed-by-override": ({ pattern }) => ({ decision: "allow", reason: "override", pattern }),
  "explicit-deny": ({ pattern }) => ({ decision: "deny", reason: "explicit_deny", pattern }),
  "no-grant": () => ({ decision: "deny", reason: "no_grant" }),
  "unknown-permission": () => ({ decision: "deny", reason: "unknown_permission" }),
  "invalid-request": () => ({ decision: "deny", reason: "invalid_request" }),
};
const allows = (answer) => answer.startsWith("allowed-by-");

/** The component's policy with the face of the loader's. */
class Policy {
  #policy;

  constructor(bundle) {
    this.replace(bundle);
  }

  replace(bundle) {
    this.#policy = loaded("BAD_BUNDLE", () => policies.Policy.load(bundle));
  }

  get contentHash() {
    return this.#policy.hash();
  }

  get permissions() {
    return this.#policy.catalog();
  }

  check({ permission, now, ...subject }) {
    return allows(this.#policy.check(...who(subject), permission, now));
  }

  checkAll({ permissions, now, ...subject }) {
    return this.#policy.checkBatch(...who(subject), permissions, now).map(allows);
  }

  decide({ permission, now, ...subject }) {
    const decision = this.#policy.decide(...who(subject), permission, now);
    return DECISIONS[decision.answer](decision);
  }

  explain({ permission, now, ...subject }) {
    return fromJson(this.#policy.explain(...who(subject), permission, now));
  }

  permissionsOf({ now, ...subject }) {
    return this.#policy.permissionsOf(...who(subject), now);
  }

  whoCan(permission, now) {
    try {
      return this.#policy.whoCan(permission, now);
    } catch ({ payload }) {
      throw new PbacError(payload.val.replace("-", "_").toUpperCase(), permission);
    }
  }

  session({ now, ...subject }) {
    const policy = this.#policy;
    const session = policy.resolve(...who(subject), now);
    // By name and by number: where they differ, the answer is wrong one way or the other.
    const allows = (permission) => {
      const byName = session.allows(permission, now);
      const byNumber = session.allowsNumber(policy.permissionNumber(permission), now);
      if (byName !== byNumber) throw new Error(`${permission}: ${byName} by name, ${byNumber} by number`);
      return byName === true;
    };
    return { allows, validUntil: session.validUntil() ?? null };
  }
}

/** The component's key ring, likewise. */
class KeyRing {
  #ring;

  constructor(document) {
    this.replace(document);
  }

  replace(document) {
    this.#ring = loaded("BAD_RING", () => keys.Ring.load(document));
  }

  verify(token, now) {
    try {
      const { key, namedKey, userId, username, email, roles, exp, iat } = this.#ring.verify(token, now);
      const optional = { user_id: userId?.val ?? null, username: username ?? null, email: email ?? null };
      return { key, named_key: namedKey, ...optional, roles, exp, iat: iat ?? null };
    } catch ({ payload }) {
      throw new TokenError(payload.reason, payload.claim);
    }
  }
}

await serve({ policy: (bundle) => new Policy(bundle), keyRing: (document) => new KeyRing(document) });
