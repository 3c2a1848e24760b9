// Package rest is the HTTP API of the SDKs and of applications' back ends, and the admin API of the operator.
//
// What must hold:
//
//   - Success is HTTP 200 and JSON; every refusal is a JSON object with error, exception, error_description, timestamp and duration. A text
//     body, or a status that the SDKs do not know, would leave a promise of theirs unsettled for ever.
//   - Whoever calls is who the token says: an app's token manages its app and nothing else, a user's token does what the SDK does for that
//     user. A token of an account that was deleted, made anew, or whose password changed is worth nothing a second later.
//   - A call that changes something is answered after its commit is acknowledged, and after the read models have seen it (for a bounded
//     time), so that its caller can list what it made.
//   - Bodies, pages, waits, hashing and rates are bounded by settings. Bodies, tokens, passwords and queries are never logged.
package rest
