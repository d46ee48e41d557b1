// The built module against ABI.md: `node --test wasm/js/test/abi.test.mjs`, after `scripts/wasm`.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { bundle, compiled, instantiate, join, list, raw, seal } from "./module.mjs";

const POLICY = {
  permissions: ["po.approve", "po.create", "po.view", "warehouse.stock.adjust"],
  roles: [
    { name: "BUYER", grants: ["po.view", "po.create"] },
    { name: "HEAD", grants: ["po.*"], aliases: ["Purchasing Head"], inherits: ["BUYER"] },
  ],
  users: [{ user: "42", roles: ["HEAD"] }],
  overrides: [
    { user: "42", effect: "deny", pattern: "po.approve", expires_at: 1000 },
    { user: "7", effect: "allow", pattern: "warehouse.*" },
  ],
};
const OTHER = { permissions: ["po.approve", "po.zap"], roles: [{ name: "HEAD", grants: ["po.approve"] }], users: [{ user: "42", roles: ["HEAD"] }] };

const BAD_HANDLE = -16, BAD_LENGTH = -17, BAD_TEXT = -18, BAD_LIST = -19, BAD_PERMISSION = -20, BAD_BUNDLE = -21;
const BAD_RING = -22, OUT_OF_MEMORY = -23, STALE = -25;

function loaded(policy = POLICY) {
  const instance = instantiate();
  const handle = instance.pbac.pbac_policy_load(instance.write(bundle(policy)));
  assert.ok(handle > 0, `${handle}: ${instance.text()}`);
  /** A check of user, roles (undefined: stored) and permission. */
  const check = (user, roles, permission, now = 0n, call = "pbac_check") => {
    const named = roles === undefined ? new Uint8Array() : list(...roles);
    instance.write(user, named, permission);
    return instance.pbac[call](handle, raw(user).length, roles === undefined ? -1 : named.length, raw(permission).length, now);
  };
  return { ...instance, handle, check };
}

const exported = new Set(WebAssembly.Module.exports(compiled).filter((e) => e.kind === "function").map((e) => e.name));

test("the module imports nothing and exports what ABI.md says", async () => {
  assert.deepEqual(WebAssembly.Module.imports(compiled), []);
  const { readFileSync } = await import("node:fs");
  const document = readFileSync(new URL("../../ABI.md", import.meta.url), "utf8");
  const described = new Map(
    [...document.matchAll(/^\| `(pbac_\w+)\(([^)]*)\) -> i32` \|/gm)].map(([, name, parameters]) => [
      name,
      parameters === "" ? 0 : parameters.split(",").length,
    ]),
  );
  assert.deepEqual([...exported].sort(), [...described.keys()].sort());
  const { pbac } = instantiate();
  for (const [name, parameters] of described) assert.equal(pbac[name].length, parameters, name);
  assert.equal(pbac.pbac_abi_version(), 1);
});

