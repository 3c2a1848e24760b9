package directory_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"parley/delivery/directory"
	"parley/domain"
)

// Subscribers are those who subscribed and did not unsubscribe, each once; what was handed out never changes.
func TestSubscribersAreASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := directory.New()
		sessions := make([]directory.Session, rapid.IntRange(1, 150).Draw(t, "sessions"))
		for i := range sessions {
			sessions[i] = &session{}
		}
		const stream = domain.StreamID("org#app/g/1")
		model := map[directory.Session]bool{}
		type lent struct{ list, was []directory.Session }
		var out []lent
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			s := rapid.SampledFrom(sessions).Draw(t, "session")
			switch rapid.IntRange(0, 20).Draw(t, "step") {
			default:
				d.Subscribe(stream, s)
				model[s] = true
			case 0, 1, 2, 3, 4, 5, 6, 7:
				d.Unsubscribe(stream, s)
				delete(model, s)
			case 8, 9:
				list := d.Subscribers(stream)
				out = append(out, lent{list, append([]directory.Session(nil), list...)})
			case 10:
				if rapid.IntRange(0, 9).Draw(t, "all") == 0 {
					d.UnsubscribeAll(stream)
					clear(model)
				}
			}
			got := d.Subscribers("org#app/g/1")
			if rapid.Bool().Draw(t, "look") {
				got = append([]directory.Session(nil), got...)
			}
			if len(got) != len(model) {
				t.Fatalf("%d subscribers, not %d", len(got), len(model))
			}
			for _, s := range got {
				if !model[s] {
					t.Fatal("somebody else")
				}
			}
		}
		for _, l := range out {
			for i := range l.list {
				if l.list[i] != l.was[i] {
					t.Fatal("a list that was handed out has changed")
				}
			}
		}
	})
}

// Streams are apart, and an empty one is forgotten.
func TestSubscriptionsOfStreams(t *testing.T) {
	d := directory.New()
	a, b := &session{}, &session{}
	d.Subscribe("1", a)
	d.Subscribe("2", b)
	d.Subscribe("2", b)
	require.Equal(t, []directory.Session{a}, d.Subscribers("1"))
	require.Equal(t, []directory.Session{b}, d.Subscribers("2"))
	d.Unsubscribe("1", b)
	d.Unsubscribe("3", b)
	d.Unsubscribe("2", b)
	require.Empty(t, d.Subscribers("2"))
	require.Len(t, d.Subscribers("1"), 1)
}

func TestSubscribersAtOnce(t *testing.T) {
	d := directory.New()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s := &session{}
			for range 200 {
				d.Subscribe("1", s)
				for _, o := range d.Subscribers("1") {
					if o == nil {
						t.Error("nobody is subscribed")
					}
				}
				d.Unsubscribe("1", s)
			}
		})
	}
	wg.Wait()
	require.Empty(t, d.Subscribers("1"))
}

// A log-in of a user in 2,000 groups, and its end.
func BenchmarkSubscribe2000(b *testing.B) {
	d := directory.New()
	streams := make([]domain.StreamID, 2000)
	for i := range streams {
		streams[i] = domain.GroupStream("org#app", fmt.Sprint(i))
		for range 20 {
			d.Subscribe(streams[i], &session{})
		}
	}
	s := &session{}
	for b.Loop() {
		for _, id := range streams {
			d.Subscribe(id, s)
		}
		for _, id := range streams {
			d.Unsubscribe(id, s)
		}
	}
}
