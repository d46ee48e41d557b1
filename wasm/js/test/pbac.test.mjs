// The loader, on policies small enough to be looked through: `node --test wasm/js/test/pbac.test.mjs`, after `scripts/wasm`.
import assert from "node:assert/strict";
import { fileURLToPath, pathToFileURL } from "node:url";
import { test } from "node:test";
import { Pbac, PbacError, TokenError, toJson } from "../pbac.mjs";
import { path } from "./module.mjs";
import { HOUR, OTHER, POLICY, SECRET, bundle, compiled, inSeconds, loaded, ringDocument, token } from "./support.mjs";

const code = (expected) => (error) => error instanceof PbacError && error.code === expected && error.message.length > 10;

test("a check says yes or no, a decision why", async () => {
  const { policy } = await loaded();
  assert.equal(policy.check({ user: "42", permission: "po.view" }), true);
  assert.equal(policy.check({ user: "42", permission: "po.approve", now: 999n }), false);
  assert.equal(policy.check({ user: "42", permission: "po.approve", now: 1000n }), true);
  assert.equal(policy.check({ user: "9", roles: ["Purchasing Head", "no such"], permission: "po.approve" }), true);
  assert.equal(policy.check({ user: "42", roles: [], permission: "po.view" }), false, "no role at all");
  assert.equal(policy.check({ user: "42", roles: null, permission: "po.view" }), true, "those of the policy");

  const decide = (permission, now, user = "42") => policy.decide({ user, permission, now });
  assert.deepEqual(decide("po.view", 0n), { decision: "allow", reason: "role", role: "BUYER", pattern: "po.view" });
  assert.deepEqual(decide("po.approve", 0n), { decision: "deny", reason: "explicit_deny", pattern: "po.approve" });
  assert.deepEqual(decide("warehouse.stock.adjust", 0n, "7"), { decision: "allow", reason: "override", pattern: "warehouse.*" });
  assert.deepEqual(decide("warehouse.stock.adjust", 0n), { decision: "deny", reason: "no_grant" });
  assert.deepEqual(decide("po.aprove"), { decision: "deny", reason: "unknown_permission" });
  assert.deepEqual(decide("po.*"), { decision: "deny", reason: "invalid_request" });
});

test("what is no text is an invalid request, and never another name", async () => {
  const { policy } = await loaded();
  const invalid = { decision: "deny", reason: "invalid_request" };
  assert.equal(policy.check({ user: "\ufffd", permission: "po.view" }), true, "this user there is");
  assert.equal(policy.check({ user: "é", permission: "po.view" }), true);
  for (const user of ["\ud800", "a\udc00", "", "x\0", "u".repeat(257), "é".repeat(129), "u".repeat(5000), 42, undefined, null, {}]) {
    assert.deepEqual(policy.decide({ user, roles: ["HEAD"], permission: "po.view" }), invalid, String(user));
    assert.equal(policy.check({ user, roles: ["HEAD"], permission: "po.view" }), false);
    assert.deepEqual(policy.session({ user, roles: ["HEAD"] }).permissions(), []);
  }
  for (const permission of ["po.view\ud800", "po.view\0", "po.view ", `po.${"v".repeat(98)}`, "po.view".repeat(1000), undefined, 7]) {
    assert.deepEqual(policy.decide({ user: "42", permission }), invalid, String(permission));
    assert.equal(policy.check({ user: "42", permission }), false);
  }
  assert.equal(policy.check({ user: "42", permission: ["po.view"] }), false);
  assert.deepEqual(policy.decide({ user: "u".repeat(256), roles: ["HEAD"], permission: "po.view" }).decision, "allow");
  // A role that is none grants nothing, and takes nothing from the others.
  assert.equal(policy.check({ user: "9", roles: ["\ud800", 7, "HEAD\0", "HEAD,BUYER"], permission: "po.view" }), false);
  assert.equal(policy.check({ user: "9", roles: ["\ud800", "r".repeat(10_000), "HEAD"], permission: "po.view" }), true);
  assert.equal(policy.check({ user: "9", roles: Array(5000).fill("no").concat("HEAD"), permission: "po.view" }), true);
});

