"""What can go wrong, as exceptions."""


class PbacError(Exception):
    """A call that was not carried out.

    `code` is a name of ABI.md (`BAD_BUNDLE`, `BAD_RING`, `OUT_OF_MEMORY`, `BAD_HANDLE` after `close`, …), or `BAD_ARGUMENT`,
    `BAD_MODULE`, `BAD_TOKEN` (a `TokenError`), `DROPPED` (the module trapped: load it again), `UNKNOWN_PERMISSION` or
    `INVALID_REQUEST` (of `who_can` only).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class TokenError(PbacError):
    """A token that does not hold. `reason` is one word (`expired`, `bad_signature`, …: ABI.md lists them); `claim` says which
    one is meant, where it is `invalid_claim`."""

    def __init__(self, reason: str, claim: str | None = None) -> None:
        super().__init__("BAD_TOKEN", f"the token is refused: {reason}{f' ({claim})' if claim else ''}")
        self.reason = reason
        self.claim = claim


# The names of ABI.md for what a call answers when it is not carried out.
CODES = {
    -16: "BAD_HANDLE",
    -17: "BAD_LENGTH",
    -18: "BAD_TEXT",
    -19: "BAD_LIST",
    -20: "BAD_PERMISSION",
    -21: "BAD_BUNDLE",
    -22: "BAD_RING",
    -23: "OUT_OF_MEMORY",
    -24: "TOO_MANY",
    -25: "STALE",
}
