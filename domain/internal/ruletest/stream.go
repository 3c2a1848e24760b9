// Package ruletest runs rules in tests: a stream in memory, the laws that all rules obey, and scenarios written as text.
package ruletest

import (
	"fmt"
	"slices"
	"time"

	"parley/domain"
)

// Number is the log's number in the ids of a Stream.
const Number domain.Partition = 3

// Stream is one stream with all its rows and events, as the shard would have them.
type Stream struct {
	Rules  domain.Rules
	ID     domain.Stream
	Rows   map[domain.PartID]domain.Row
	Events []domain.Event
}

// NewStream returns a stream in which nothing has happened.
func NewStream(rules domain.Rules, id domain.StreamID) *Stream {
	st, ok := id.Parse()
	if !ok {
		panic("not a stream: " + string(id))
	}
	return &Stream{Rules: rules, ID: st, Rows: map[domain.PartID]domain.Row{}}
}

// view is what a command may read: the head and what it needs. Reading anything else is a mistake of the rules.
type view struct {
	s     *Stream
	needs []domain.PartID
}

// Head implements domain.View.
func (v view) Head() domain.HeadRow {
	head, _ := v.s.Rows[domain.PartHead].(domain.HeadRow)
	return head
}

// Part implements domain.View.
func (v view) Part(id domain.PartID) domain.Row {
	if !slices.Contains(v.needs, id) {
		panic(fmt.Sprintf("Decide reads %q, Needs names %q", id, v.needs))
	}
	return v.s.Rows[id]
}

// Decide asks the rules and changes nothing.
func (s *Stream) Decide(cmd domain.Command, now time.Time) (domain.Decision, error) {
	return s.Rules.Decide(s.ID, view{s: s, needs: s.Rules.Needs(nil, s.ID, cmd)}, cmd, now)
}

// Do decides a command and applies what follows from it, which it returns.
func (s *Stream) Do(cmd domain.Command, now time.Time) (domain.Decision, []domain.Event, error) {
	d, err := s.Decide(cmd, now)
	if err != nil || d.Repeat {
		return d, nil, err
	}
	var seq domain.Seq
	if head, ok := s.Rows[domain.PartHead].(domain.HeadRow); ok {
		seq = head.LastSeq()
	}
	events := domain.Stamp(d.Bodies, seq, now, s.lastT(), Number)
	needs := s.Rules.Needs(nil, s.ID, cmd)
	for i := range events {
		for _, id := range s.Rules.Touches(nil, s.ID, &events[i]) {
			if id != domain.PartHead && !slices.Contains(needs, id) {
				panic(fmt.Sprintf("%s touches %q, which %s does not need", events[i].Body.EventName(), id, cmd.CommandName()))
			}
		}
		s.Apply(&events[i])
	}
	s.Events = append(s.Events, events...)
	return d, events, nil
}

// Apply evolves the rows that ev touches, without asking whether they have it already.
func (s *Stream) Apply(ev *domain.Event) {
	for _, id := range s.Rules.Touches(nil, s.ID, ev) {
		s.Rows[id] = s.Rules.Evolve(s.ID, id, s.Rows[id], ev)
	}
}

func (s *Stream) lastT() domain.T {
	if len(s.Events) == 0 {
		return 0
	}
	return s.Events[len(s.Events)-1].T
}