test("answers are those of SPEC section 3", () => {
  const { check, text, output, pbac, handle, write } = loaded();
  assert.equal(check("42", undefined, "po.view"), 1);
  assert.equal(check("42", undefined, "po.approve", 999n), -1);
  assert.equal(check("42", undefined, "po.approve", 1000n), 1);
  assert.equal(check("7", [], "warehouse.stock.adjust"), 2);
  assert.equal(check("7", [], "po.view"), 0);
  assert.equal(check("7", ["Purchasing Head", "nobody's"], "po.view"), 1);
  assert.equal(check("7", Array(100).fill("no").concat("HEAD"), "po.view"), 1);
  assert.equal(check("42", undefined, "po.delete"), -2);
  assert.equal(check("42", undefined, "po.*"), -3);
  assert.equal(check("", undefined, "po.view"), -3);
  assert.equal(check("é".repeat(128) + "x", undefined, "po.view"), -3);
  assert.equal(check("é", ["HEAD"], "po.view"), 1);
  // A separator in a role's name separates nothing.
  assert.equal(check("7", ["x\0HEAD", "x\nHEAD", "x,HEAD"], "po.view"), 0);

  assert.equal(check("42", undefined, "po.view", 0n, "pbac_decide"), 1);
  assert.deepEqual(JSON.parse(text()), { decision: "allow", reason: "role", role: "BUYER", pattern: "po.view" });
  assert.equal(check("42", undefined, "po.approve", 0n, "pbac_decide"), -1);
  assert.deepEqual(JSON.parse(text()), { decision: "deny", reason: "explicit_deny", pattern: "po.approve" });
  assert.equal(check("42", ["HEAD", "o\"dd"], "po.approve", 2000n, "pbac_explain"), 1);
  const explanation = JSON.parse(text());
  assert.deepEqual(explanation.unknown_roles, ["o\"dd"]);
  assert.deepEqual(explanation.winner, { kind: "role", role: "HEAD", pattern: "po.*", through: "HEAD" });
  assert.equal(explanation.expired.length, 1);

  assert.equal(check("42", undefined, list("po.view", "po.approve", "po.zap", "x", "warehouse.stock.adjust"), 0n, "pbac_check_batch"), 5);
  assert.deepEqual([...new Int8Array(output().buffer)], [1, -1, -2, -3, 0]);

  write("42");
  assert.equal(pbac.pbac_permissions(handle, 2, -1, 1000n), 3);
  assert.equal(text(), "po.approve\npo.create\npo.view");
  assert.equal(pbac.pbac_catalog(handle), 4);
  assert.equal(text(), POLICY.permissions.join("\n"));
  assert.equal(pbac.pbac_who_can(handle, write("warehouse.stock.adjust"), 0n), pbac.pbac_output_length());
  assert.deepEqual(JSON.parse(text()), { roles: [], users: ["7"] });
  assert.equal(pbac.pbac_who_can(handle, write("po.zap"), 0n), -2);
  assert.equal(pbac.pbac_policy_hash(handle), 32);
  assert.deepEqual(output(), bundle(POLICY).slice(6, 38));
});

test("numbers of permissions and sessions say the same as names", () => {
  const { check, pbac, handle, write, text, output } = loaded();
  const numbers = POLICY.permissions.map((name) => pbac.pbac_permission_id(handle, write(name)));
  assert.equal(pbac.pbac_permission_count(handle), 4);
  numbers.forEach((number, at) => {
    assert.ok(number >= 0 && (number & 0xffff) === at);
    assert.equal(pbac.pbac_permission_name(handle, number), POLICY.permissions[at].length);
    assert.equal(text(), POLICY.permissions[at]);
  });
  assert.equal(pbac.pbac_permission_id(handle, write("po.zap")), -2);
  assert.equal(pbac.pbac_permission_id(handle, write("po.*")), -3);
  for (const now of [0n, 999n, 1000n]) {
    write("42");
    const session = pbac.pbac_session(handle, 2, -1, now);
    const length = pbac.pbac_session_read(session);
    const read = output();
    assert.equal(length, 32);
    write("42");
    assert.equal(pbac.pbac_session_set(handle, 2, -1, now), length);
    assert.deepEqual(output(), read);
    const view = new DataView(read.buffer);
    assert.equal(view.getBigInt64(0, true), now);
    assert.equal(view.getBigInt64(8, true), now < 1000n ? 1000n : 0x7fff_ffff_ffff_ffffn);
    assert.equal(view.getUint32(20, true), 4);
    POLICY.permissions.forEach((name, at) => {
      const number = numbers[at];
      const allowed = check("42", undefined, name, now) > 0;
      assert.equal(pbac.pbac_session_check(session, number, now), allowed ? 1 : 0, name);
      assert.equal(number >>> 16, view.getUint32(16, true));
      assert.equal((view.getBigUint64(24, true) >> BigInt(at)) & 1n, allowed ? 1n : 0n, name);
      write("42");
      assert.equal(pbac.pbac_check_id(handle, 2, -1, number, now), check("42", undefined, name, now));
    });
    assert.equal(pbac.pbac_session_check(session, numbers[0], now - 1n), STALE);
    if (now < 1000n) assert.equal(pbac.pbac_session_check(session, numbers[0], 1000n), STALE);
    assert.equal(pbac.pbac_session_check(session, numbers[0] + 4, now), BAD_PERMISSION);
    assert.equal(pbac.pbac_session_check(session, numbers[0] ^ 0x10000, now), BAD_PERMISSION);
    assert.equal(pbac.pbac_session_check(handle, numbers[0], now), BAD_HANDLE);
    assert.equal(pbac.pbac_free(session), 0);
    assert.equal(pbac.pbac_session_check(session, numbers[0], now), BAD_HANDLE);
  }
});

