// Purchase orders behind permissions: `node server.mjs BUNDLE RING [PORT]`, as the README shows. Runs on node:http alone, and on Express where
// that is installed.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { Pbac } from "../pbac.mjs";
import { guard } from "../middleware.mjs";

const [bundlePath, ringPath, port = "8080"] = process.argv.slice(2);
if (ringPath === undefined) {
  console.error("usage: node server.mjs BUNDLE RING [PORT]   (BUNDLE: `pbac bundle build`; RING: `pbac keys export --ring`)");
  process.exit(2);
}
// PBAC_WASM: where the module lies, when it is not beside the loader.
const pbac = await Pbac.load(process.env.PBAC_WASM && (await readFile(process.env.PBAC_WASM)));
const policy = pbac.policy(await readFile(bundlePath));
const ring = pbac.keyRing(await readFile(ringPath));
const requirePermission = guard({ policy, ring });

/** Method, path, permission, and what is done for who holds it. */
const routes = [
  ["get", "/orders", "po.view", ({ pbac }) => ({ what: "orders", mayApprove: pbac.session.allows("po.approve") })],
  ["post", "/orders/approve", "po.approve", ({ pbac }) => ({ what: "approved", by: String(pbac.claims.user_id) })],
];
const answer = (response, body) => response.setHeader("Content-Type", "application/json").end(JSON.stringify(body));

// A new policy without a restart: SIGHUP reads the bundle again, and a bad one changes nothing.
process.on("SIGHUP", async () => {
  try {
    policy.replace(await readFile(bundlePath));
    console.log(`policy ${policy.contentHash}`);
  } catch (error) {
    console.error(`the policy stays as it is: ${error.message}`);
  }
});

const express = await import("express").then((module) => module.default, () => undefined);
const server = createServer(express ? withExpress(express()) : byHand());
server.listen(Number(port), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port} on ${express ? "Express" : "node:http"}, policy ${policy.contentHash}`);
});

function withExpress(application) {
  for (const [method, path, permission, handle] of routes) {
    application[method](path, requirePermission(permission), (request, response) => answer(response, handle(request)));
  }
  return application;
}

function byHand() {
  const table = new Map(routes.map(([method, path, permission, handle]) => [
    `${method.toUpperCase()} ${path}`,
    { guarded: requirePermission(permission), handle },
  ]));
  return (request, response) => {
    const route = table.get(`${request.method} ${request.url.split("?")[0]}`);
    if (route === undefined) return response.writeHead(404).end();
    return route.guarded(request, response, () => answer(response, route.handle(request)));
  };
}
