// Permissions at the door of an Express-style application. The answers are those of the gateway (RFC 6750, RFC 9457).

import { TokenError } from "./pbac.mjs";

/**
 * Makes `requirePermission`. A request's token is verified and its session resolved once, however many checks follow; handlers find both
 * in `request.pbac`.
 */
export function guard({ policy, ring, roles = "token", realm = "pbac" }) {
  if (roles !== "token" && roles !== "stored") {
    throw new TypeError(`roles is ${JSON.stringify(roles)}: it has to be \`token\` (the claim \`roles\`) or \`stored\` (those in the bundle)`);
  }
  if (/[^\x20-\x7e]|["\\]/.test(realm)) throw new TypeError("realm has to be visible ASCII without quotes and backslashes");
  const identities = new WeakMap();

  function identify(request) {
    const claims = ring.verify(bearer(request));
    if (claims.user_id === null) throw new TokenError("no_user_id");
    const subject = { user: String(claims.user_id), roles: roles === "token" ? claims.roles : null };
    return { claims, subject, session: policy.session(subject) };
  }

  /** What is wrong with the request; nothing when it may pass, and then `request.pbac` says who asks. */
  function judge(request, permission) {
    let identity = identities.get(request);
    if (identity === undefined) {
      identity = identify(request);
      identities.set(request, identity);
    }
    if (!identity.session.allows(permission)) {
      const { decision, reason } = policy.decide({ ...identity.subject, permission });
      if (decision !== "allow") return forbidden(permission, reason);
      // An override has ended while the request was under way, and the session with it.
      identity.session = policy.session(identity.subject);
    }
    request.pbac = { claims: identity.claims, session: identity.session };
    return undefined;
  }

  return function requirePermission(permission) {
    return (request, response, next) => {
      let problem;
      try {
        problem = judge(request, permission);
      } catch (error) {
        problem = error instanceof TokenError ? unauthorized(error.reason, realm) : UNAVAILABLE;
      }
      return problem === undefined ? next() : refuse(response, problem);
    };
  };
}

/** The token of a request that has one `Authorization`, and in it a bearer token (RFC 6750 section 2.1). */
function bearer({ rawHeaders }) {
  const values = rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1].toLowerCase() === "authorization");
  // A server could have joined two of them, and no token has a comma.
  if (values.length > 1 || values[0]?.includes(",")) throw new TokenError("several_tokens");
  const token = /^bearer (.*)$/is.exec(values[0] ?? "")?.[1];
  if (token === undefined) throw new TokenError(NO_TOKEN);
  return token;
}

const NO_TOKEN = "no_token";

function unauthorized(reason, realm) {
  const missing = reason === NO_TOKEN;
  // Without a token no error is named (RFC 6750 section 3.1). Reasons are single words, so they need no escapes.
  const error = missing ? "" : `, error="invalid_token", error_description="${reason}"`;
  const detail = missing ? "a bearer token is needed" : "the token is not accepted";
  return { challenge: `Bearer realm="${realm}"${error}`, title: "Unauthorized", status: 401, detail, reason };
}

const forbidden = (permission, reason) => ({
  title: "Forbidden", status: 403, detail: `the permission ${permission} is needed`, permission, reason,
});

// Whatever it is, nobody passes, and the client is not told.
const UNAVAILABLE = { title: "Service Unavailable", status: 503, detail: "there is nothing to decide by", reason: "unavailable" };

function refuse(response, { challenge, ...problem }) {
  response.statusCode = problem.status;
  if (challenge !== undefined) response.setHeader("WWW-Authenticate", challenge);
  response.setHeader("Content-Type", "application/problem+json");
  response.end(JSON.stringify({ type: "about:blank", ...problem }));
}
