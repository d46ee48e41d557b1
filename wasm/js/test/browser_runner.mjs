// The loader in headless Chromium as a program: `node browser_runner.mjs MODULE`, then lines of the protocol (protocol.mjs) on standard input.
// A page on loopback answers them: it posts an answer and is given the next line. PBAC_CHROMIUM names the browser; `chromium` without it.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";

const [path] = process.argv.slice(2);
if (path === undefined) {
  console.error("usage: node browser_runner.mjs MODULE   (target/wasm/pbac.wasm, which `scripts/wasm` builds)");
  process.exit(2);
}
const START_SECONDS = 120;
const PAGE = `<!doctype html><meta charset="utf-8"><script type="module">
  try {
    const { Pbac } = await import("./pbac.mjs");
    const { session } = await import("./test/protocol.mjs");
    const answer = session(await Pbac.load(fetch("./module")));
    let line = "";
    for (;;) {
      const response = await fetch("./next", { method: "POST", body: line });
      if (response.status === 204) break;
      line = answer(await response.text());
    }
  } catch (error) {
    await fetch("./failed", { method: "POST", body: String(error?.stack ?? error) });
  }
</script>`;
const FILES = ["pbac.mjs", "core.mjs", "errors.mjs", "json.mjs", "test/protocol.mjs"];

// Only who knows the path can ask: the page holds the key rings that it is given.
const secret = `/${randomBytes(16).toString("hex")}/`;
const module = await readFile(path);
const lines = createInterface({ input: process.stdin, crlfDelay: Infinity })[Symbol.asyncIterator]();
const server = createServer((request, response) => {
  serve(request, response).catch((error) => end(1, String(error.stack)));
});

async function serve(request, response) {
  const name = request.url.startsWith(secret) ? request.url.slice(secret.length) : undefined;
  const send = (type, body) => response.writeHead(200, { "Content-Type": type }).end(body);
  if (name === "") return send("text/html", PAGE);
  if (name === "module") return send("application/wasm", module);
  if (FILES.includes(name)) return send("text/javascript", await readFile(new URL(`../${name}`, import.meta.url)));
  if (name === "failed") return end(1, await text(request));
  if (name !== "next") return response.writeHead(404).end();
  clearTimeout(late);
  const answer = await text(request);
  if (answer !== "") process.stdout.write(`${answer}\n`);
  const { value, done } = await lines.next();
  if (!done) return send("text/plain; charset=utf-8", value);
  response.writeHead(204).end(() => end(0));
}

await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const profile = mkdtempSync(join(tmpdir(), "pbac-chromium-"));
const browser = spawn(
  process.env.PBAC_CHROMIUM ?? "chromium",
  [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--remote-debugging-pipe", `--user-data-dir=${profile}`, `http://127.0.0.1:${server.address().port}${secret}`,
  ],
  // A group of its own, so that its helpers end with it. It ends when its debugging pipe does: also when this program is killed.
  { stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"], detached: true },
);
let said = "";
browser.stderr.on("data", (part) => (said = (said + part).slice(-4000)));
browser.on("error", (error) => end(1, `${error.message}: install chromium, or name it in PBAC_CHROMIUM`));
browser.on("exit", (code) => end(1, `the browser ended with ${code}: ${said}`));
const late = setTimeout(() => end(1, `the browser has not asked for the page's first line in ${START_SECONDS} s: ${said}`), START_SECONDS * 1000);
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => end(1, signal));

let ended = false;
function end(status, message) {
  if (ended) return;
  ended = true;
  if (message !== undefined) console.error(message);
  process.exitCode = status;
  browser.removeAllListeners("exit");
  browser.on("exit", leave);
  if (browser.pid === undefined || browser.exitCode !== null) leave();
  else process.kill(-browser.pid, "SIGKILL");
}

function leave() {
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  process.stdout.write("", () => process.exit());
}
