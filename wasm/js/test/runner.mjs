// The loader in Node as a program: `node runner.mjs MODULE`, then lines of the protocol (protocol.mjs) on standard input.
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { session } from "./protocol.mjs";

const [path] = process.argv.slice(2);
if (path === undefined) {
  console.error("usage: node runner.mjs MODULE   (target/wasm/pbac.wasm, which `scripts/wasm` builds)");
  process.exit(2);
}
const answer = await session(await readFile(path));
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  process.stdout.write(`${answer(line)}\n`);
}
