// What can go wrong, as errors.

/** A call that was not carried out. `code` is a name of ABI.md, or one of BAD_ARGUMENT, BAD_MODULE, DROPPED. */
export class PbacError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "PbacError";
    this.code = code;
  }
}

/** A token that does not hold: `reason` says why in one word, `claim` which one where it is `invalid_claim`. */
export class TokenError extends PbacError {
  constructor(reason, claim) {
    super("BAD_TOKEN", `the token is refused: ${reason}${claim === undefined ? "" : ` (${claim})`}`);
    this.name = "TokenError";
    this.reason = reason;
    this.claim = claim;
  }
}

/** The names of ABI.md for what a call answers when it is not carried out. */
export const CODES = {
  [-16]: "BAD_HANDLE", [-17]: "BAD_LENGTH", [-18]: "BAD_TEXT", [-19]: "BAD_LIST", [-20]: "BAD_PERMISSION",
  [-21]: "BAD_BUNDLE", [-22]: "BAD_RING", [-23]: "OUT_OF_MEMORY", [-24]: "TOO_MANY", [-25]: "STALE",
};
