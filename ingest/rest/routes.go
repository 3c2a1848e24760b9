package rest

// route is one API.
type route struct {
	name   string // in metrics and logs
	bucket string // of its rate; the names are those of Settings.Rates
	method string
	path   string // inside the app; :user is the account
	access access
	run    func(*call) error
}

// bucketUsers is the rate that all management of users shares, as the documentation of the SDKs' service has it.
const bucketUsers = "users"

// routes are the APIs inside an app. Where tables of the documentation name another method than its pages, both are served.
var routes = []route{
	{"token", "token", "POST", "/token", open, (*call).issueToken},
	{"token_expires", "token_expires", "GET", "/sdk/users/:user/token/expires", ownerOnly, (*call).tokenExpires},

	{"register", bucketUsers, "POST", "/users", open, (*call).register},
	{"list_users", bucketUsers, "GET", "/users", appOnly, (*call).listUsers},
	{"delete_users", "delete_users", "DELETE", "/users", appOnly, (*call).deleteUsers},
	{"get_user", bucketUsers, "GET", "/users/:user", appOnly, (*call).getUser},
	{"delete_user", bucketUsers, "DELETE", "/users/:user", appOnly, (*call).deleteUser},
	{"set_password", bucketUsers, "PUT", "/users/:user/password", appOnly, (*call).setPassword},
	{"set_password", bucketUsers, "POST", "/users/:user/password", appOnly, (*call).setPassword},

	{"resources", bucketUsers, "GET", "/users/:user/resources", ownerOnly, (*call).resources},
	{"status", bucketUsers, "GET", "/users/:user/status", appOnly, (*call).status},
	{"batch_status", "batch_status", "POST", "/users/batch/status", appOnly, (*call).batchStatus},
	{"offline_count", bucketUsers, "GET", "/users/:user/offline_msg_count", appOnly, (*call).offlineCount},
	{"offline_status", bucketUsers, "GET", "/users/:user/offline_msg_status/:message", appOnly, (*call).offlineStatus},

	{"send", "send", "POST", "/messages/users", appOnly, (*call).send},
	{"history", "history", "POST", "/users/:user/messageroaming", ownerOnly, (*call).history},
	{"conversations", "conversations", "GET", "/sdk/user/:user/user_channels/list", ownerOnly, (*call).conversations},
	{"conversations", "conversations", "GET", "/users/:user/user_channels", ownerOnly, (*call).oldConversations},
	{"conversations", "conversations", "GET", "/users/:user/user_channels/page", ownerOnly, (*call).oldConversations},
}
