// The policy core for Node and browsers: a face over `pbac.wasm`, whose functions ../ABI.md describes. What it means is said in pbac.d.mts.

import { Core } from "./core.mjs";
import { PbacError, TokenError } from "./errors.mjs";
import { fromJson } from "./json.mjs";

export { PbacError, TokenError } from "./errors.mjs";
export { toJson } from "./json.mjs";

const ABI_VERSION = 1;
const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;

/** One instance of the module, with its own memory. */
export class Pbac {
  #core;

  constructor(core) {
    this.#core = core;
  }

  /** Without a source: the `pbac.wasm` that lies beside this file. */
  static async load(source = new URL("./pbac.wasm", import.meta.url), { maxBytes = DEFAULT_MAX_BYTES } = {}) {
    if (!Number.isInteger(maxBytes) || maxBytes < 1 || maxBytes > 0xffff_ffff) {
      throw new PbacError("BAD_ARGUMENT", `maxBytes is ${maxBytes}: name a whole number of bytes from 1 to 4294967295`);
    }
    const module = source instanceof WebAssembly.Module ? source : await WebAssembly.compile(await read(source));
    const { exports } = await WebAssembly.instantiate(module);
    const version = exports.pbac_abi_version?.();
    if (version !== ABI_VERSION) {
      throw new PbacError("BAD_MODULE", `this is no pbac module of ABI version ${ABI_VERSION} (it says ${version}): take the pbac.wasm and the loader from one release`);
    }
    return new Pbac(new Core(exports, maxBytes));
  }

