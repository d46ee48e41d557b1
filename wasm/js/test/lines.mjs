// The protocol (protocol.mjs) on standard input and output.
import { createInterface } from "node:readline";
import { session } from "./protocol.mjs";

/** Answers line after line until the input ends. */
export async function serve(pbac) {
  const answer = session(pbac);
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    process.stdout.write(`${answer(line)}\n`);
  }
}
