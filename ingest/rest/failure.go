package rest

import (
	"errors"
	"net/http"

	"parley/domain"
)

// failure is a refusal as it goes over the wire. The SDKs read status, error_code and fixed texts of error_description.
type failure struct {
	status      int
	name        string // error
	exception   string
	description string
	code        int // error_code; 0: none
}

// Error implements error.
func (f *failure) Error() string { return f.name + ": " + f.description }

// say returns the failure with another description.
func (f failure) say(description string) *failure {
	f.description = description
	return &f
}

// noPermission is the text that the SDKs map to their type for missing permission.
const noPermission = "Unable to authenticate (OAuth)"

// Refusals of the API itself.
var (
	illegalArgument = failure{400, "illegal_argument", "EasemobIllegalArgumentException", "illegal argument", 0}
	invalidParam    = failure{400, "invalid_parameter", "EasemobInvalidParameterException", "invalid parameter", 0}
	badBody         = failure{400, "invalid_request_body", "EasemobInvalidRequestBodyException", "Request body not readable.", 0}
	badJSON         = failure{400, "json_parse", "EasemobJsonParseException", "the body is not valid JSON", 0}
	invalidGrant    = failure{400, "invalid_grant", "EasemobInvalidGrantException", "invalid grant", 0}
	tooLargeMessage = failure{400, "message_send_error", "EasemobMessageSendException", "message is too large", 14007}
	unauthorized    = failure{401, "unauthorized", "EasemobUnauthorizedException", noPermission, 0}
	badToken        = failure{401, "auth_bad_access_token", "EasemobSecurityException", noPermission, 0}
	sendLimit       = failure{403, "exceed_limit", "EasemobExceedLimitException", "message send reach limit", 0}
	tooManyGroups   = failure{403, "forbidden_op", "EasemobForbiddenOpException", "the user has joined too many groups!", 0}
	tooManyMembers  = failure{403, "forbidden_op", "EasemobForbiddenOpException", "members size is greater than max user size !", 0}
	noRecall        = failure{403, "message_recall_error", "EasemobMessageRecallException", "not_found msg", 0}
	noGroupHistory  = failure{404, "resource_not_found", "EasemobResourceNotFoundException", "the user is not in this group", 60003}
	noRoomHistory   = failure{400, "illegal_argument", "EasemobIllegalArgumentException", "this appKey not open message roaming", 0}
	noPath          = failure{404, "service_resource_not_found", "EasemobResourceNotFoundException", "this path is not offered", 0}
	noMethod        = failure{405, "method_not_allowed", "EasemobMethodNotAllowedException", "this path does not take the method", 0}
	tooLargeBody    = failure{413, "request_entity_too_large", "EasemobRequestEntityTooLargeException", "the body is too large", 0}
	badType         = failure{415, "web_application", "EasemobWebApplicationException", "the body must be application/json", 0}
)

