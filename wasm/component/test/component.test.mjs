// The component in Node, by jco: `node --test wasm/component/test/component.test.mjs`, after `scripts/wasm component`.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { bundle } from "../../js/test/module.mjs";

const { policies, keys } = await import("../../../target/wasm/component/pbac.js").catch((error) => {
  throw new Error(`no component: build it with \`scripts/wasm component\` (${error.message})`);
});
const { Policy } = policies;
const { Ring } = keys;

const POLICY = {
  permissions: ["po.approve", "po.view", "stock.adjust"],
  roles: [{ name: "HEAD", grants: ["po.*"], aliases: ["Head"] }],
  users: [{ user: "42", roles: ["HEAD"] }],
  overrides: [
    { user: "42", effect: "deny", pattern: "po.approve", expires_at: 1000 },
    { user: "42", effect: "allow", pattern: "stock.*" },
  ],
};
const stored = { tag: "stored" };
const named = (...names) => ({ tag: "named", val: names });
/** What jco throws for the error of a result. */
const refusal = (call) => {
  try {
    call();
  } catch (error) {
    return error.payload;
  }
  return undefined;
};

test("a policy answers as SPEC says", () => {
  const policy = Policy.load(bundle(POLICY));
  assert.deepEqual(policy.catalog(), POLICY.permissions);
  assert.match(policy.hash(), /^[0-9a-f]{64}$/);
  assert.equal(policy.check("42", stored, "po.view", 0n), "allowed-by-role");
  assert.equal(policy.check("42", stored, "po.approve", 999n), "explicit-deny");
  assert.equal(policy.check("42", stored, "po.approve", 1000n), "allowed-by-role");
  assert.equal(policy.check("42", named(), "stock.adjust", 0n), "allowed-by-override");
  assert.equal(policy.check("7", named("Head", "nobody"), "po.view", 0n), "allowed-by-role");
  assert.deepEqual(policy.checkBatch("7", stored, ["po.view", "po.zap", "po.*"], 0n), ["no-grant", "unknown-permission", "invalid-request"]);
  assert.deepEqual(policy.decide("42", stored, "po.view", 0n), { answer: "allowed-by-role", role: "HEAD", pattern: "po.*" });
  assert.deepEqual(policy.decide("42", stored, "po.zap", 0n), { answer: "unknown-permission", role: undefined, pattern: undefined });
  assert.equal(JSON.parse(policy.explain("42", stored, "po.approve", 0n)).winner.effect, "deny");
  assert.deepEqual(policy.permissionsOf("42", stored, 0n), ["po.view", "stock.adjust"]);
  const session = policy.resolve("42", stored, 0n);
  assert.equal(session.validUntil(), 1000n);
  assert.deepEqual(["po.view", "po.approve", "po.zap"].map((name) => session.allows(name, 999n)), [true, false, false]);
  assert.equal(session.allows("po.view", 1000n), undefined);
});

test("numbers stand for permissions of one policy", () => {
  const policy = Policy.load(bundle(POLICY));
  const other = Policy.load(bundle({ ...POLICY, overrides: [] }));
  const [approve, view, adjust] = POLICY.permissions.map((name) => policy.permissionNumber(name));
  assert.deepEqual([approve, view, adjust].map((number) => policy.permissionName(number)), POLICY.permissions);
  assert.equal(policy.checkNumber("42", stored, view, 0n), "allowed-by-role");
  assert.equal(policy.checkNumber("42", stored, approve, 999n), "explicit-deny");
  assert.equal(policy.checkNumber("", stored, view, 0n), "invalid-request");
  const session = policy.resolve("42", stored, 0n);
  assert.deepEqual([view, approve].map((number) => session.allowsNumber(number, 999n)), [true, false]);
  assert.equal(session.allowsNumber(view, 1000n), undefined);
  assert.deepEqual([...session.words()], [0b110n]);
  const foreign = { tag: "bad-number" };
  assert.deepEqual(refusal(() => other.checkNumber("42", stored, view, 0n)), foreign);
  assert.deepEqual(refusal(() => other.permissionName(view)), foreign);
  assert.deepEqual(refusal(() => other.resolve("42", stored, 0n).allowsNumber(view, 0n)), foreign);
  assert.deepEqual(refusal(() => policy.checkNumber("42", stored, view + 3, 0n)), foreign);
  assert.deepEqual(refusal(() => policy.permissionNumber("po.zap")), { tag: "refused", val: "unknown-permission" });
  assert.deepEqual(refusal(() => policy.permissionNumber("po.*")), { tag: "refused", val: "invalid-request" });
});

