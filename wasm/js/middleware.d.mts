import type { IncomingMessage, ServerResponse } from "node:http";
import type { Claims, KeyRing, Policy, Session } from "./pbac.mjs";

/** What handlers behind `requirePermission` find in `request.pbac`. */
export interface Identity {
  claims: Claims;
  /** For further checks of the same request: `request.pbac.session.allows("po.view")`. */
  session: Session;
}

export interface GuardOptions {
  policy: Policy;
  ring: KeyRing;
  /** Whose word counts: the claim `roles` of the token (the default), or the roles that the bundle stores. */
  roles?: "token" | "stored";
  /** In `WWW-Authenticate`; `pbac` without it. */
  realm?: string;
}

/** A handler for Express, Connect, or by hand: `requirePermission("po.approve")(request, response, () => …)`. */
export type Handler = (request: IncomingMessage & { pbac?: Identity }, response: ServerResponse, next: () => unknown) => unknown;

/**
 * Makes `requirePermission`, which passes on whoever holds the permission and answers everybody else: 401 without a token that holds, 403 without the
 * permission, 503 when there is nothing to decide by.
 * @throws TypeError when an option makes no sense.
 */
export function guard(options: GuardOptions): (permission: string) => Handler;
