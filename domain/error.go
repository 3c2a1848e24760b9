package domain

import (
	"errors"
	"fmt"
)

// Code says why a command was refused. Each edge maps codes to its own answers in one table.
type Code string

// Codes of refusals. Unknown errors count as Internal: "internal" outside, everything in the log.
const (
	Internal         Code = "internal"
	Busy             Code = "busy"               // full, or a store that does not answer: try again
	Unknown          Code = "unknown"            // moved before the answer: sent or not is not known; send again with the same client id
	Stopping         Code = "stopping"           // the node drains
	BadRequest       Code = "bad_request"        // malformed or of the wrong type
	TooLarge         Code = "too_large"          // over a named limit
	BadName          Code = "bad_name"           // a user name outside the rules
	UserNotFound     Code = "user_not_found"     // no such account
	UserExists       Code = "user_exists"        // the name is taken
	AppNotFound      Code = "app_not_found"      // no such tenant
	Unauthorized     Code = "unauthorized"       // no or bad credentials
	TokenExpired     Code = "token_expired"      // was good once
	TokenRevoked     Code = "token_revoked"      // older than the password, or of a deleted account
	Forbidden        Code = "forbidden"          // known, and not allowed
	RegistrationOff  Code = "registration_off"   // the app takes no open registration
	RateLimited      Code = "rate_limited"       // over a named rate
	NotFound         Code = "not_found"          // what the request names is not there
	Unsupported      Code = "unsupported"        // not offered (yet)
	TooManyDevices   Code = "too_many_devices"   // the device policy refuses the log-in
	WrongCredentials Code = "wrong_credentials"  // wrong password or client secret
	GroupNotFound    Code = "group_not_found"    // no such group, or it has ended
	GroupExists      Code = "group_exists"       // the group's id is taken
	GroupFull        Code = "group_full"         // more members than the group may have
	AlreadyMember    Code = "already_member"     // in the group already
	NotMember        Code = "not_member"         // not in the group
	AlreadySo        Code = "already_so"         // has the role already that it is to get
	AlreadyAnswered  Code = "already_answered"   // the application or invitation has its answer
	TooManyAdmins    Code = "too_many_admins"    // over the limit of a group's admins
	TooManyReceivers Code = "too_many_receivers" // of a directed message
	RoomNotFound     Code = "room_not_found"     // no such room, or it has ended
	RoomExists       Code = "room_exists"        // the room's id is taken
	RoomFull         Code = "room_full"          // more viewers than the room may have
	TooManyRooms     Code = "too_many_rooms"     // the user views as many rooms as one may
	RecallOff        Code = "recall_off"         // the app does not offer recall
	RecallTooLate    Code = "recall_too_late"    // the message is older than the app's limit
)

// Error is a refusal or failure with its code. Reason may be shown to the caller; it never holds message bodies or tokens.
type Error struct {
	Code   Code
	Reason string
	Err    error // cause, for the log only
}

// Error implements error.
func (e *Error) Error() string {
	switch {
	case e.Err != nil && e.Reason != "":
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Reason, e.Err)
	case e.Err != nil:
		return fmt.Sprintf("%s: %v", e.Code, e.Err)
	case e.Reason != "":
		return fmt.Sprintf("%s: %s", e.Code, e.Reason)
	default:
		return string(e.Code)
	}
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Refuse makes an Error with a code and a reason that the caller may see.
func Refuse(code Code, reason string) *Error { return &Error{Code: code, Reason: reason} }

// Fail makes an Error with a code and a cause for the log.
func Fail(code Code, cause error) *Error { return &Error{Code: code, Err: cause} }

// CodeOf returns the code of the first Error in err's chain, Internal for any other, "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}
