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
	{"send_groups", "send_groups", "POST", "/messages/chatgroups", appOnly, (*call).sendGroups},
	{"send_directed", "send_directed", "POST", "/messages/chatgroups/users", appOnly, (*call).sendDirected},
	{"send_rooms", "send_rooms", "POST", "/messages/chatrooms", appOnly, (*call).sendRooms},
	{"send_room_users", "send_room_users", "POST", "/messages/chatrooms/users", appOnly, (*call).sendRoomUsers},
	{"recall", "recall", "POST", "/messages/msg_recall", appOnly, (*call).recall},
	{"recall", "recall", "POST", "/messages/recall", appOnly, (*call).recall},
	{"batch_recall", "batch_recall", "POST", "/messages/batch_recall", appOnly, (*call).batchRecall},
	{"history", "history", "POST", "/users/:user/messageroaming", ownerOnly, (*call).history},
	{"conversations", "conversations", "GET", "/sdk/user/:user/user_channels/list", ownerOnly, (*call).conversations},
	{"conversations", "conversations", "GET", "/users/:user/user_channels", ownerOnly, (*call).oldConversations},
	{"conversations", "conversations", "GET", "/users/:user/user_channels/page", ownerOnly, (*call).oldConversations},

	{"create_group", "create_group", "POST", "/chatgroups", signedIn, (*call).createGroup},
	{"list_groups", "list_groups", "GET", "/chatgroups", appOnly, (*call).listGroups},
	{"public_groups", "public_groups", "GET", "/publicchatgroups", signedIn, (*call).publicGroups},
	{"joined_groups", "joined_groups", "GET", "/users/:user/joined_chatgroups", ownerOnly, (*call).joinedGroups},
	{"joined_groups", "joined_groups", "GET", "/chatgroups/user/:user", ownerOnly, (*call).joinedEntities},
	{"joined_count", "joined_count", "GET", "/chatgroups/user/:user/joined_count", ownerOnly, (*call).joinedCount},
	{"get_groups", "get_groups", "GET", "/chatgroups/:group", signedIn, (*call).getGroups},
	{"change_group", "change_group", "PUT", "/chatgroups/:group", signedIn, (*call).changeGroup},
	{"destroy_group", "destroy_group", "DELETE", "/chatgroups/:group", signedIn, (*call).destroyGroup},

	{"list_members", "list_members", "GET", "/chatgroups/:group/users", signedIn, (*call).listMembers},
	{"add_member", "add_member", "POST", "/chatgroups/:group/users/:user", signedIn, (*call).addMember},
	{"add_members", "add_members", "POST", "/chatgroups/:group/users", signedIn, (*call).addMembers},
	{"remove_members", "remove_members", "DELETE", "/chatgroups/:group/users/:user", signedIn, (*call).removeMembers},
	{"is_joined", "is_joined", "GET", "/chatgroups/:group/user/:user/is_joined", signedIn, (*call).isJoined},
	{"list_admins", "list_admins", "GET", "/chatgroups/:group/admin", signedIn, (*call).listAdmins},
	{"add_admin", "add_admin", "POST", "/chatgroups/:group/admin", signedIn, (*call).addAdmin},
	{"remove_admin", "remove_admin", "DELETE", "/chatgroups/:group/admin/:user", signedIn, (*call).removeAdmin},
	{"my_role", "my_role", "GET", "/chatgroups/:group/roles", userOnly, (*call).myRole},

	{"apply", "apply", "POST", "/chatgroups/:group/apply", userOnly, (*call).apply},
	{"apply_verify", "apply_verify", "POST", "/chatgroups/:group/apply_verify", signedIn, (*call).applyVerify},
	{"invite", "invite", "POST", "/chatgroups/:group/invite", signedIn, (*call).invite},
	{"invite_verify", "invite_verify", "POST", "/chatgroups/:group/invite_verify", userOnly, (*call).inviteVerify},
	{"quit", "quit", "DELETE", "/chatgroups/:group/quit", userOnly, (*call).quit},
	{"shield", "shield", "POST", "/chatgroups/:group/shield", userOnly, (*call).shield},
	{"shield", "shield", "DELETE", "/chatgroups/:group/shield", userOnly, (*call).unshield},

	{"create_room", "create_room", "POST", "/chatrooms", signedIn, (*call).createRoom},
	{"list_rooms", "list_rooms", "GET", "/chatrooms", signedIn, (*call).listRooms},
	{"joined_rooms", "joined_rooms", "GET", "/users/:user/joined_chatrooms", ownerOnly, (*call).joinedRooms},
	{"get_rooms", "get_rooms", "GET", "/chatrooms/:room", signedIn, (*call).getRooms},
	{"change_room", "change_room", "PUT", "/chatrooms/:room", signedIn, (*call).changeRoom},
	{"destroy_room", "destroy_room", "DELETE", "/chatrooms/:room", signedIn, (*call).destroyRoom},

	{"list_room_members", "list_room_members", "GET", "/chatrooms/:room/users", signedIn, (*call).listRoomMembers},
	{"add_room_member", "add_room_member", "POST", "/chatrooms/:room/users/:user", signedIn, (*call).addViewer},
	{"add_room_members", "add_room_members", "POST", "/chatrooms/:room/users", signedIn, (*call).addViewers},
	{"remove_room_members", "remove_room_members", "DELETE", "/chatrooms/:room/users/:user", signedIn, (*call).removeViewers},
	{"room_allow_list", "room_allow_list", "GET", "/chatrooms/:room/white/users", signedIn, (*call).listAllowed},
	{"is_allowed", "is_allowed", "GET", "/chatrooms/:room/white/users/:user", signedIn, (*call).isAllowed},
	{"allow_user", "allow_user", "POST", "/chatrooms/:room/white/users/:user", signedIn, (*call).allowUser},
	{"allow_users", "allow_users", "POST", "/chatrooms/:room/white/users", signedIn, (*call).allowUsers},
	{"disallow_users", "disallow_users", "DELETE", "/chatrooms/:room/white/users/:user", signedIn, (*call).disallowUsers},
	{"join_room", "join_room", "POST", "/chatrooms/:room/apply", userOnly, (*call).applyToRoom},
	{"quit_room", "quit_room", "DELETE", "/chatrooms/:room/quit", userOnly, (*call).quitRoom},
}