test("who may is told", () => {
  const policy = Policy.load(bundle(POLICY));
  assert.deepEqual(policy.whoCan("po.view", 0n), { roles: ["HEAD"], users: ["42"] });
  assert.deepEqual(policy.whoCan("po.approve", 0n), { roles: ["HEAD"], users: [] });
  assert.deepEqual(refusal(() => policy.whoCan("po.zap", 0n)), { tag: "refused", val: "unknown-permission" });
});

test("what would pass the limit is refused, and the next question is answered", () => {
  const policy = Policy.load(bundle(POLICY));
  const used = policies.memoryUsed();
  const users = Array.from({ length: 2000 }, (_, at) => ({ user: `user-${at}`, roles: ["HEAD"] }));
  const large = bundle({ ...POLICY, users });
  try {
    policies.limitMemory(used + 60_000);
    assert.match(refusal(() => Policy.load(large)), /no memory/);
    const names = Array.from({ length: 9000 }, () => "HEAD");
    assert.equal(refusal(() => policy.explain("42", named(...names), "po.view", 0n)).tag, "out-of-memory");
    assert.equal(policy.check("42", stored, "po.view", 0n), "allowed-by-role");
    policies.limitMemory(used);
    for (const call of [
      () => policy.catalog(),
      () => policy.permissionsOf("42", stored, 0n),
      () => policy.resolve("42", stored, 0n),
      () => policy.whoCan("po.view", 0n),
    ]) {
      assert.deepEqual(refusal(call), { tag: "out-of-memory" });
    }
    assert.match(refusal(() => Ring.load('{"keys":[],"revoked":[],"rules":{}}')), /no memory/);
  } finally {
    policies.limitMemory(64 << 20);
  }
  assert.deepEqual(policy.catalog(), POLICY.permissions);
  assert.equal(Policy.load(large).check("user-7", stored, "po.view", 0n), "allowed-by-role");
});

test("a bad bundle is refused with the reason", () => {
  const bad = bundle(POLICY);
  bad[40] ^= 1;
  assert.match(refusal(() => Policy.load(bad)), /damaged/);
});

test("tokens are verified", () => {
  const secret = "q3J9tq7pV0m2Zx8sLw4nB6yR1cK5dF-hGjT_uEoAiXk";
  const base64 = (value) => Buffer.from(value).toString("base64url");
  const document = { keys: [{ kty: "oct", kid: "k1", alg: "HS256", k: base64(secret), state: "active" }], revoked: [], rules: {} };
  const ring = Ring.load(JSON.stringify(document));
  const token = (claims) => {
    const signed = `${base64('{"alg":"HS256","kid":"k1"}')}.${base64(JSON.stringify(claims))}`;
    return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
  };
  const claims = ring.verify(token({ user_id: "42", roles: ["HEAD"], exp: 10 }), 0n);
  assert.deepEqual(claims.userId, { tag: "text", val: "42" });
  assert.deepEqual([claims.key, claims.namedKey, claims.roles, claims.exp], ["k1", true, ["HEAD"], 10_000_000n]);
  assert.deepEqual(refusal(() => ring.verify(token({ exp: 10 }), 10_000_000n)), { reason: "expired", claim: undefined });
  assert.deepEqual(refusal(() => ring.verify(token({ exp: 10, roles: 1 }), 0n)), { reason: "invalid_claim", claim: "roles" });
  assert.deepEqual(ring.candidates(undefined, "HS256", 0n), ["k1"]);
  assert.match(refusal(() => Ring.load("{}")), /`keys`/);
});