test("an error denies a check and is thrown by everything else", async () => {
  const { policy } = await loaded();
  for (const wrong of [
    { user: "42", permission: "po.view", roles: "HEAD" },
    { user: "42", permission: "po.view", now: Date.now() },
    { user: "42", permission: "po.view", now: 1n << 63n },
    { user: "42", permission: "po.view", now: -(1n << 64n) },
  ]) {
    assert.equal(policy.check(wrong), false);
    assert.deepEqual(policy.checkAll({ ...wrong, permissions: ["po.view"] }), [false]);
    for (const call of ["decide", "explain", "permissionsOf", "session"]) assert.throws(() => policy[call](wrong), code("BAD_ARGUMENT"), call);
  }
  assert.equal(policy.check(undefined), false);
  assert.throws(() => policy.checkAll({ user: "42", permissions: "po.view" }), code("BAD_ARGUMENT"));
  policy.free();
  assert.equal(policy.check({ user: "42", permission: "po.view" }), false);
  assert.throws(() => policy.decide({ user: "42", permission: "po.view" }), code("BAD_HANDLE"));
  assert.throws(() => policy.free(), code("BAD_HANDLE"));
});

test("after a trap nothing is asked of the module again", async () => {
  const { instantiate } = WebAssembly;
  let traps = false;
  WebAssembly.instantiate = async (module) => {
    const { exports } = await instantiate(module);
    const trap = () => { if (traps) throw new WebAssembly.RuntimeError("unreachable"); return exports.pbac_decide; };
    return { exports: { ...exports, pbac_decide: (...numbers) => trap()(...numbers) } };
  };
  try {
    const { policy, pbac } = await loaded();
    assert.equal(policy.decide({ user: "42", permission: "po.view" }).decision, "allow");
    traps = true;
    assert.throws(() => policy.decide({ user: "42", permission: "po.view" }), WebAssembly.RuntimeError);
    assert.equal(policy.check({ user: "42", permission: "po.view" }), false);
    assert.throws(() => pbac.policy(bundle(POLICY)), code("DROPPED"));
  } finally {
    WebAssembly.instantiate = instantiate;
  }
});

test("a batch says the same as single checks", async () => {
  const { policy } = await loaded();
  const permissions = ["po.view", "po.approve", "po.zap", "po.*", "\ud800", undefined, "", "warehouse.stock.adjust", "po.create"];
  for (const subject of [{ user: "42", now: 0n }, { user: "42" }, { user: "7", roles: ["BUYER"], now: 5n }, { user: "\ud800", roles: ["HEAD"] }]) {
    const single = permissions.map((permission) => policy.check({ ...subject, permission }));
    assert.deepEqual(policy.checkAll({ ...subject, permissions }), single);
  }
  const many = Array.from({ length: 20_000 }, (_, at) => (at % 3 ? "po.view" : "warehouse.stock.adjust"));
  assert.deepEqual(policy.checkAll({ user: "42", permissions: many }), many.map((name) => name === "po.view"));
  assert.deepEqual(policy.checkAll({ user: "42", permissions: [] }), []);
});

test("a session says the same as checks while it holds", async () => {
  const { policy } = await loaded();
  for (const [user, now] of [["42", 0n], ["42", 999n], ["42", 1000n], ["7", 1999n], ["7", 2000n], ["nobody", 0n]]) {
    const session = policy.session({ user, now });
    for (const permission of [...POLICY.permissions, "po.zap", "po.*", "toString", undefined]) {
      assert.equal(session.allows(permission), policy.check({ user, permission, now }), `${user} ${permission} ${now}`);
    }
    assert.deepEqual(session.permissions(), policy.permissionsOf({ user, now }));
    assert.equal(session.resolvedAt, now);
  }
  const session = policy.session({ user: "42", now: 0n });
  assert.equal(session.validUntil, 1000n);
  assert.equal(session.allows("po.view", 999n), true);
  assert.equal(session.allows("po.view", 1000n), false);
  assert.equal(session.allows("po.view", -1n), false);
  assert.equal(session.allows("po.view", 5), false);
  assert.equal(policy.session({ user: "42", now: 1000n }).validUntil, null);
});

test("a session by the clock ends when an override does", async (t) => {
  const soon = BigInt(inSeconds(60)) * 1_000_000n;
  const { policy } = await loaded({ ...POLICY, overrides: [{ user: "7", effect: "allow", pattern: "po.view", expires_at: soon }] });
  const session = policy.session({ user: "7" });
  assert.equal(session.validUntil, soon);
  assert.equal(session.allows("po.view"), true);
  t.mock.timers.enable({ apis: ["Date"], now: Number(soon / 1000n) });
  assert.equal(session.allows("po.view"), false);
  assert.equal(policy.check({ user: "7", permission: "po.view" }), false);
  t.mock.timers.setTime(Number(soon / 1000n) - 1);
  assert.equal(session.allows("po.view"), true);
  assert.equal(policy.check({ user: "7", permission: "po.view" }), true);
});

