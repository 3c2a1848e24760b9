package gateway

import (
	"errors"

	"parley/domain"
	"parley/schemas/msync"
)

// wireAnswer is the one table of refusals on the socket: a code of ours to the status and text that the SDKs map to their error types
// (in brackets). Status 7 takes only texts that they know: with any other the sender's promise never settles.
func wireAnswer(code domain.Code, err error, to string) (msync.Status_ErrorCode, string) {
	switch code {
	case domain.UserNotFound:
		return msync.Status_FAIL, "username " + to + " doesn't exist!" // [204]
	case domain.GroupNotFound:
		return msync.Status_FAIL, "group not found" // [605]
	case domain.RoomNotFound:
		return msync.Status_FAIL, "grpID " + to + " does not exist!" // [705]
	case domain.RoomFull:
		return msync.Status_FAIL, "group member list is full!" // [704]
	case domain.TooManyRooms:
		return msync.Status_FAIL, "has joined too many chatrooms" // [50]
	case domain.NotMember:
		return msync.Status_FAIL, "not in group or chatroom" // [602]
	case domain.TooManyReceivers:
		return msync.Status_FAIL, "limit directed users" // [50]
	case domain.RecallOff:
		return msync.Status_FAIL, "message recall disabled" // [505]
	case domain.RecallTooLate:
		return msync.Status_FAIL, "exceed recall time limit" // [504]
	case domain.RateLimited:
		return msync.Status_PERMISSION_DENIED, "traffic limit" // [509]
	case domain.TooLarge:
		return msync.Status_PERMISSION_DENIED, "Sorry, data is too large" // [511]
	case domain.Unsupported:
		return msync.Status_FAIL, reason(err, "this is not offered") // [as the text says]
	case domain.Forbidden:
		return msync.Status_PERMISSION_DENIED_EXTERNAL, reason(err, "not allowed") // [502]
	case domain.BadRequest, domain.BadName, domain.NotFound:
		return msync.Status_PERMISSION_DENIED_EXTERNAL, reason(err, "bad request") // [502]
	case domain.TokenRevoked, domain.Unauthorized, domain.TokenExpired:
		return msync.Status_PERMISSION_DENIED_EXTERNAL, "the account is not the one that logged in" // [502]
	case domain.Busy, domain.Stopping:
		return msync.Status_FAIL, "the server is busy, please try again" // [503]
	default:
		return msync.Status_FAIL, "internal" // [503]
	}
}

// recallAnswer is wireAnswer for recalls, which have texts of their own for what others have none for.
func recallAnswer(code domain.Code, err error, to string) (msync.Status_ErrorCode, string) {
	switch code {
	case domain.NotFound:
		return msync.Status_FAIL, "Sorry, message does not exist" // [1302]
	case domain.Forbidden:
		return msync.Status_FAIL, "Sorry, You do not have permission" // [603]
	default:
		return wireAnswer(code, err, to)
	}
}

// reason returns what a refusal says to the caller.
func reason(err error, otherwise string) string {
	var e *domain.Error
	if errors.As(err, &e) && e.Reason != "" {
		return e.Reason
	}
	return otherwise
}
