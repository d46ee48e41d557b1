// The loader behind a protocol of JSON lines, one answer for each, by which the suite of all runtimes asks the same questions everywhere.
// Times are decimal texts. What the loader says goes out as it says it.
import { PbacError, TokenError, toJson } from "../pbac.mjs";

/** A function that answers one line; it keeps the policy and the key ring that were loaded last. `pbac` is a Pbac, or answers as one. */
export function session(pbac) {
  let policy;
  let ring;

  const load = (make) => {
    try {
      make();
      return { ok: true };
    } catch (error) {
      return { error: named(error).code, message: error.message };
    }
  };
  const answers = {
    load: ({ bundle }) => load(() => {
      const bytes = fromBase64(bundle);
      if (policy === undefined) policy = pbac.policy(bytes);
      else policy.replace(bytes);
    }),
    decide: (questions) => ({ answers: questions.map((question) => policy.decide(timed(question))) }),
    check: (questions) => ({ allowed: batches(questions).flatMap((batch) => policy.checkAll(batch)) }),
    check_one: (questions) => ({ allowed: questions.map((question) => policy.check(timed(question))) }),
    session: each((subject) => {
      const resolved = policy.session(timed(subject));
      const permissions = policy.permissions.filter((permission) => resolved.allows(permission));
      return { permissions, valid_until: resolved.validUntil === null ? null : String(resolved.validUntil) };
    }),
    explain: each((question) => policy.explain(timed(question))),
    permissions_of: each((subject) => ({ permissions: policy.permissionsOf(timed(subject)) })),
    unknown_roles: each((subject) => ({ unknown_roles: policy.explain({ ...timed(subject), permission: policy.permissions[0] ?? "" }).unknown_roles })),
    who_can: each(({ permission, now }) => {
      try {
        return policy.whoCan(permission, BigInt(now));
      } catch (error) {
        return { error: named(error).code.toLowerCase() };
      }
    }),
    content_hash: () => ({ content_hash: policy.contentHash }),
    ring: (document) => load(() => {
      if (ring === undefined) ring = pbac.keyRing(document);
      else ring.replace(document);
    }),
    verify: (tokens) => ({ answers: tokens.map(({ token, now }) => {
      try {
        return { claims: ring.verify(token, BigInt(now)) };
      } catch (error) {
        if (!(error instanceof TokenError)) throw error;
        return { error: error.reason, claim: error.claim };
      }
    }) }),
  };

  return (line) => {
    const [[name, argument], ...rest] = Object.entries(JSON.parse(line));
    if (rest.length > 0 || answers[name] === undefined) throw new Error(`\`${name}\` is no question: ${Object.keys(answers).join(", ")}`);
    return toJson(answers[name](argument));
  };
}

/** A question alone is answered alone, a list of them by `answers`. */
const each = (answer) => (asked) => (Array.isArray(asked) ? { answers: asked.map(answer) } : answer(asked));

const timed = ({ now, ...question }) => ({ ...question, now: BigInt(now) });

/** Neighbours of one user, roles and time as one batch. */
function batches(questions) {
  const all = [];
  let last;
  for (const { permission, ...subject } of questions) {
    const key = JSON.stringify([subject.user, subject.roles, subject.now]);
    if (key !== last) all.push({ ...timed(subject), permissions: [] });
    last = key;
    all.at(-1).permissions.push(permission);
  }
  return all;
}

function named(error) {
  if (error instanceof PbacError) return error;
  throw error;
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
