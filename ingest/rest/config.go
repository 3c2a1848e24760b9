package rest

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/domain/token"
)

// Owners takes commands to the owners of their streams, and reads acknowledged state there.
type Owners interface {
	// Submit never blocks; the request's Done is called once.
	Submit(r domain.Request)
	// Heads returns the acknowledged head rows in the order of the ids, nil where there is none.
	Heads(ctx context.Context, ids []domain.StreamID) ([]domain.Row, error)
}

// App is a tenant as the API sees it.
type App struct {
	ID               domain.AppID
	UUID             string // names the app in answers
	ClientID         string
	OpenRegistration bool
	Created          time.Time
	CheckSecret      func(secret string) bool // in constant time
}

// Apps knows the tenants.
type Apps interface {
	App(id domain.AppID) (App, bool)
}

// Tokens signs and verifies tokens, as a token.Signer does.
type Tokens interface {
	Sign(c token.Claims) (token.Token, error)
	Verify(t token.Token, now time.Time) (token.Claims, error)
}

// HistoryQuery asks for messages of a stream as one user may see them. Its fields are those of projections/queries.
type HistoryQuery struct {
	Stream   domain.StreamID
	User     domain.UserID
	From     domain.Seq       // the first entry that the user may see
	Until    domain.Seq       // the last
	Backward bool             // from new to old
	Start    domain.MessageID // go on behind this message or cursor; 0: from the beginning of the direction
	Limit    int
	Kinds    []message.Kind // nil: all
	Sender   domain.UserID  // only what this user sent; empty: whoever sent it
	After    domain.T       // only messages from this instant on; 0: open
	Before   domain.T       // only messages before it; 0: open
}

// HistoryPage is a page of history, in the order asked for.
type HistoryPage struct {
	Events []domain.Event
	Next   domain.T // Start of the next page; 0 when there was nothing
	Last   bool     // there is no more in this direction now
}

// Profile is a user in a list. Its fields are those of projections/profiles.
type Profile struct {
	App         domain.AppID
	User        domain.UserID
	Incarnation domain.Incarnation
	UUID        string
	Nickname    string
	Registered  domain.T
	Modified    domain.T
	Deleted     bool
}

// Reads are the read models.
type Reads interface {
	Memberships(ctx context.Context, app domain.AppID, u domain.UserID, inc domain.Incarnation) ([]conversation.Membership, error)
	// Membership returns one of them; ok is false when the user has no part in the stream.
	Membership(
		ctx context.Context, app domain.AppID, u domain.UserID, inc domain.Incarnation, stream domain.StreamID,
	) (m conversation.Membership, ok bool, err error)
	History(ctx context.Context, q HistoryQuery) (HistoryPage, error)
	// Entries returns the entries from..to, in order, at most limit; fewer when the next is not readable yet.
	Entries(ctx context.Context, stream domain.StreamID, from, to domain.Seq, limit, maxBytes int) ([]domain.Event, error)
	// Users returns a page of an app's users in the order of registration, without deleted ones. A page may be short without being the
	// last; next is empty after the last. A cursor that is not one of its own is refused with BadRequest.
	Users(ctx context.Context, app domain.AppID, cursor string, limit int) (page []Profile, next string, err error)
}

// GroupMember is a member in a list.
type GroupMember struct {
	User   domain.UserID
	Joined domain.T
}

// Group is a group in a list.
type Group struct {
	ID      string
	Name    string
	Owner   domain.UserID
	Changed domain.T // when its settings or its owner changed last
	Count   uint32   // members
}

// Groups are the read models of groups.
type Groups interface {
	// Members returns a page of a group's members, those who joined last first. skip leaves out so many after the cursor. A page may be
	// short without being the last; next is empty after the last. A cursor that is not one of its own is refused with BadRequest.
	Members(ctx context.Context, stream domain.StreamID, cursor string, skip, limit int) (page []GroupMember, next string, err error)
	// Groups returns a page of an app's groups, or of the public ones alone, without ended ones; cursors are as those of Members.
	Groups(ctx context.Context, app domain.AppID, public bool, cursor string, limit int) (page []Group, next string, err error)
}

// Room is a room in a list.
type Room struct {
	ID    string
	Name  string
	Owner domain.UserID
}

// RoomLists is the read model of rooms.
type RoomLists interface {
	// Rooms returns a page of an app's rooms, those made last first, without ended ones; cursors and short pages are as those of
	// Groups.Groups.
	Rooms(ctx context.Context, app domain.AppID, cursor string, limit int) (page []Room, next string, err error)
}