// failures is the one table of refusals: a code of ours to what goes over the wire. The text is that of the refusal where it has one, and
// where the table does not fix it for the SDKs (fixedText).
var failures = map[domain.Code]failure{
	domain.Busy:             {503, "service_unavailable", "EasemobServiceUnavailableException", "the server is busy, please try again", 0},
	domain.Unknown:          {503, "service_unavailable", "EasemobServiceUnavailableException", "the outcome is not known yet", 0},
	domain.Stopping:         {503, "service_unavailable", "EasemobServiceUnavailableException", "the server is stopping", 0},
	domain.BadRequest:       illegalArgument,
	domain.TooLarge:         illegalArgument,
	domain.BadName:          illegalArgument,
	domain.UserNotFound:     {404, "service_resource_not_found", "UserNotFoundException", "Service resource not found: user not found", 0},
	domain.UserExists:       {400, "duplicate_unique_property_exists", "EasemobDuplicateUniquePropertyExistsException", "the username is taken", 0},
	domain.AppNotFound:      {404, "organization_application_not_found", "EasemobOrganizationApplicationNotFoundException", "no such app", 0},
	domain.Unauthorized:     badToken,
	domain.TokenExpired:     badToken,
	domain.TokenRevoked:     badToken,
	domain.Forbidden:        {403, "forbidden_op", "EasemobForbiddenOpException", "not allowed", 0},
	domain.RegistrationOff:  {401, "unauthorized", "EasemobUnauthorizedException", "Registration is not open, please contact the administrator.", 0},
	domain.RateLimited:      {429, "reach_limit", "EasemobReachLimitException", "This request has reached api limit", 0},
	domain.NotFound:         {404, "resource_not_found", "EasemobResourceNotFoundException", "not found", 0},
	domain.Unsupported:      {501, "unsupported_service_operation", "EasemobUnsupportedServiceOperationException", "this is not offered", 0},
	domain.WrongCredentials: invalidGrant,
	domain.GroupNotFound:    {404, "service_resource_not_found", "EasemobResourceNotFoundException", "do not find this group", 0},
	domain.GroupExists:      {400, "duplicate_unique_property_exists", "EasemobDuplicateUniquePropertyExistsException", "the groupid is taken", 0},
	domain.GroupFull:        {403, "forbidden_op", "EasemobForbiddenOpException", "group member list is full!", 0},
	domain.RoomNotFound:     {404, "service_resource_not_found", "EasemobResourceNotFoundException", "do not find this group", 0},
	domain.RoomExists:       {400, "duplicate_unique_property_exists", "EasemobDuplicateUniquePropertyExistsException", "the id is taken", 0},
	domain.RoomFull:         {403, "forbidden_op", "EasemobForbiddenOpException", "group member list is full!", 0},
	domain.TooManyRooms:     {403, "forbidden_op", "EasemobForbiddenOpException", "the user has joined too many chatrooms!", 0},
	domain.AlreadyMember: {
		403, "forbidden_op", "EasemobForbiddenOpException", "invite users to join group failed, reason: user already in group", 0,
	},
	domain.NotMember:        {403, "forbidden_op", "EasemobForbiddenOpException", "users are not members of this group", 0},
	domain.AlreadySo:        {403, "forbidden_op", "EasemobForbiddenOpException", "it is so already", 0},
	domain.AlreadyAnswered:  {403, "forbidden_op", "EasemobForbiddenOpException", "it has its answer already", 0},
	domain.TooManyAdmins:    {403, "exceed_limit", "EasemobExceedLimitException", "the group has as many admins as it may have", 0},
	domain.TooManyReceivers: {400, "illegal_argument", "EasemobIllegalArgumentException", "users names more users than a directed message may have", 0},
	domain.RecallOff:        {403, "forbidden_op", "EasemobForbiddenOpException", "message recall service is unopened", 0},
	domain.RecallTooLate:    {403, "message_recall_error", "EasemobMessageRecallException", "exceed recall time limit", 0},
	domain.Internal:         {500, "internal", "EasemobInternalException", "internal", 0},
}

// fixedText are the codes whose text the table fixes: the SDKs know it, or the refusal's own is for the log.
var fixedText = map[domain.Code]bool{
	domain.Internal: true, domain.Unknown: true, domain.Unauthorized: true, domain.TokenExpired: true, domain.TokenRevoked: true,
	domain.RateLimited: true, domain.UserNotFound: true, domain.GroupNotFound: true, domain.GroupExists: true, domain.GroupFull: true,
	domain.RoomNotFound: true, domain.RoomExists: true, domain.RoomFull: true, domain.TooManyRooms: true,
	domain.AlreadyMember: true, domain.NotMember: true, domain.TooManyReceivers: true, domain.RecallOff: true, domain.RecallTooLate: true,
}

// failureOf maps an error to the wire. Whatever is not a refusal is internal: the caller learns no more, the log all.
func failureOf(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &tooLargeBody
	}
	code := domain.CodeOf(err)
	known, ok := failures[code]
	if !ok {
		code, known = domain.Internal, failures[domain.Internal]
	}
	var e *domain.Error
	if !fixedText[code] && errors.As(err, &e) && e.Reason != "" {
		known.description = e.Reason
	}
	return &known
}