test("a policy is replaced whole or not at all", () => {
  const { check, pbac, handle, write, text } = loaded();
  write("42");
  const session = pbac.pbac_session(handle, 2, -1, 0n);
  const number = pbac.pbac_permission_id(handle, write("po.view"));
  const bad = bundle(OTHER);
  bad[bad.length - 1] ^= 1;
  assert.equal(pbac.pbac_policy_replace(handle, write(bad)), BAD_BUNDLE);
  assert.match(text(), /damaged/);
  assert.equal(check("42", undefined, "po.view"), 1);
  assert.equal(pbac.pbac_session_check(session, number, 0n), 1);
  const second = pbac.pbac_policy_load(write(bundle(OTHER)));
  assert.notEqual(second, handle);
  assert.equal(pbac.pbac_policy_replace(handle, write(bundle(OTHER))), 0);
  assert.equal(check("42", undefined, "po.view"), -2);
  assert.equal(pbac.pbac_session_check(session, number, 0n), BAD_HANDLE);
  write("42");
  assert.equal(pbac.pbac_check_id(handle, 2, -1, number, 0n), BAD_PERMISSION);
  assert.equal(pbac.pbac_free(handle), 0);
  assert.equal(check("42", undefined, "po.approve"), BAD_HANDLE);
  assert.equal(pbac.pbac_free(handle), BAD_HANDLE);
  assert.equal(pbac.pbac_permission_count(second), 2);
});

test("bad lengths, texts and lists are named", () => {
  const { pbac, handle, write, text } = loaded();
  write(raw("42"), Uint8Array.of(0xff, 0xfe), list("HEAD"));
  for (const length of [-1, -2, 65537, 2 ** 31 - 1, -(2 ** 31)]) assert.equal(pbac.pbac_check(handle, length, -1, 1, 0n), BAD_LENGTH);
  assert.equal(pbac.pbac_check(handle, 2, -2, 1, 0n), BAD_LENGTH);
  assert.equal(pbac.pbac_check(handle, 2, -1, -1, 0n), BAD_LENGTH);
  write(new Uint8Array(65536));
  assert.equal(pbac.pbac_check(handle, 65536, 2 ** 31 - 1, 2 ** 31 - 1, 0n), BAD_LENGTH);
  write(raw("42"), Uint8Array.of(0xff, 0xfe));
  assert.equal(pbac.pbac_check(handle, 2, -1, 2, 0n), BAD_TEXT);
  assert.equal(pbac.pbac_check(handle, 3, -1, 1, 0n), BAD_TEXT);
  assert.equal(pbac.pbac_check(handle, 2, 2, 0, 0n), BAD_LIST);
  write("42", list("HEAD").slice(0, 7), "po.view");
  assert.equal(pbac.pbac_check(handle, 2, 7, 7, 0n), BAD_LIST);
  write("42", list(Uint8Array.of(0xff)), "po.view");
  assert.equal(pbac.pbac_check(handle, 2, 5, 7, 0n), BAD_TEXT);
  assert.ok(pbac.pbac_describe(BAD_LIST) > 0);
  assert.match(text(), /^bad list/);
  assert.equal(pbac.pbac_describe(-15), 0);
});