  policy(bundle) {
    return new Policy(this.#core, bundle);
  }

  keyRing(document) {
    return new KeyRing(this.#core, document);
  }

  get memoryUsed() {
    return this.#core.exports.pbac_memory_used() >>> 0;
  }
}

/** A policy that is loaded. */
export class Policy {
  #core;
  #handle;
  #hash;
  #catalog;

  constructor(core, bundle) {
    this.#core = core;
    this.#handle = core.guard(() => core.load((length) => core.exports.pbac_policy_load(length), bundle, "bundle"));
  }

  replace(bundle) {
    // Forgotten whatever comes of it: the places of one catalog must never meet the bits of another.
    this.#hash = this.#catalog = undefined;
    this.#core.guard((core) => core.load((length) => core.exports.pbac_policy_replace(this.#handle, length), bundle, "bundle"));
  }

  get contentHash() {
    this.#hash ??= this.#core.guard((core) => {
      core.succeed(core.exports.pbac_policy_hash(this.#handle));
      return Array.from(core.output(), (byte) => byte.toString(16).padStart(2, "0")).join("");
    });
    return this.#hash;
  }

  get permissions() {
    return [...this.#names().list];
  }

  check(question) {
    const core = this.#core;
    try {
      core.write(question, question.permission);
      return core.exports.pbac_check(this.#handle, core.user, core.roles, core.permission, core.now) > 0;
    } catch (error) {
      core.dropAfter(error);
      return false;
    }
  }

  checkAll(question) {
    const { permissions } = question;
    if (!Array.isArray(permissions)) throw new PbacError("BAD_ARGUMENT", "permissions has to be an array of texts");
    const core = this.#core;
    try {
      core.writeAll(question, permissions);
      core.succeed(core.exports.pbac_check_batch(this.#handle, core.user, core.roles, core.permission, core.now));
      const answers = core.output();
      return permissions.map((_, at) => answers[at] << 24 > 0);
    } catch (error) {
      core.dropAfter(error);
      return permissions.map(() => false);
    }
  }

  decide(question) {
    return this.#core.guard((core) => {
      core.write(question, question.permission);
      core.answer(core.exports.pbac_decide(this.#handle, core.user, core.roles, core.permission, core.now));
      return JSON.parse(core.text());
    });
  }

  explain(question) {
    return this.#core.guard((core) => {
      core.write(question, question.permission);
      core.answer(core.exports.pbac_explain(this.#handle, core.user, core.roles, core.permission, core.now));
      const explanation = fromJson(core.text());
      if (explanation.nearest) explanation.nearest.matching_segments = Number(explanation.nearest.matching_segments);
      return explanation;
    });
  }

  permissionsOf(subject) {
    return this.#core.guard((core) => {
      core.write(subject, "");
      core.succeed(core.exports.pbac_permissions(this.#handle, core.user, core.roles, core.now));
      return lines(core.text());
    });
  }

  whoCan(permission, now) {
    return this.#core.guard((core) => {
      core.write({ user: "", now }, permission);
      const result = core.exports.pbac_who_can(this.#handle, core.permission, core.now);
      if (result === -2) throw new PbacError("UNKNOWN_PERMISSION", `\`${permission}\` is not in the catalog`);
      if (result === -3) throw new PbacError("INVALID_REQUEST", `\`${permission}\` is no permission`);
      core.succeed(result);
      return JSON.parse(core.text());
    });
  }

  session(subject) {
    return this.#core.guard((core) => {
      const names = this.#names();
      core.write(subject, "");
      core.succeed(core.exports.pbac_session_set(this.#handle, core.user, core.roles, core.now));
      return new Session(names, core.output().slice(), subject.now !== undefined);
    });
  }

  free() {
    this.#core.free(this.#handle);
    this.#handle = 0;
  }

  /** The catalog: what stands at which bit of a session. */
  #names() {
    this.#catalog ??= this.#core.guard((core) => {
      core.succeed(core.exports.pbac_catalog(this.#handle));
      const list = lines(core.text());
      return { list, places: new Map(list.map((name, place) => [name, place])) };
    });
    return this.#catalog;
  }
}

const SET_HEADER_BYTES = 24;
const FOR_EVER = (1n << 63n) - 1n;

/** What one user may do, resolved once: each check is one bit test in JavaScript. */
export class Session {
  #places;
  #list;
  #bits;
  #until;

  constructor({ list, places }, set, hasOwnTime) {
    const header = new DataView(set.buffer, set.byteOffset);
    const until = header.getBigInt64(8, true);
    if (header.getUint32(20, true) !== list.length) throw new PbacError("BAD_MODULE", "the session is of another catalog");
    this.#places = places;
    this.#list = list;
    this.#bits = set.subarray(SET_HEADER_BYTES);
    this.resolvedAt = header.getBigInt64(0, true);
    this.validUntil = until === FOR_EVER ? null : until;
    // In microseconds by the clock. A session that was given a time is looked at at that time.
    this.#until = hasOwnTime || until === FOR_EVER ? Infinity : Number(until);
    Object.freeze(this);
  }

  allows(permission, now) {
    const place = this.#places.get(permission);
    if (place === undefined || !((this.#bits[place >>> 3] >>> (place & 7)) & 1)) return false;
    return now === undefined ? this.#until === Infinity || Date.now() * 1000 < this.#until : this.isValidAt(now);
  }

  isValidAt(now) {
    return typeof now === "bigint" && this.resolvedAt <= now && (this.validUntil === null || now < this.validUntil);
  }

  permissions() {
    return this.#list.filter((_, place) => (this.#bits[place >>> 3] >>> (place & 7)) & 1);
  }
}

const FIRST_OF_TOKENS = -64;
const MAX_TOKEN_BYTES = 16 * 1024;

/** Keys that verify tokens. They stay in the module's memory: nothing here reads them back. */
export class KeyRing {
  #core;
  #handle;

  constructor(core, document) {
    this.#core = core;
    this.#handle = core.guard(() => core.load((length) => core.exports.pbac_ring_load(length), document, "key ring"));
  }

  replace(document) {
    this.#core.guard((core) => core.load((length) => core.exports.pbac_ring_replace(this.#handle, length), document, "key ring"));
  }

  verify(token, now) {
    return this.#core.guard((core) => {
      if (typeof token !== "string") throw new TokenError("malformed_token");
      if (token.length > MAX_TOKEN_BYTES) throw new TokenError("too_long");
      core.write({ user: "", now }, token, MAX_TOKEN_BYTES);
      const result = core.exports.pbac_token_verify(this.#handle, core.permission, core.now);
      if (result <= FIRST_OF_TOKENS) {
        const { reason, claim } = JSON.parse(core.text());
        throw new TokenError(reason, claim);
      }
      core.succeed(result);
      const claims = fromJson(core.text());
      const { user_id } = claims;
      if (typeof user_id === "bigint" && Number.isSafeInteger(Number(user_id))) claims.user_id = Number(user_id);
      return claims;
    });
  }

  candidates(kid, algorithm, now) {
    return this.#core.guard((core) => {
      core.write({ user: kid ?? "", now }, algorithm);
      core.succeed(core.exports.pbac_ring_candidates(this.#handle, kid == null ? -1 : core.user, core.permission, core.now));
      return lines(core.text());
    });
  }

  free() {
    this.#core.free(this.#handle);
    this.#handle = 0;
  }
}

// `using` frees, where the runtime knows it.
if (Symbol.dispose) {
  for (const { prototype } of [Policy, KeyRing]) Object.defineProperty(prototype, Symbol.dispose, { value: prototype.free });
}

const lines = (text) => (text === "" ? [] : text.split("\n"));

async function read(source) {
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return source;
  if (source instanceof Promise || (typeof Response !== "undefined" && source instanceof Response)) {
    return bytesOfResponse(await source);
  }
  const url = source instanceof URL ? source : address(source);
  if (url.protocol === "file:") return (await import("node:fs/promises")).readFile(url);
  return bytesOfResponse(await fetch(url));
}

function address(source) {
  try {
    return new URL(source, globalThis.document?.baseURI ?? globalThis.location?.href);
  } catch {
    throw new PbacError("BAD_ARGUMENT", `\`${source}\` is no address of a module: give a URL, or the bytes of the file`);
  }
}

async function bytesOfResponse(response) {
  if (!response.ok) throw new PbacError("BAD_MODULE", `${response.url}: status ${response.status}`);
  return response.arrayBuffer();
}
