// Package lease keeps who views which room: leases of (room, user, devices), in memory, with rows behind them.
//
// A lease begins with a join and ends when the user leaves, is removed, or has had no device in the room for Settings.Keep; those on the
// room's allow list and its owner stay without devices. What must hold:
//
//   - A user counts once in a room, however many devices view it. The owner counts whether it views or not.
//   - The Sink hears of a room's comings and goings in the order in which they happened, outside all locks.
//   - No call but Load and Run waits for the store. What is not written waits in memory, bounded by the leases there are and the rows there
//     were; it is tried again.
//   - Rows are written in the order of their write timestamps, which only grow: a late write never brings back a lease that has ended.
//   - After a kill leases are as they were at most WriteEvery (and a write) before; whoever viewed then does so until the last heartbeat + Keep.
//
// With several nodes each has a replica of all leases (Config.Tell; without it nothing of this runs). What must hold then:
//
//   - Each device in a lease is the word of one node (tell.go). Nobody else changes it, but may ask for its end. So all who have heard all know
//     the same, in whatever order it came; links that break begin with a snapshot.
//   - Who only moves from node to node is told to no room as gone or come: what another node knows better is dropped late (yield.go).
//   - A node writes rows of what it says itself, under its own number. What a dead node said is taken over by one that lives, a bucket at a time,
//     before its rows are declared void (takeover.go, void.go).
//   - Leases run out where they are said, by the clock that cut them. Clocks that differ by seconds move nothing but what is shown again.
//   - What others say is never refused: bounds are judged where somebody joins.
//
// Locks: peers first; a user's bucket (or endedMu), then the room; the table of rooms, asks and recent last. A bucket guards its users and all that is in their leases, a room
// its set of viewers, its owner and what its Sink is to be told.
package lease

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/domain"
	"parley/schemas/table"
)

// Room is the stream of a room (domain.RoomStream).
type Room = domain.StreamID

// Join says who is to view which room.
type Join struct {
	App         domain.AppID
	User        domain.UserID
	Incarnation domain.Incarnation
	Device      domain.Resource // "": none is there (added over REST); the lease is limited in time until a device logs in
	Room        Room
	Ext         string        // shown to the others; may be empty
	Owner       domain.UserID // of the room
	MaxUsers    int           // viewers besides the owner; 0: no bound
	Stays       bool          // on the allow list: the lease outlasts its devices, as the owner's does
	Everywhere  bool          // the user's sessions on other nodes are to view the room, too
}

// Lease is one user's lease of a room, as it was when it was read.
type Lease struct {
	Room        Room
	User        domain.UserID
	Incarnation domain.Incarnation
	Devices     []domain.Resource // that view the room now
	Ext         string
	Joined      time.Time
	Until       time.Time // zero: viewed now, or stays
}

// Resumed is a room that a device goes on viewing.
type Resumed struct {
	Room  Room
	Seen  domain.Seq // the last entry that the device was shown; 0: not known
	After domain.T   // entries above it may have been missed; what is to be shown when Seen is not known
	Shown domain.T   // what is between After and this one may have been shown, though nobody knows: the newest of it are shown again
	Open  bool       // the device has another socket that views the room now: nothing is known to be missed, Seen and After are 0
}

// Sink is told who comes and goes, outside all locks and in order per room. It must not block: who waits for it is whoever joins.
type Sink interface {
	// Came tells that a user has begun to view.
	Came(room Room, who domain.UserID, ext string, count int)
	// Went tells that a user has left, was removed, or that its lease ran out.
	Went(room Room, who domain.UserID, count int)
}

// Store keeps the rows.
type Store interface {
	Write(ctx context.Context, writes []table.Write) error
	Scan(ctx context.Context, q table.Query) ([]table.Row, error)
	// Sync returns when all that was written before survives the process and the machine.
	Sync(ctx context.Context) error
}

// Config is what Leases need.
type Config struct {
	Store      Store
	Settings   Settings
	Node       string           // the node's name in the rows; "": "0"
	Sink       Sink             // nil: nobody is told
	Now        func() time.Time // nil: time.Now
	Logger     *slog.Logger     // nil: none
	Registerer prometheus.Registerer

	// Of a cluster. Alone all are zero.
	Self   domain.Node       // this life of the node; its name takes the place of Node
	Number int               // of the node, from 0: it names this node's rows
	Tell   func(fact []byte) // tells all other nodes, in order; never blocks; nil: alone
	Local  Local             // nil: nobody has sessions here
}

// Local is told what other nodes did to users who may have sessions here. It is called outside all locks, by whoever applies facts, and must
// not wait for anybody. Both say that it is worth looking: what is true now says Viewing and Views.
type Local interface {
	// Ended tells that devices here view a room no more.
	Ended(room Room, app domain.AppID, u domain.UserID)
	// Added tells that a user was added over REST, or waits for a device: sessions here begin to view (Leases.View).
	Added(room Room, app domain.AppID, u domain.UserID, inc domain.Incarnation)
}

// Leases are all leases of a node. Use New.
type Leases struct {
	store    Store
	settings Settings
	node     string
	sink     Sink
	now      func() time.Time
	logger   *slog.Logger
	metrics  *metrics

	buckets [Buckets]bucket
	rooms   [roomShards]roomShard

	endedMu sync.Mutex
	ended   []*room // the last minute's, the first that ended first

	waiting atomic.Int64 // users whose rows are to be written
	writer  writer       // of the goroutine that writes

	self     domain.Node
	number   int
	tellFact func(fact []byte) // nil: alone
	local    Local
	peers    peers
	asks     asks
	voids    voids
	recent   recent
	rowsFrom atomic.Int64 // rows are written later than that: others hold what was written before for void
	latest   atomic.Int64 // µs: the time of the latest end that another node asked for
}

// New makes Leases that know of nothing yet: Load comes next.
func New(c Config) *Leases {
	l := &Leases{store: c.Store, settings: c.Settings, node: c.Node, sink: c.Sink, now: c.Now, logger: c.Logger}
	l.self, l.number, l.tellFact, l.local = c.Self, c.Number, c.Tell, c.Local
	if l.tellFact != nil {
		l.node = string(c.Self.Name)
	}
	l.peers.init()
	if l.node == "" {
		l.node = "0"
	}
	if l.now == nil {
		l.now = time.Now
	}
	if l.logger == nil {
		l.logger = slog.New(slog.DiscardHandler)
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	l.metrics = newMetrics(c.Registerer)
	for i := range l.buckets {
		l.buckets[i].users = make(map[userKey]*user)
	}
	for i := range l.rooms {
		l.rooms[i].all = make(map[Room]*room)
	}
	return l
}

func (l *Leases) micro() int64 { return l.now().UnixMicro() }
