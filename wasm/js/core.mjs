// One instance of the module: arguments into its input buffer, answers out of its output buffer (../ABI.md).

import { CODES, PbacError } from "./errors.mjs";

/** Writes arguments into the module and reads what it answers. */
export class Core {
  #input = 0;
  #capacity = 0;
  #bytes = new Uint8Array(0);

  constructor(exports, maxBytes) {
    this.exports = exports;
    // What `write` wrote: lengths for the next call, and its time.
    this.user = this.roles = this.permission = 0;
    this.now = 0n;
    this.guard(() => {
      this.succeed(exports.pbac_init(maxBytes));
      this.#room(INPUT_BYTES);
    });
  }

  /** Writes a question: who asks and, behind it, the permission. */
  write({ user, roles, now }, permission, longest = MAX_TEXT_UNITS) {
    const bytes = this.#room(subjectRoom(user, roles) + 3 * lengthOf(permission, longest));
    const at = this.#writeSubject(bytes, user, roles);
    this.permission = putText(bytes, at, permission, longest);
    this.now = now === undefined ? clock() : micros(now);
  }

  /** The same with many permissions. */
  writeAll({ user, roles, now }, permissions) {
    const bytes = this.#room(subjectRoom(user, roles) + listRoom(permissions, "permissions"));
    const at = this.#writeSubject(bytes, user, roles);
    this.permission = putList(bytes, at, permissions, MAX_TEXT_UNITS);
    this.now = now === undefined ? clock() : micros(now);
  }

  /** Hands a whole file over and calls `call` with its length. */
  load(call, file, what) {
    const length = typeof file === "string" ? 3 * file.length : bytesOf(file, what).length;
    const bytes = this.#room(length);
    let written = length;
    if (typeof file === "string") written = putText(bytes, this.#input, file, Infinity);
    else bytes.set(bytesOf(file, what), this.#input);
    try {
      return this.succeed(call(written));
    } finally {
      if (this.#capacity > 4 * INPUT_BYTES) this.trim();
    }
  }

  /** An answer is no error; everything below is. */
  answer(result) {
    if (result <= FIRST_OF_ERRORS) this.succeed(result);
  }

  succeed(result) {
    if (result >= 0) return result;
    const code = CODES[result] ?? "BAD_MODULE";
    const detail = code === "BAD_BUNDLE" || code === "BAD_RING" ? this.text() : "";
    this.exports.pbac_describe(result);
    throw new PbacError(code, detail || this.text() || `the module answered ${result}`);
  }

  /** A view of what the last call wrote: to be read before the next one. */
  output() {
    const { exports } = this;
    return new Uint8Array(exports.memory.buffer, exports.pbac_output() >>> 0, exports.pbac_output_length());
  }

  text() {
    return decoder.decode(this.output());
  }

  free(handle) {
    this.guard(() => this.succeed(this.exports.pbac_free(handle)));
    this.trim();
  }

  /** Gives up what large files and answers made of the buffers. */
  trim() {
    this.exports.pbac_trim();
    this.#capacity = 0;
    this.#room(INPUT_BYTES);
  }

  guard(work) {
    try {
      return work(this);
    } catch (error) {
      this.dropAfter(error);
      throw error;
    }
  }

  /** After a trap the module's memory may be anything, so nothing is asked of it again. */
  dropAfter(error) {
    if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) this.exports = dropped;
  }

  /** Where what comes behind the subject begins. */
  #writeSubject(bytes, user, roles) {
    const at = this.#input + (this.user = putText(bytes, this.#input, user, MAX_TEXT_UNITS));
    if (roles == null) {
      this.roles = -1;
      return at;
    }
    return at + (this.roles = putList(bytes, at, roles, Infinity));
  }

  /** The module's memory, with so many bytes of input buffer. A view of memory that has grown since has no bytes. */
  #room(length) {
    if (length > this.#capacity) {
      const at = length > 0xffff_ffff ? 0 : this.exports.pbac_input(length) >>> 0;
      if (at === 0) throw new PbacError("OUT_OF_MEMORY", `${length} bytes of input are more than there is memory for: raise maxBytes`);
      this.#input = at;
      this.#capacity = length;
    }
    if (this.#bytes.length === 0) this.#bytes = new Uint8Array(this.exports.memory.buffer);
    return this.#bytes;
  }

}

const FIRST_OF_ERRORS = -16;
// No user id, permission or `kid` is nearly so long, so a longer one is refused without being copied.
const MAX_TEXT_UNITS = 4096;
const INPUT_BYTES = 16 * 1024;
const SHORT = 64;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

const dropped = new Proxy({}, {
  get() {
    throw new PbacError("DROPPED", "the module has trapped, which is a bug in it: load it again, and report this");
  },
});

const lengthOf = (text, longest = MAX_TEXT_UNITS) => (typeof text === "string" ? Math.min(text.length, longest) : 0);

const subjectRoom = (user, roles) => 3 * lengthOf(user) + (roles == null ? 0 : listRoom(roles, "roles"));

function listRoom(list, what) {
  if (!Array.isArray(list)) throw new PbacError("BAD_ARGUMENT", `${what} has to be an array of texts`);
  let room = 0;
  for (const item of list) room += 4 + 3 * lengthOf(item, Infinity);
  return room;
}

function putList(bytes, from, list, longest) {
  let at = from;
  for (const item of list) {
    const length = putText(bytes, at + 4, item, longest);
    bytes[at] = length;
    bytes[at + 1] = length >>> 8;
    bytes[at + 2] = length >>> 16;
    bytes[at + 3] = length >>> 24;
    at += 4 + length;
  }
  return at - from;
}

/**
 * Writes a text as UTF-8, where there is room for three bytes a unit, and says how many bytes it has. What is none that UTF-8 can
 * hold becomes the empty text, which is no name of anything; TextEncoder would make another name of it.
 */
function putText(bytes, at, text, longest) {
  if (typeof text !== "string") return 0;
  const { length } = text;
  if (length <= SHORT) {
    let unit = 0;
    let i = 0;
    while (i < length && (unit = text.charCodeAt(i)) < 128) bytes[at + i++] = unit;
    if (i === length) return length;
  }
  if (length > longest || !text.isWellFormed()) return 0;
  return encoder.encodeInto(text, bytes.subarray(at)).written;
}

function bytesOf(file, what) {
  if (file instanceof ArrayBuffer) return new Uint8Array(file);
  if (ArrayBuffer.isView(file)) return new Uint8Array(file.buffer, file.byteOffset, file.byteLength);
  throw new PbacError("BAD_ARGUMENT", `the ${what} has to be an ArrayBuffer or a Uint8Array`);
}

function micros(now) {
  if (typeof now !== "bigint" || now !== BigInt.asIntN(64, now)) {
    throw new PbacError("BAD_ARGUMENT", "now has to be a BigInt of 64 bits, in microseconds since 1970: BigInt(Date.now()) * 1000n");
  }
  return now;
}

let lastMillis = NaN;
let lastMicros = 0n;

/** The clock in microseconds; a BigInt is made only when it has moved. */
function clock() {
  const millis = Date.now();
  if (millis !== lastMillis) {
    lastMillis = millis;
    lastMicros = BigInt(millis) * 1000n;
  }
  return lastMicros;
}