// RoomJoin asks to make a user a viewer of a room. Its fields are those of delivery/gateway.
type RoomJoin struct {
	App         domain.AppID
	User        domain.UserID
	Incarnation domain.Incarnation
	Room        string // the room's id
	Ext         string // shown to the others
	LeaveOthers bool   // the user leaves the other rooms that it views
}

// RoomInfo is what is told to who joins a room. Its fields are those of delivery/gateway.
type RoomInfo struct {
	Count      int      // users who view it, the owner always included
	Created    domain.T // of the room
	Allowed    bool     // the user is on the allow list
	AllMuted   bool
	MutedUntil domain.T // of the user; 0: may speak
}

// Viewer is a user who views a room.
type Viewer struct {
	User  domain.UserID
	Since time.Time
}

// Viewed is a room that a user views.
type Viewed struct {
	Room  string
	Since time.Time
}

// RoomViewers knows who views rooms.
type RoomViewers interface {
	// Count returns how many belong to a room that exists: who views it, and the owner in any case.
	Count(ctx context.Context, app domain.AppID, room string) (int, error)
	Viewing(ctx context.Context, app domain.AppID, room string, u domain.UserID) (bool, error)
	// Viewers returns those who view a room in the order of their names, from the first one after a name on; none after the last.
	Viewers(ctx context.Context, app domain.AppID, room string, after domain.UserID, limit int) ([]Viewer, error)
	// Views returns the rooms that a user views, in the order of joining.
	Views(ctx context.Context, app domain.AppID, u domain.UserID) ([]Viewed, error)
}

// Rooms lets users view rooms, and messages in.
type Rooms interface {
	RoomViewers
	// Join makes all sessions of a user view a room; a user without any views it for as long as a viewer may be cut off. Joining again is
	// no error. Refused with RoomNotFound, RoomFull, TooManyRooms.
	Join(ctx context.Context, j RoomJoin) (RoomInfo, error)
	// Leave is refused with RoomNotFound, and with NotMember when the user does not view the room.
	Leave(ctx context.Context, app domain.AppID, u domain.UserID, room string) error
	// Remove is Leave by somebody else; removed are those who viewed the room.
	Remove(
		ctx context.Context, app domain.AppID, room string, users []domain.UserID, by conversation.Doer,
	) (removed []domain.UserID, err error)
	// Admit refuses with RateLimited a message that the room sheds. It is asked before the message is sent.
	Admit(app domain.AppID, room string, p conversation.Priority) error
}

// Messages finds messages by their ids.
type Messages interface {
	// Recallable returns what a recall has to know of a message, and where it is. near is where it should be, or empty. The error has the
	// code NotFound when there is no such message (yet).
	Recallable(ctx context.Context, near domain.StreamID, id domain.MessageID) (domain.StreamID, conversation.Recallable, error)
}

// Waiter waits until the read models have passed a commit, as long as ctx and a bound of its own allow.
type Waiter interface {
	Wait(ctx context.Context, p domain.Partition, index domain.Index) error
}

// Device is a logged-in device of a user.
type Device struct {
	Resource   domain.Resource
	DeviceUUID string
	DeviceName string
}

// Sessions knows who is online.
type Sessions interface {
	Online(app domain.AppID, u domain.UserID) bool
	Devices(app domain.AppID, u domain.UserID) []Device
}

// Undelivered knows what a user's devices have not acknowledged.
type Undelivered interface {
	Count(ctx context.Context, app domain.AppID, u domain.UserID, inc domain.Incarnation) (int, error)
	// Delivered tells whether a device has acknowledged a message. The error has the code NotFound when the user has no such message.
	Delivered(ctx context.Context, app domain.AppID, u domain.UserID, inc domain.Incarnation, id domain.MessageID) (bool, error)
}

// Volatile shows to who is online now what is not logged.
type Volatile interface {
	// NextT returns an id for it.
	NextT() domain.T
	Volatile(stream domain.StreamID, ev *domain.Event)
}

// Config is what a Server is made of. PublicURL may be empty: then answers name the address that the caller used.
type Config struct {
	Settings     Settings
	Limits       message.Limits
	PublicURL    string
	RecallWindow time.Duration // how long after sending a message may be recalled without force; 0: not at all
	RoomUsers    int           // the most viewers that a room may be set to have
	RoomHistory  bool          // who views a room may read what was said there before
	Owners       Owners
	Apps         Apps
	Tokens       Tokens
	Reads        Reads
	Groups       Groups
	Rooms        Rooms
	RoomLists    RoomLists
	Messages     Messages
	Waiter       Waiter
	Sessions     Sessions
	Undelivered  Undelivered
	Volatile     Volatile
	Now          func() time.Time
	Logger       *slog.Logger
	Registerer   prometheus.Registerer
}
