// The middleware and the example in front of a real server: `node --test wasm/js/test/middleware.test.mjs`, after `scripts/wasm`.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request as send } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { guard } from "../middleware.mjs";
import { path as modulePath } from "./module.mjs";
import { OTHER, POLICY, bundle, inSeconds, loaded, ringDocument, token } from "./support.mjs";

const { pbac, policy } = await loaded();
const ring = pbac.keyRing(ringDocument());
const claims = (user_id, roles) => ({ user_id, roles, exp: inSeconds(60), iat: inSeconds(0) });

/** A server with one route, guarded as `options` say; closed at the end. */
async function serve(permissions, options = {}) {
  const requirePermission = guard({ policy, ring, ...options });
  const guards = permissions.map(requirePermission);
  const server = createServer((request, response) => {
    const next = (at) => (at < guards.length ? guards[at](request, response, () => next(at + 1)) : response.end(JSON.stringify(request.pbac.session.permissions())));
    next(0);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  after(() => server.close());
  return server.address().port;
}

/** What the server answers to a GET with these values of `Authorization`. */
function get(port, authorization, path = "/", method = "GET") {
  return new Promise((done, fail) => {
    const headers = authorization === undefined ? [] : [authorization].flat().flatMap((value) => ["Authorization", value]);
    const request = send({ host: "127.0.0.1", port, path, method, headers: ["Host", "localhost", "Connection", "close", ...headers] }, (response) => {
      let body = "";
      response.on("data", (part) => (body += part)).on("end", () => done({ status: response.statusCode, headers: response.headers, body }));
    });
    request.on("error", fail).end();
  });
}

test("who holds the permission passes, and the handler knows who it is", async () => {
  const port = await serve(["po.view", "po.create"]);
  const answer = await get(port, `Bearer ${token(claims(9, ["Purchasing Head"]))}`);
  assert.equal(answer.status, 200);
  assert.deepEqual(JSON.parse(answer.body), ["po.approve", "po.create", "po.view"]);
  assert.equal((await get(port, `bearer ${token(claims("9", ["BUYER"]))}`)).status, 200);
});

test("who does not hold it is told which one is needed, and no more", async () => {
  const port = await serve(["po.view", "po.approve"]);
  const answer = await get(port, `Bearer ${token(claims(9, ["BUYER"]))}`);
  assert.equal(answer.status, 403);
  assert.equal(answer.headers["content-type"], "application/problem+json");
  assert.equal(answer.headers["www-authenticate"], undefined);
  assert.equal(answer.body, '{"type":"about:blank","title":"Forbidden","status":403,"detail":"the permission po.approve is needed","permission":"po.approve","reason":"no_grant"}');
  const typo = await get(await serve(["po.aprove"]), `Bearer ${token(claims(9, ["HEAD"]))}`);
  assert.equal(JSON.parse(typo.body).reason, "unknown_permission");
});

test("without a token that holds it is 401, with the reason in the challenge", async () => {
  const port = await serve(["po.view"], { realm: "the ERP" });
  const good = token(claims(9, ["HEAD"]));
  for (const [reason, authorization] of [
    ["no_token", undefined],
    ["no_token", "Basic YTpi"],
    ["no_token", `Token ${good}`],
    ["no_token", "Bearer"],
    ["malformed_header", `Bearer  ${good}`],
    ["bad_signature", `Bearer ${good.slice(0, -4)}AAAA`],
    ["expired", `Bearer ${token({ ...claims(9, ["HEAD"]), exp: inSeconds(-1) })}`],
    ["no_user_id", `Bearer ${token({ ...claims(9, ["HEAD"]), user_id: undefined })}`],
    ["several_tokens", [`Bearer ${good}`, `Bearer ${good}`]],
    ["several_tokens", `Bearer ${good}, Bearer ${good}`],
    ["algorithm_mismatch", `Bearer ${token(claims(9, ["HEAD"]), { alg: "none" })}`],
  ]) {
    const answer = await get(port, authorization);
    assert.equal(answer.status, 401, reason);
    const problem = JSON.parse(answer.body);
    assert.equal(problem.reason, reason);
    const error = reason === "no_token" ? "" : `, error="invalid_token", error_description="${reason}"`;
    assert.equal(answer.headers["www-authenticate"], `Bearer realm="the ERP"${error}`);
    assert.deepEqual(Object.keys(problem), ["type", "title", "status", "detail", "reason"]);
  }
});

test("roles come from where the guard says", async () => {
  const port = await serve(["po.create"], { roles: "stored" });
  assert.equal((await get(port, `Bearer ${token(claims(42, []))}`)).status, 200);
  assert.equal((await get(port, `Bearer ${token(claims(9, ["HEAD"]))}`)).status, 403);
  assert.equal((await get(await serve(["po.create"]), `Bearer ${token(claims(42, []))}`)).status, 403);
  assert.throws(() => guard({ policy, ring, roles: "both" }), TypeError);
  assert.throws(() => guard({ policy, ring, realm: 'a"b' }), TypeError);
});

test("a session that ends during a request is resolved again", async () => {
  const soon = Date.now() + 50;
  const own = (await loaded({ ...POLICY, overrides: [{ user: "42", effect: "deny", pattern: "po.*", expires_at: BigInt(soon) * 1000n }] })).policy;
  const requirePermission = guard({ policy: own, ring, roles: "stored" });
  const request = { rawHeaders: ["Authorization", `Bearer ${token(claims(42))}`] };
  let status;
  const response = { setHeader() {}, set statusCode(code) { status = code; }, end() {} };
  requirePermission("po.view")(request, response, () => (status = 200));
  assert.equal(status, 403);
  await new Promise((done) => setTimeout(done, soon - Date.now() + 5));
  requirePermission("po.view")(request, response, () => (status = 200));
  assert.equal(status, 200);
  assert.equal(request.pbac.session.allows("po.create"), true);
});

test("nobody passes when there is nothing to decide by", async () => {
  const gone = (await loaded()).policy;
  const port = await serve(["po.view"], { policy: gone });
  gone.free();
  const answer = await get(port, `Bearer ${token(claims(9, ["HEAD"]))}`);
  assert.equal(answer.status, 503);
  assert.equal(JSON.parse(answer.body).reason, "unavailable");
});

test("the example serves, and takes a new policy over", async () => {
  const directory = mkdtempSync(join(tmpdir(), "pbac-example-"));
  const [bundlePath, ringPath] = ["policy.pbac", "ring.json"].map((name) => join(directory, name));
  writeFileSync(bundlePath, bundle(POLICY));
  writeFileSync(ringPath, ringDocument());
  const program = new URL("../example/server.mjs", import.meta.url).pathname;
  const wasm = modulePath instanceof URL ? modulePath.pathname : modulePath;
  const server = spawn(process.execPath, [program, bundlePath, ringPath, "0"], { env: { ...process.env, PBAC_WASM: wasm }, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  const says = (pattern) => new Promise((done) => {
    const look = () => pattern.test(said) && done(said.match(pattern));
    for (const stream of [server.stdout, server.stderr]) stream.on("data", (part) => { said += part; look(); });
    look();
  });
  try {
    const [, port] = await says(/http:\/\/127\.0\.0\.1:(\d+) on (?:Express|node:http), policy [0-9a-f]{64}\n/);
    const head = `Bearer ${token(claims(9, ["HEAD"]))}`;
    const buyer = `Bearer ${token(claims(8, ["BUYER"]))}`;
    assert.deepEqual(JSON.parse((await get(port, head, "/orders")).body), { what: "orders", mayApprove: true });
    assert.deepEqual(JSON.parse((await get(port, buyer, "/orders?x=1")).body), { what: "orders", mayApprove: false });
    assert.deepEqual(JSON.parse((await get(port, head, "/orders/approve", "POST")).body), { what: "approved", by: "9" });
    assert.equal((await get(port, buyer, "/orders/approve", "POST")).status, 403);
    assert.equal((await get(port, undefined, "/orders")).status, 401);
    assert.equal((await get(port, head, "/nothing")).status, 404);
    writeFileSync(bundlePath, "no bundle");
    server.kill("SIGHUP");
    await says(/the policy stays as it is: not a bundle/);
    assert.equal((await get(port, head, "/orders/approve", "POST")).status, 200);
    writeFileSync(bundlePath, bundle(OTHER));
    server.kill("SIGHUP");
    await says(/\npolicy [0-9a-f]{64}\n/);
    assert.equal((await get(port, head, "/orders/approve", "POST")).status, 403);
  } finally {
    server.kill();
    rmSync(directory, { recursive: true });
  }
});