test("a policy is replaced whole or not at all", async () => {
  const { pbac, policy } = await loaded();
  const before = policy.contentHash;
  assert.equal(before, Buffer.from(bundle(POLICY).slice(6, 38)).toString("hex"));
  const session = policy.session({ user: "42" });
  const damaged = bundle(OTHER).map((byte, at) => (at === 50 ? byte ^ 1 : byte));
  for (const bad of [damaged, new Uint8Array(), Buffer.from("PBAC"), bundle(OTHER).slice(0, -1)]) {
    assert.throws(() => policy.replace(bad), code("BAD_BUNDLE"));
    assert.throws(() => pbac.policy(bad), code("BAD_BUNDLE"));
  }
  assert.throws(() => policy.replace("PBAC"), code("BAD_BUNDLE"));
  assert.throws(() => policy.replace({}), code("BAD_ARGUMENT"));
  assert.equal(policy.contentHash, before);
  assert.equal(policy.check({ user: "42", permission: "po.create" }), true);
  policy.replace(bundle(OTHER).buffer);
  assert.notEqual(policy.contentHash, before);
  assert.deepEqual(policy.permissions, ["po.view"]);
  assert.equal(policy.check({ user: "42", permission: "po.create" }), false);
  assert.deepEqual(policy.session({ user: "42" }).permissions(), ["po.view"]);
  assert.equal(session.allows("po.create"), true, "a request ends as it began");
  assert.deepEqual(pbac.policy(bundle(POLICY)).permissions, POLICY.permissions, "several at once");
});

test("explanations and who can", async () => {
  const { policy } = await loaded();
  const explanation = policy.explain({ user: "42", roles: ["HEAD", "o\"dd: 12"], permission: "po.approve", now: 2000n });
  assert.deepEqual(explanation.winner, { kind: "role", role: "HEAD", pattern: "po.approve", through: "HEAD" });
  assert.deepEqual(explanation.expired, [{ kind: "override", effect: "deny", pattern: "po.approve", expires_at: 1000n, note: "holiday" }]);
  assert.deepEqual(explanation.unknown_roles, ["o\"dd: 12"]);
  assert.match(toJson(explanation), /"expires_at":1000,"note":"holiday"/);
  const near = policy.explain({ user: "42", roles: ["BUYER"], permission: "po.approve", now: 2000n });
  assert.equal(near.nearest.matching_segments, 1);
  assert.deepEqual(policy.whoCan("po.approve", 2000n), { roles: ["HEAD"], users: ["42", "\ufffd"] });
  assert.throws(() => policy.whoCan("po.zap"), code("UNKNOWN_PERMISSION"));
  assert.throws(() => policy.whoCan("*"), code("INVALID_REQUEST"));
});

test("tokens hold or are refused by name", async () => {
  const { pbac } = await loaded();
  const ring = pbac.keyRing(ringDocument());
  const exp = inSeconds(60);
  assert.deepEqual(ring.verify(token({ user_id: 42, username: "alice", roles: ["HEAD", "\u{1f600}"], exp, iat: exp - 100 })), {
    key: "k1", named_key: true, user_id: 42, username: "alice", email: null, roles: ["HEAD", "\u{1f600}"],
    exp: BigInt(exp) * 1_000_000n, iat: BigInt(exp - 100) * 1_000_000n,
  });
  // A user id that a double would round to the next user's, and texts that look like numbers.
  assert.equal(ring.verify(token(`{"user_id":9007199254740993,"exp":${exp}}`)).user_id, 9007199254740993n);
  assert.equal(ring.verify(token(`{"user_id":-9223372036854775808,"exp":${exp}}`)).user_id, -(1n << 63n));
  assert.equal(ring.verify(token({ user_id: "9007199254740993", exp })).user_id, "9007199254740993");
  assert.equal(ring.verify(token({ username: "\"user_id\":7,\\", user_id: "u", exp })).username, "\"user_id\":7,\\");
  const refused = (reason, claim) => (error) => error instanceof TokenError && error.reason === reason && error.claim === claim;
  assert.throws(() => ring.verify(token({ exp }), BigInt(exp) * 1_000_000n + HOUR), refused("expired"));
  assert.throws(() => ring.verify(token({ exp }) + "x"), refused("bad_signature"));
  assert.throws(() => ring.verify(token({ exp }, { alg: "none" })), refused("algorithm_mismatch"));
  assert.throws(() => ring.verify(token({ exp }, { alg: "HS256", kid: "k2" })), refused("unknown_key"));
  assert.throws(() => ring.verify(token({ exp, user_id: true })), refused("invalid_claim", "user_id"));
  for (const none of ["", "\ud800", "a.b", undefined, null, 7]) assert.throws(() => ring.verify(none), refused("malformed_token"));
  assert.throws(() => ring.verify("x".repeat(16 * 1024 + 1)), refused("too_long"));
  assert.throws(() => ring.verify("x".repeat(5_000_000)), refused("too_long"));
  assert.deepEqual(ring.candidates(null, "HS256"), ["k1"]);
  assert.deepEqual(ring.candidates("k1", "HS256"), ["k1"]);
  assert.deepEqual(ring.candidates("k2", "HS256"), []);

  assert.throws(() => ring.replace(`{"keys":[]}`), code("BAD_RING"));
  assert.throws(() => pbac.keyRing(ringDocument().replace("HS256", "RS256")), (error) => code("BAD_RING")(error) && !error.message.includes(SECRET));
  assert.equal(ring.verify(token({ user_id: "u", exp })).user_id, "u", "the old ring stays");
  ring.replace(Buffer.from(ringDocument({ issuers: ["https://here"] })));
  assert.throws(() => ring.verify(token({ exp })), refused("wrong_issuer"));
  ring.free();
  assert.throws(() => ring.verify(token({ exp })), code("BAD_HANDLE"));
});

