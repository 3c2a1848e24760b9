package shard

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"parley/domain"
	"parley/domain/fence"
)

// Shard is the writer of one partition on this node. Submit, Heads, Rows, Ready and Position may be called by anybody, before and during Run.
type Shard struct {
	cfg     Config
	set     Settings
	log     *slog.Logger
	metrics *metrics
	mail    *mailbox
	cache   *cache // readers see acknowledged versions
	serving atomic.Bool
	why     atomic.Pointer[error] // why it is not ready; nil: it is
	at      atomic.Pointer[Place] // behind the last accepted commit

	tailCommits atomic.Int64
	uncertain   atomic.Bool // what is handed over came behind a command whose outcome was left unknown, or may have

	leave       chan func(domain.Request) // has room for one
	settled     chan struct{}
	settledOnce sync.Once

	// What follows belongs to the loop.

	elsewhere func(domain.Request) // takes what is not decided, while the shard hands over; else nil
	unknownAt time.Time            // when an outcome was last left unknown, or a command expired

	owner     *fence.Owner
	start     time.Time
	ring      fence.Ring
	owned     bool
	everOwned bool
	halted    error
	appendErr error // of the last append; nil: it was answered
	readErr   error // of the last read of the log
	storeErr  error // of the last load of the checkpoint

	nextIndex domain.Index // of the next commit to be decided
	lastT     domain.T     // of the last commit decided
	ackedT    domain.T     // of the last commit accepted
	forming   *batch
	flight    *batch
	lastBatch int // commits in the last batch acknowledged

	queue queue
	ready []*stream            // whose rows have come
	waits map[*stream]struct{} // that have waiting commands
	tail  tail

	loads     map[rowName]*load
	wanted    []*load // not being fetched yet
	loading   int     // fetches under way
	loadFails int
	loadAgain time.Time
	broken    map[rowName]struct{} // rows in the store that could not be read when last tried

	flushing   bool
	flushes    uint64
	flushFails int
	flushAgain time.Time
	saved      checkpoint // in the store
	reached    []reached
	flushedAt  domain.Position

	// Scratch space.
	view     view
	needs    []domain.PartID
	touches  []domain.PartID
	touching []touch // by the commit that is being decided
	inbox    []*pending
	asked    []*read

	// Work beside the loop.
	work         sync.WaitGroup
	ioResults    chan ioResult
	loadResults  chan loadResult
	flushResults chan flushed
	cancelRead   func()
	reading      fence.ActionID // the last read that was begun
	held         []*read        // reads that wait for the partition to be owned
}

// New returns a shard that does nothing until Run.
func New(cfg Config) (*Shard, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("shard of partition %d: %w", cfg.Partition, err)
	}
	s := &Shard{
		cfg: cfg, set: cfg.Settings, log: cfg.Logger,
		metrics: newMetrics(cfg.Metrics, cfg.Partition),
		mail:    newMailbox(cfg.Settings.Mailbox),
		cache:   newCache(cfg.Settings.CacheRows),
		forming: &batch{}, flight: &batch{}, tail: tail{budget: cfg.Budget},
		waits: make(map[*stream]struct{}), loads: make(map[rowName]*load), broken: make(map[rowName]struct{}),
		ioResults: make(chan ioResult), loadResults: make(chan loadResult), flushResults: make(chan flushed),
		cancelRead: func() {}, leave: make(chan func(domain.Request), 1), settled: make(chan struct{}),
	}
	s.at.Store(&Place{Position: domain.Position{Partition: cfg.Partition, Offset: -1}})
	s.setReady()
	return s, nil
}

// Submit hands a command over. It never blocks; when the shard cannot take the command, Done is called at once, by the caller's goroutine.
func (s *Shard) Submit(req domain.Request) {
	if !s.Take(req) {
		s.refuseNow(req, errStopping)
	}
}

// Take is Submit, but a shard that stops leaves the command with the caller: taken tells.
func (s *Shard) Take(req domain.Request) (taken bool) {
	p := &pending{req: req, at: time.Now(), deadline: req.Deadline}
	if p.deadline.IsZero() {
		p.deadline = p.at.Add(s.set.Deadline)
	}
	err := s.mail.put(p)
	if err == errStopping {
		return false
	}
	if err != nil {
		s.refuseNow(req, err)
	}
	return true
}

// refuseNow answers a command that did not reach the loop.
func (s *Shard) refuseNow(req domain.Request, err *domain.Error) {
	s.metrics.rejected(err)
	req.Done(domain.Result{Err: err})
}

// Position returns that of the last accepted commit that this shard knows. Index 0: none.
func (s *Shard) Position() domain.Position { return s.at.Load().Position }

// Place is the position of an accepted commit, with its t: what an anchor says.
type Place struct {
	domain.Position
	T domain.T
}

// TailCommits returns how many commits came after the checkpoint, as of a moment ago.
func (s *Shard) TailCommits() int { return int(s.tailCommits.Load()) }

// Place returns that of the last accepted commit.
func (s *Shard) Place() Place { return *s.at.Load() }

// Partition returns which partition this is.
func (s *Shard) Partition() domain.Partition { return s.cfg.Partition }

// Ready returns nil when commands are decided and acknowledged, else why not.
func (s *Shard) Ready() error {
	if err := s.why.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *Shard) setReady() {
	var err error
	switch {
	case s.halted != nil:
		err = fmt.Errorf("halted: %w", s.halted)
	case s.appendErr != nil:
		err = fmt.Errorf("log: %w", s.appendErr)
	case s.readErr != nil:
		err = fmt.Errorf("log: %w", s.readErr)
	case s.storeErr != nil:
		err = fmt.Errorf("store: %w", s.storeErr)
	case !s.owned:
		err = errTakingOver
	case s.tailFull():
		err = errTailFull
	case len(s.broken) > 0:
		err = fmt.Errorf("store: %d rows cannot be read", len(s.broken))
	default:
		s.why.Store(nil)
		return
	}
	s.why.Store(&err)
}

func (s *Shard) tailFull() bool {
	return s.tail.len()+s.forming.len()+s.flight.len() >= s.set.TailCommits || s.tail.bytes >= s.set.TailBytes ||
		s.cfg.Budget.full()
}
