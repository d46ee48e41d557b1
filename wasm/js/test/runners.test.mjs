// The loader in Node and in Chromium, and the component, asked by the same lines: `node --test wasm/js/test/runners.test.mjs`, after
// `scripts/wasm component`.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { path as modulePath } from "./module.mjs";
import { OTHER, POLICY, bundle, ringDocument, token } from "./support.mjs";

const wasm = modulePath instanceof URL ? fileURLToPath(modulePath) : modulePath;
const base64 = (policy) => Buffer.from(bundle(policy)).toString("base64");
const ask = (user, permission, now = 0, roles = null) => ({ user, roles, permission, now: String(now) });
const questions = [ask("42", "po.view"), ask("42", "po.approve"), ask("42", "po.approve", "9223372036854775807"), ask("\ufffd", "po.view"), ask("é", "po.view"), ask("7", "po.view", 0, ["HEAD", "\n"])];
const LINES = [
  { load: { bundle: base64(POLICY) } },
  { decide: questions },
  { check: questions },
  { check_one: questions },
  { session: ask("42", undefined, 999) },
  { explain: ask("42", "po.approve") },
  { permissions_of: ask("7", undefined, 1999) },
  { unknown_roles: ask("7", undefined, 0, ["x", "HEAD"]) },
  { who_can: { permission: "po.approve", now: "1000" } },
  { load: { bundle: Buffer.from("PBAC").toString("base64") } },
  { ring: "{}" },
  { ring: ringDocument() },
  { verify: [{ token: token({ exp: 10, user_id: 7 }), now: "0" }, { token: token('{"exp":10,"user_id":9007199254740993}'), now: "0" }, { token: "x", now: "0" }] },
  { load: { bundle: base64(OTHER) } },
  { content_hash: null },
];

async function answers(program, module = wasm, lines = LINES) {
  const runner = spawn(process.execPath, [fileURLToPath(new URL(program, import.meta.url)), module], { stdio: ["pipe", "pipe", "inherit"] });
  const exit = new Promise((done) => runner.on("exit", done));
  runner.stdin.end(lines.map((line) => JSON.stringify(line)).join("\n"));
  const answered = (await text(runner.stdout)).trimEnd().split("\n");
  assert.equal(await exit, 0);
  return answered;
}

test("Node answers the protocol", async () => {
  const lines = await answers("runner.mjs");
  assert.equal(lines.length, LINES.length);
  const [load, decide, check, single, session, explain, permissions, unknown, holders, bad, badRing, ring, verify, replaced, hash] = lines.map((line) => JSON.parse(line));
  assert.deepEqual([load, ring, replaced], [{ ok: true }, { ok: true }, { ok: true }]);
  assert.deepEqual(decide.answers.map(({ reason }) => reason), ["role", "explicit_deny", "role", "role", "role", "role"]);
  assert.deepEqual(check.allowed, [true, false, true, true, true, true]);
  assert.deepEqual(single, check);
  assert.deepEqual(session, { permissions: ["po.create", "po.view"], valid_until: "1000" });
  assert.equal(explain.winner.expires_at, 1000);
  assert.deepEqual(permissions.permissions, ["warehouse.stock.adjust"]);
  assert.deepEqual(unknown.unknown_roles, ["x"]);
  assert.deepEqual(holders, { roles: ["HEAD"], users: ["42", "\ufffd"] });
  assert.deepEqual([bad.error, badRing.error], ["BAD_BUNDLE", "BAD_RING"]);
  assert.match(lines[12], /"user_id":9007199254740993,/);
  assert.deepEqual(verify.answers[2], { error: "malformed_token" });
  assert.match(hash.content_hash, /^[0-9a-f]{64}$/);
});

const chromium = process.env.PBAC_CHROMIUM ?? "chromium";
const skip = spawnSync(chromium, ["--version"]).status === 0 ? false : `no \`${chromium}\`: install it, or name one in PBAC_CHROMIUM`;
test("Chromium answers as Node does", { skip }, async () => {
  assert.deepEqual(await answers("browser_runner.mjs"), await answers("runner.mjs"));
});

const component = process.env.PBAC_COMPONENT ?? fileURLToPath(new URL("../../../target/wasm/component/pbac.js", import.meta.url));
const withoutComponent = existsSync(component) ? false : `no component at ${component}: make it with \`scripts/wasm component\``;
test("the component answers as the loader does", { skip: withoutComponent }, async () => {
  assert.deepEqual(await answers("component_runner.mjs", component), await answers("runner.mjs"));
});