test("tokens are verified with a ring, which is wiped from the input", () => {
  const { pbac, write, text } = instantiate();
  const secret = raw("q3J9tq7pV0m2Zx8sLw4nB6yR1cK5dF-hGjT_uEoAiXk");
  const base64 = (value) => Buffer.from(raw(value)).toString("base64url");
  const document = (state) => JSON.stringify({
    keys: [{ kty: "oct", kid: "k1", alg: "HS256", k: base64(secret), ...state }],
    revoked: [{ kid: "k9", at: 0 }],
    rules: { token_life: 3600 },
  });
  const token = (header, claims) => {
    const signed = `${base64(JSON.stringify(header))}.${base64(JSON.stringify(claims))}`;
    return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
  };
  const json = document({ state: "active" });
  const ring = pbac.pbac_ring_load(write(json));
  assert.ok(ring > 0, text());
  const input = new Uint8Array(pbac.memory.buffer, pbac.pbac_input(0) >>> 0, json.length);
  assert.ok(input.every((byte) => byte === 0));
  const verify = (header, claims, now = 1_000_000n) => pbac.pbac_token_verify(ring, write(token(header, claims)), now);
  const claims = { user_id: 42, roles: ["HEAD", "é\"\n"], exp: 10.5, username: "u" };
  assert.equal(verify({ alg: "HS256", kid: "k1" }, claims), pbac.pbac_output_length());
  assert.deepEqual(JSON.parse(text()), {
    key: "k1", named_key: true, user_id: 42, username: "u", email: null, roles: claims.roles, exp: 10_500_000, iat: null,
  });
  for (const [code, header, changed, now] of [
    [-79, { alg: "HS256", kid: "k1" }, {}, 10_500_000n],
    [-70, { alg: "HS256", kid: "k9" }, {}],
    [-69, { alg: "HS256", kid: "k2" }, {}],
    [-68, { alg: "none", kid: "k1" }, {}],
    [-77, { alg: "HS256" }, { roles: [1] }],
    [-78, { alg: "HS256" }, { exp: null }],
  ]) {
    assert.equal(verify(header, { ...claims, ...changed }, now), code);
    pbac.pbac_token_verify(ring, write(token(header, { ...claims, ...changed })), now ?? 1_000_000n);
    const said = JSON.parse(text());
    pbac.pbac_describe(code);
    assert.equal(said.reason, text());
    if (code === -77) assert.equal(said.claim, "roles");
  }
  assert.equal(pbac.pbac_token_verify(ring, write("a.b"), 0n), -65);
  assert.equal(pbac.pbac_token_verify(ring, write(Uint8Array.of(255)), 0n), -65);
  assert.equal(pbac.pbac_token_verify(ring, write("x".repeat(16385)), 0n), -64);

  assert.equal(pbac.pbac_ring_replace(ring, write(document({ state: "none" }))), BAD_RING);
  assert.match(text(), /key number 1/);
  assert.ok(!text().includes(base64(secret).slice(0, 8)));
  assert.equal(pbac.pbac_ring_replace(ring, write(document({ state: "retired", since: 0, not_after: 500 }))), 0);
  const candidates = (kid, algorithm, now) => {
    write(kid ?? "", algorithm);
    return [pbac.pbac_ring_candidates(ring, kid === undefined ? -1 : kid.length, algorithm.length, now), text()];
  };
  assert.deepEqual(candidates("k1", "HS256", 499n), [1, "k1"]);
  assert.deepEqual(candidates(undefined, "HS256", 499n), [1, "k1"]);
  assert.deepEqual(candidates("k1", "HS256", 500n), [0, ""]);
  assert.deepEqual(candidates("k1", "ES256", 0n), [0, ""]);
  assert.equal(pbac.pbac_ring_load(write('{"keys":[{"kty":"EC","crv":"P-256","kid":"e","alg":"ES256","x":"","y":"","state":"active"}],"revoked":[],"rules":{}}')), BAD_RING);
  assert.match(text(), /ES256/);
});

/** The same numbers each run (xorshift). */
function random(seed) {
  let state = seed;
  return (below) => {
    state ^= state << 13; state ^= state >>> 17; state ^= state << 5;
    return (state >>> 0) % below;
  };
}

