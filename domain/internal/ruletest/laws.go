package ruletest

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"parley/domain"
)

// Render writes all that a row holds, so that a change of it shows even when the row was changed in place.
type Render func(domain.Row) string

func (s *Stream) render(r Render) map[domain.PartID]string {
	out := map[domain.PartID]string{}
	for id, row := range s.Rows {
		out[id] = r(row)
	}
	return out
}

// DoLawfully is Do with the laws of deciding checked: Decide is a function, and neither it nor Evolve changes what was there.
func (s *Stream) DoLawfully(cmd domain.Command, now time.Time, r Render) ([]domain.Event, error) {
	before, text := maps.Clone(s.Rows), s.render(r)
	first, firstErr := s.Decide(cmd, now)
	second, secondErr := s.Decide(cmd, now)
	if !reflect.DeepEqual(first, second) || !reflect.DeepEqual(firstErr, secondErr) {
		return nil, fmt.Errorf("%s was decided twice: %+v (%w), then %+v (%w)", cmd.CommandName(), first, firstErr, second, secondErr)
	}
	if got := s.render(r); !maps.Equal(got, text) {
		return nil, fmt.Errorf("deciding %s changed the state", cmd.CommandName())
	}
	_, events, _ := s.Do(cmd, now)
	for id, row := range before {
		if r(row) != text[id] {
			return nil, fmt.Errorf("applying %s changed an older version of row %q", cmd.CommandName(), id)
		}
	}
	return events, nil
}

// CheckFold checks the laws of a stream's events: folded again they give its rows, even when every event or all of them come twice, and an
// event changes no row but those it touches.
func (s *Stream) CheckFold(r Render) error {
	want := s.render(r)
	once, doubled := s.empty(), s.empty()
	for i := range s.Events {
		if err := once.checkTouches(&s.Events[i], r); err != nil {
			return err
		}
		once.Apply(&s.Events[i])
		doubled.Apply(&s.Events[i])
		doubled.Apply(&s.Events[i])
	}
	if got := once.render(r); !maps.Equal(got, want) {
		return fmt.Errorf("fold gives %q, live is %q", got, want)
	}
	if got := doubled.render(r); !maps.Equal(got, want) {
		return fmt.Errorf("each event twice gives %q, live is %q", got, want)
	}
	for i := range s.Events {
		once.Apply(&s.Events[i])
	}
	if got := once.render(r); !maps.Equal(got, want) {
		return fmt.Errorf("the log twice gives %q, live is %q", got, want)
	}
	return nil
}

func (s *Stream) empty() *Stream {
	return &Stream{Rules: s.Rules, ID: s.ID, Rows: map[domain.PartID]domain.Row{}}
}

func (s *Stream) checkTouches(ev *domain.Event, r Render) error {
	touched := s.Rules.Touches(nil, s.ID, ev)
	for id, row := range s.Rows {
		if slices.Contains(touched, id) {
			continue
		}
		if next := s.Rules.Evolve(s.ID, id, row, ev); next != row || r(next) != r(row) {
			return fmt.Errorf("%s changes %q, which it does not touch", ev.Body.EventName(), id)
		}
	}
	for _, id := range touched {
		if s.Rules.Evolve(s.ID, id, s.Rows[id], ev) == nil {
			return fmt.Errorf("%s touches %q and leaves no row", ev.Body.EventName(), id)
		}
	}
	return nil
}
