// The module for tests that call it directly, with the few lines that the ABI asks of a host.
import { readFileSync } from "node:fs";

/** Where the module lies: PBAC_WASM, or where `scripts/wasm` writes it. */
export const path = process.env.PBAC_WASM ?? new URL("../../../target/wasm/pbac.wasm", import.meta.url);

let bytes;
try {
  bytes = readFileSync(path);
} catch {
  throw new Error(`no module at ${path}: build it with \`scripts/wasm\`, or name another one in PBAC_WASM`);
}
export const compiled = new WebAssembly.Module(bytes);

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Bytes of a text, or bytes as they are. */
export const raw = (value) => (typeof value === "string" ? encoder.encode(value) : value);

/** Byte strings end to end. */
export function join(...parts) {
  const all = parts.map(raw);
  const joined = new Uint8Array(all.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of all) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** A list as the ABI has it. */
export function list(...items) {
  return join(...items.flatMap((item) => {
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, raw(item).length, true);
    return [length, item];
  }));
}

/** A new instance with an input buffer of 64 KiB. */
export function instantiate() {
  const pbac = new WebAssembly.Instance(compiled).exports;
  const input = pbac.pbac_input(65536) >>> 0;
  if (input === 0) throw new Error("no memory for the input buffer");
  const write = (...parts) => {
    const all = join(...parts);
    const at = pbac.pbac_input(all.length) >>> 0;
    if (at === 0) throw new Error(`no memory for ${all.length} bytes of input`);
    new Uint8Array(pbac.memory.buffer).set(all, at);
    return all.length;
  };
  const output = () =>
    new Uint8Array(pbac.memory.buffer, pbac.pbac_output() >>> 0, pbac.pbac_output_length()).slice();
  const text = () => decoder.decode(output());
  return { pbac, write, output, text };
}

// Bundles are postcard behind a header: see policy-core/src/bundle.rs. Written here byte by byte, so that the tests need no `pbac`.
import { createHash } from "node:crypto";

function number(value) {
  const bytes = [];
  let rest = BigInt(value);
  do {
    const more = rest > 127n;
    bytes.push(Number(rest & 127n) | (more ? 128 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

const textOf = (value) => join(number(raw(value).length), value);
const listOf = (items, each) => join(number(items.length), ...items.map(each));
const place = (names, name) => number(names.indexOf(name));
const zigzag = (value) => number(value < 0n ? -2n * value - 1n : 2n * value);
const sorted = (items, key = (item) => item) =>
  [...items].sort((a, b) => Buffer.compare(Buffer.from(key(a)), Buffer.from(key(b))));
const distinct = (names) => sorted(new Set(names));

/** The bundle of a policy in the form of tests/cases: permissions (names), roles, users, overrides. */
export function bundle({ permissions = [], roles = [], users = [], overrides = [] }) {
  const allRoles = sorted(roles, (role) => role.name);
  const roleNames = allRoles.map((role) => role.name);
  const spellings = distinct(users.flatMap((user) => user.roles));
  const ordered = sorted(overrides, (o) => `${o.user}\0${o.effect === "deny" ? 0 : 1}\0${o.pattern}`);
  const payload = join(
    listOf(permissions.length ? ["m"] : [], textOf),
    listOf(sorted(permissions), (name) => join(textOf(name), number(0), textOf(""))),
    listOf(allRoles, (role) =>
      join(
        textOf(role.name),
        textOf(""),
        listOf(distinct(role.grants ?? []), textOf),
        listOf(distinct(role.inherits ?? []), (name) => place(roleNames, name)),
        listOf(distinct(role.aliases ?? []), textOf),
      )),
    number(0),
    listOf(ordered, (o) =>
      join(
        textOf(o.user),
        Uint8Array.of(o.effect === "allow" ? 1 : 0),
        textOf(o.pattern),
        o.expires_at === undefined ? Uint8Array.of(0) : join(Uint8Array.of(1), zigzag(BigInt(o.expires_at))),
        textOf(o.reason ?? ""),
      )),
    listOf(spellings, textOf),
    listOf(sorted(users, (user) => user.user), (user) =>
      join(textOf(user.user), listOf(distinct(user.roles), (name) => place(spellings, name)))),
  );
  return seal(payload);
}

/** A payload, whatever it is, as a bundle with the right hash. */
export function seal(payload) {
  const head = join("PBAC", Uint8Array.of(1, 0));
  const hash = createHash("sha256").update(head).update(payload).digest();
  return join(head, hash, payload);
}
