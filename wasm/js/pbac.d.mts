/**
 * Microseconds since 1970-01-01T00:00:00Z. Always a BigInt, both ways: `BigInt(Date.now()) * 1000n`. A `number` is refused, since the
 * milliseconds of `Date.now()` would pass for a moment in 1970, when nothing had expired yet.
 */
export type Micros = bigint;

/** Of whom a question is. */
export interface Subject {
  /** The user's id, a text of 1 to 256 bytes. */
  user: string;
  /**
   * The names or aliases of the user's roles, as a token carries them; unknown ones grant nothing. Without it (or with `null`): the roles that
   * the policy itself stores for the user. `[]` is no role at all.
   */
  roles?: readonly string[] | null;
  /** When it is asked; the clock of this machine without it. */
  now?: Micros;
}

/** Whether a user may. */
export interface Question extends Subject {
  /** A permission of the catalog: `po.approve`. */
  permission: string;
}

/** A decision with its reason. */
export type Decision =
  | { decision: "allow"; reason: "role"; role: string; pattern: string }
  | { decision: "allow"; reason: "override"; pattern: string }
  | { decision: "deny"; reason: "explicit_deny"; pattern: string }
  | { decision: "deny"; reason: "no_grant" | "unknown_permission" | "invalid_request" };

/** A rule that applies to the user. */
export type Rule =
  | { kind: "role"; role: string; pattern: string; through: string }
  | { kind: "override"; effect: "allow" | "deny"; pattern: string; expires_at: Micros | null; note: string };

/** A decision with every rule that had a say in it. */
export type Explanation = Decision & {
  /** The rule that decided. */
  winner: Rule | null;
  /** The other rules that match, in the order in which they would have decided. */
  shadowed: Rule[];
  /** Overrides that match and have expired. */
  expired: Rule[];
  /** Where nothing grants it: the user's grant that matches the most segments from the left. */
  nearest: (Rule & { matching_segments: number }) | null;
  /** Spellings among the roles that the policy does not know. */
  unknown_roles: string[];
};

/** The claims of a token that holds. */
export interface Claims {
  /** The name of the key that signed it. */
  key: string;
  /** Whether the token named that key itself. */
  named_key: boolean;
  /** As the token has it; a number that a `number` cannot hold exactly is a BigInt. `String(user_id)` is the user of a question. */
  user_id: string | number | bigint | null;
  username: string | null;
  email: string | null;
  roles: string[];
  exp: Micros;
  iat: Micros | null;
}

/** A call that was not carried out. */
export class PbacError extends Error {
  /**
   * A name of ABI.md (`BAD_BUNDLE`, `BAD_RING`, `OUT_OF_MEMORY`, `BAD_HANDLE` after `free`, …), or `BAD_ARGUMENT`, `BAD_MODULE`,
   * `BAD_TOKEN` (a `TokenError`), `DROPPED` (the module trapped: load it again), `UNKNOWN_PERMISSION`, `INVALID_REQUEST` (`whoCan` only).
   */
  readonly code: string;
}

/** A token that does not hold. */
export class TokenError extends PbacError {
  /** One word: `expired`, `bad_signature`, … ABI.md lists them. */
  readonly reason: string;
  /** Which claim, where the reason is `invalid_claim`. */
  readonly claim?: string;
}

/** One instance of the module, with its own memory. Everything made from it is for one thread (one worker). */
export class Pbac {
  private constructor();
  /**
   * Loads the module: bytes, a compiled module, where to fetch it, or without a source the `pbac.wasm` beside `pbac.mjs`.
   * `maxBytes` bounds what policies, key rings and calls may take together; 64 MiB without it.
   * @throws PbacError when it is no module of this ABI version, or `maxBytes` makes no sense.
   */
  static load(
    source?: BufferSource | WebAssembly.Module | URL | string | Response | Promise<Response>,
    options?: { maxBytes?: number },
  ): Promise<Pbac>;
  /** @throws PbacError `BAD_BUNDLE` with the reason, `OUT_OF_MEMORY`. */
  policy(bundle: BufferSource): Policy;
  /**
   * @param document a key ring as ABI.md describes it. Bytes can be wiped after the call; a string cannot.
   * @throws PbacError `BAD_RING` with the reason, which holds nothing of a key but its name.
   */
  keyRing(document: string | BufferSource): KeyRing;
  /** Bytes that are in use of `maxBytes`. */
  readonly memoryUsed: number;
}

/**
 * A policy. An error denies: `check` and `checkAll` answer false whatever goes wrong. All other calls throw a PbacError when they
 * cannot be carried out. A user id or permission that UTF-8 cannot hold (a lone surrogate), or that is too long or no string, is an
 * `invalid_request`; such a role is none.
 */
export class Policy {
  private constructor();
  /** Replaces it at once. @throws PbacError when the bundle is refused, and then the old policy stays. Sessions go on with the old one. */
  replace(bundle: BufferSource): void;
  check(question: Question): boolean;
  /** One user, many permissions, one call: an answer for each. Throws only where `permissions` is no array. */
  checkAll(question: Subject & { permissions: readonly string[] }): boolean[];
  decide(question: Question): Decision;
  explain(question: Question): Explanation;
  /** Every permission of the user, in byte order. */
  permissionsOf(subject: Subject): string[];
  /** Every role and user that holds the permission. @throws PbacError `UNKNOWN_PERMISSION`, `INVALID_REQUEST`. */
  whoCan(permission: string, now?: Micros): { roles: string[]; users: string[] };
  /** What the user may, resolved once. */
  session(subject: Subject): Session;
  /** SHA-256 of what the policy says, 64 hexadecimal digits. */
  readonly contentHash: string;
  /** The catalog, in byte order. */
  readonly permissions: string[];
  /** Gives its memory back; also `using policy = …`. */
  free(): void;
  [Symbol.dispose](): void;
}

/** What one user may, by the policy as it was when the session was resolved. Costs no call of the module. */
export class Session {
  private constructor();
  /**
   * Whether the user may. At the time of the session where it was given one, else now by the clock; a time given here is held to the whole span. False
   * once `validUntil` has come.
   */
  allows(permission: string, now?: Micros): boolean;
  /** Whether it says what the policy says at that time. */
  isValidAt(now: Micros): boolean;
  /** Every permission in it, in byte order. */
  permissions(): string[];
  readonly resolvedAt: Micros;
  /** The first moment at which it holds no more, since an override of the user ends; `null`: none does. */
  readonly validUntil: Micros | null;
}

/** Keys that verify tokens. They cannot be read back. */
export class KeyRing {
  private constructor();
  /** Replaces it at once. @throws PbacError when the document is refused, and then the old ring stays. */
  replace(document: string | BufferSource): void;
  /** The claims of the token. @throws TokenError when it does not hold. */
  verify(token: string, now?: Micros): Claims;
  /** The keys that may verify a token with this `kid` (`null`: none) and `alg`, in the order in which they are tried. */
  candidates(kid: string | null, algorithm: string, now?: Micros): string[];
  free(): void;
  [Symbol.dispose](): void;
}

/** As `JSON.stringify`, with BigInt written as a number: for claims and explanations. */
export function toJson(value: unknown): string;