test("memory stays within the limit, and a load that would pass it changes nothing", async () => {
  const { pbac, policy } = await loaded(POLICY, { maxBytes: 256 * 1024 });
  const large = { ...POLICY, permissions: Array.from({ length: 20_000 }, (_, at) => `large.p${at}`), overrides: [] };
  assert.throws(() => policy.replace(bundle(large)), code("OUT_OF_MEMORY"));
  assert.throws(() => pbac.policy(bundle(large)), code("OUT_OF_MEMORY"));
  assert.equal(policy.check({ user: "42", permission: "po.view" }), true);
  assert.equal(policy.check({ user: "42", roles: ["r".repeat(1_000_000)], permission: "po.view" }), false);
  assert.equal(policy.check({ user: "42", permission: "po.view" }), true);
  assert.ok(pbac.memoryUsed <= 256 * 1024);
  for (const maxBytes of [0, -1, 1.5, 2 ** 32, "64"]) await assert.rejects(Pbac.load(compiled, { maxBytes }), code("BAD_ARGUMENT"));
  await assert.rejects(Pbac.load(compiled, { maxBytes: 100 }), code("OUT_OF_MEMORY"));
});

test("where memory ends exactly, a replacement still happens whole or not at all", async () => {
  const large = { ...POLICY, permissions: [...POLICY.permissions, ...Array.from({ length: 6000 }, (_, at) => `large.p${at}`)] };
  const hashes = [POLICY, large].map((policy) => Buffer.from(bundle(policy).slice(6, 38)).toString("hex"));
  const fits = async (maxBytes) => {
    const { policy } = await loaded(POLICY, { maxBytes });
    assert.equal(policy.session({ user: "42" }).allows("po.view"), true);
    let replaced = true;
    try {
      policy.replace(bundle(large));
    } catch (error) {
      assert.ok(code("OUT_OF_MEMORY")(error), String(error));
      replaced = false;
    }
    assert.equal(policy.contentHash, hashes[Number(replaced)], `with ${maxBytes} bytes`);
    assert.equal(policy.check({ user: "42", permission: "po.view" }), true);
    assert.equal(policy.check({ user: "42", permission: "large.p7" }), false);
    return replaced;
  };
  let [low, high] = [256 * 1024, 64 * 1024 * 1024];
  assert.deepEqual([await fits(low), await fits(high)], [false, true]);
  while (high - low > 256) {
    const middle = (low + high) >>> 1;
    if (await fits(middle)) high = middle;
    else low = middle;
  }
});

test("views are renewed when the memory has grown", async () => {
  const { pbac, policy } = await loaded();
  const before = pbac.memoryUsed;
  const large = bundle({ ...POLICY, permissions: [...POLICY.permissions, ...Array.from({ length: 3000 }, (_, at) => `large.p${at}`)] });
  const second = pbac.policy(large);
  assert.equal(policy.check({ user: "42", permission: "po.view" }), true);
  assert.equal(second.session({ user: "42" }).allows("po.view"), true);
  second.free();
  assert.ok(pbac.memoryUsed <= before + 1024, `${pbac.memoryUsed} of ${before}`);
});

test("what is no module of this ABI is refused", async () => {
  await assert.rejects(Pbac.load(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0])), code("BAD_MODULE"));
  await assert.rejects(Pbac.load(new Uint8Array(8)), WebAssembly.CompileError);
  await assert.rejects(Pbac.load(new Response("", { status: 404 })), code("BAD_MODULE"));
  for (const nowhere of ["pbac.wasm", "", 7, null]) await assert.rejects(Pbac.load(nowhere), code("BAD_ARGUMENT"));
  const url = pathToFileURL(path instanceof URL ? fileURLToPath(path) : path);
  assert.ok((await Pbac.load(url.href)) instanceof Pbac);
});