test("no numbers and no bytes make any export trap", () => {
  const rounds = Number(process.env.PBAC_CASES ?? 100_000);
  const next = random(0x9e3779b9);
  let { pbac, write, handle } = loaded();
  const sample = bundle(POLICY);
  const names = [...exported].filter((name) => name !== "pbac_input");
  const handles = [0, -1, handle];
  for (let round = 0; round < rounds; round += 1) {
    const name = names[next(names.length)];
    if (next(4) === 0) {
      const bytes = new Uint8Array(next(300)).map(() => next(256));
      write(bytes);
    } else if (next(3) === 0) {
      // A payload with the right hash gets past the header.
      const payload = sample.slice(38);
      for (let changes = next(4); changes > 0; changes -= 1) payload[next(payload.length)] = next(256);
      write(seal(next(5) === 0 ? payload.slice(0, next(payload.length)) : payload));
    } else if (next(10) === 0) {
      const json = raw('{"keys":[{"kty":"oct","kid":"k","alg":"HS256","k":"cTNKOXRxN3BWMG0yWng4c0x3NG5CNnlSMWNLNWRGLWhHalRfdUVvQWlYaw","state":"active"}],"revoked":[],"rules":{}}');
      for (let changes = next(3); changes > 0; changes -= 1) json[next(json.length)] = next(128);
      write(json);
    } else {
      write(["42", "7", "x"][next(3)], next(2) ? list("HEAD") : "", ["po.view", "po.approve", "po"][next(3)]);
    }
    const pick = [() => handles[next(handles.length)], () => next(400), () => next(0x1_0000_0000) | 0, () => -1, () => next(20)];
    const args = Array.from({ length: pbac[name].length }, (_, at) => (at === 0 && next(2) ? pick[0]() : pick[next(pick.length)]()));
    // The limit stays, so that memory does.
    if (name === "pbac_init") args[0] = 8 << 20;
    let result;
    const call = () => {
      try {
        return pbac[name](...args);
      } catch (error) {
        // What was an i64 wants a BigInt.
        if (!(error instanceof TypeError)) throw new Error(`${name}(${args}) in round ${round}: ${error}`);
        args[args.length - 1] = BigInt(args[args.length - 1]);
        return pbac[name](...args);
      }
    };
    try {
      result = call();
    } catch (error) {
      throw new Error(`${name}(${args}) in round ${round}: ${error}`);
    }
    if (/_load$|^pbac_session$/.test(name) && result > 0) handles.push(result);
    if (handles.length > 40) pbac.pbac_free(handles.splice(next(handles.length), 1)[0]);
  }
  assert.ok(pbac.memory.buffer.byteLength < 64 << 20);
});

test("memory stays within the limit, and a load that does not fit changes nothing", () => {
  const { pbac, write, check, handle } = loaded();
  assert.equal(pbac.pbac_init(1000), OUT_OF_MEMORY);
  const large = bundle({
    permissions: Array.from({ length: 5000 }, (_, at) => `p${at}.view`),
    roles: [{ name: "ALL", grants: ["*"] }],
    users: Array.from({ length: 5000 }, (_, at) => ({ user: `u${at}`, roles: ["ALL"] })),
  });
  const length = write(large);
  let refused = 0;
  let fits;
  for (let limit = pbac.pbac_memory_used() + 4096; fits === undefined; limit = Math.ceil(limit * 1.1)) {
    assert.equal(pbac.pbac_init(limit), 0);
    const found = pbac.pbac_policy_load(length);
    assert.ok(pbac.pbac_memory_used() <= limit);
    if (found > 0) fits = { limit, found };
    else {
      assert.equal(found, OUT_OF_MEMORY);
      refused += 1;
    }
  }
  assert.ok(refused > 3);
  assert.equal(pbac.pbac_free(fits.found), 0);
  assert.equal(pbac.pbac_input(0x7fff_ffff), 0);
  assert.equal(check("42", undefined, "po.view"), 1);
  assert.equal(pbac.pbac_permission_count(handle), 4);
});

test("ten million checks and twenty thousand loads leave memory as it was", () => {
  const { pbac, handle, write } = loaded();
  const load = bundle(POLICY);
  const now = 0n;
  const round = (checks, loads) => {
    write("42", "po.view");
    let allowed = 0;
    for (let at = 0; at < checks; at += 1) allowed += pbac.pbac_check(handle, 2, -1, 7, now);
    assert.equal(allowed, checks);
    for (let at = 0; at < loads; at += 1) {
      const length = write(load);
      const policy = pbac.pbac_policy_load(length);
      pbac.pbac_policy_replace(policy, length);
      write("42", "po.view");
      const session = pbac.pbac_session(policy, 2, -1, now);
      pbac.pbac_explain(policy, 2, -1, 7, now);
      pbac.pbac_permissions(policy, 2, -1, now);
      if (at % 2) pbac.pbac_free(session);
      pbac.pbac_free(policy);
    }
  };
  round(1000, 1000);
  const [used, pages] = [pbac.pbac_memory_used(), pbac.memory.buffer.byteLength];
  round(10_000_000, 20_000);
  // A place that has been used 32,767 times is used no more, which costs a few words.
  assert.ok(pbac.pbac_memory_used() - used < 2048, `${pbac.pbac_memory_used() - used} bytes more`);
  assert.equal(pbac.memory.buffer.byteLength, pages);
});
