// The loader in Node as a program: `node runner.mjs MODULE`, then lines of the protocol (protocol.mjs) on standard input.
import { readFile } from "node:fs/promises";
import { Pbac } from "../pbac.mjs";
import { serve } from "./lines.mjs";

const [path] = process.argv.slice(2);
if (path === undefined) {
  console.error("usage: node runner.mjs MODULE   (target/wasm/pbac.wasm, which `scripts/wasm` builds)");
  process.exit(2);
}
await serve(await Pbac.load(await readFile(path)));
