package shard

import (
	"context"
	"strings"
	"time"

	"parley/domain"
	"parley/schemas/table"
)

// load is a row that is being fetched from the store, or shall be.
type load struct {
	name    rowName
	readers []readSlot
	flush   bool // the checkpoint waits for it
}

// readSlot is a place in a read's answer.
type readSlot struct {
	read *read
	at   int
}

// loadResult is what came of fetching rows. err: no answer for any of them.
type loadResult struct {
	loads []*load
	rows  []loadedRow
	err   error
}

type loadedRow struct {
	v   *version
	err error // the row is there and cannot be read
}

// loaded tells whether the stream has all the rows, and asks for those that are missing.
func (s *Shard) loaded(st *stream, parts []domain.PartID) (bool, *domain.Error) {
	there := true
	for _, id := range parts {
		if r := st.row(id); r != nil {
			if !r.used.Load() {
				r.used.Store(true)
			}
			continue
		}
		if strings.IndexByte(string(id), 0) >= 0 {
			return false, errPartName
		}
		there = false
		s.want(rowName{st.id, id})
	}
	return there, nil
}

// want asks for a row that is not in memory.
func (s *Shard) want(n rowName) *load {
	l := s.loads[n]
	if l == nil {
		l = &load{name: n}
		s.loads[n] = l
		s.wanted = append(s.wanted, l)
	}
	return l
}

// wantedStill tells whether anybody waits for the row.
func (s *Shard) wantedStill(l *load) bool {
	if l.flush {
		return true
	}
	if st := s.cache.get(l.name.stream); st != nil && len(st.waiting) > 0 {
		return true
	}
	for _, r := range l.readers {
		if !r.read.gone.Load() {
			return true
		}
	}
	return false
}

// startLoads fetches what is wanted, a bounded number of rows and loads at once.
func (s *Shard) startLoads(ctx context.Context, now time.Time) {
	for len(s.wanted) > 0 && s.loading < s.set.Loaders && !now.Before(s.loadAgain) {
		var batch []*load
		for len(s.wanted) > 0 && len(batch) < s.set.LoadRows {
			l := s.wanted[0]
			s.wanted[0] = nil
			s.wanted = s.wanted[1:]
			if s.wantedStill(l) {
				batch = append(batch, l)
			} else {
				delete(s.loads, l.name)
				if st := s.cache.get(l.name.stream); st != nil {
					s.cache.forget(st)
				}
			}
		}
		if len(batch) == 0 {
			return
		}
		s.loading++
		s.work.Go(func() { s.loadResults <- s.fetch(ctx, batch) })
	}
}

// fetch runs beside the loop.
func (s *Shard) fetch(ctx context.Context, loads []*load) loadResult {
	ctx, cancel := context.WithTimeout(ctx, s.set.LoadTimeout)
	defer cancel()
	start := time.Now()
	res := loadResult{loads: loads, rows: make([]loadedRow, len(loads))}
	for _, t := range []*table.Table{Heads, Parts} {
		var keys []table.RowKey
		var at []int
		for i, l := range loads {
			if l.name.table() == t {
				keys, at = append(keys, l.name.key()), append(at, i)
			}
		}
		if len(keys) == 0 {
			continue
		}
		rows, err := s.cfg.Store.Get(ctx, t, keys)
		if err != nil {
			res.err = err
			return res
		}
		for i, r := range rows {
			res.rows[at[i]].v, res.rows[at[i]].err = readRow(loads[at[i]].name, r)
		}
	}
	s.metrics.load.Observe(time.Since(start).Seconds())
	return res
}

// onLoaded puts fetched rows into the cache and lets those who waited go on.
func (s *Shard) onLoaded(res loadResult, now time.Time) {
	s.loading--
	if res.err != nil {
		s.storeFailed("load", res.err)
		s.loadFails++
		s.loadAgain = now.Add(s.backoff(s.loadFails))
		s.wanted = append(s.wanted, res.loads...)
		return
	}
	s.loadFails = 0
	for i, l := range res.loads {
		delete(s.loads, l.name)
		if err := res.rows[i].err; err != nil {
			s.brokenRow(l, err)
			continue
		}
		delete(s.broken, l.name)
		s.install(l, res.rows[i].v)
	}
	s.metrics.evicted.Add(float64(s.cache.shrink()))
}

func (s *Shard) install(l *load, stored *version) {
	st, err := s.streamOf(l.name.stream)
	if err != nil {
		l.fail(err)
		return
	}
	r := st.row(l.name.part)
	if r == nil {
		r = s.cache.addRow(st, l.name.part, st.fold(l.name.part, stored, s.touches), stored.asof)
	}
	for _, slot := range l.readers {
		slot.read.fill(slot.at, r.acked.Load())
	}
	if len(st.waiting) > 0 {
		s.markReady(st)
	}
	s.metrics.evicted.Add(float64(s.cache.shrink()))
}

// brokenRow fails all that waits for a row that cannot be read. The checkpoint cannot pass it either: an operator must look.
func (s *Shard) brokenRow(l *load, err error) {
	if _, known := s.broken[l.name]; !known {
		s.broken[l.name] = struct{}{}
		s.log.Error("row in the store cannot be read", "stream", string(l.name.stream), "part", string(l.name.part), "error", err)
		s.metrics.broken.Inc()
	}
	l.fail(errBroken)
	if st := s.cache.get(l.name.stream); st != nil {
		for _, p := range st.waiting {
			s.refuse(p, errBroken)
		}
		st.waiting = nil
		delete(s.waits, st)
		s.cache.forget(st)
	}
}

func (l *load) fail(err error) {
	for _, slot := range l.readers {
		slot.read.fail(err)
	}
}

// backoff doubles from RetryAfter to 2 s.
func (s *Shard) backoff(fails int) time.Duration {
	return min(s.set.RetryAfter<<min(fails-1, 5), 2*time.Second)
}
