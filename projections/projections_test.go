package projections_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/projections"
	"parley/projections/logtest"
	"parley/projections/timeline"
	"parley/schemas/table"
)

func TestTablesHaveTheirOwnIDs(t *testing.T) {
	seen := make(map[byte]string)
	for _, tb := range projections.Tables() {
		if other, ok := seen[tb.ID]; ok {
			t.Errorf("tables %s and %s share id %d", other, tb.Name, tb.ID)
		}
		if (tb.ID < 20 || tb.ID > 39) && (tb.ID < 60 || tb.ID > 79) {
			t.Errorf("table %s has id %d, outside 20 to 39 and 60 to 79", tb.Name, tb.ID)
		}
		seen[tb.ID] = tb.Name
	}
}

func TestRowsAreAFoldOfTheLog(t *testing.T) {
	h := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := h.world(rt)
		r, f, stop := h.run(rt, w)
		w.Random(rt, rapid.IntRange(1, 40).Draw(rt, "first"))
		f.Publish(w.Accepted)
		if rapid.Bool().Draw(rt, "restart") {
			stop()
			r, f, stop = h.run(rt, w)
		}
		w.Random(rt, rapid.IntRange(1, 40).Draw(rt, "then"))
		f.Publish(w.Accepted)
		settle(rt, r, w)
		stop()
		writes := applied(rt, w, 1)
		live := h.dump(rt, writes)

		h.drop(rt) // everything, checkpoints too: the log has it all
		if h.dump(rt, writes) != "" {
			rt.Fatalf("drop left rows")
		}
		r, _, stop = h.run(rt, w)
		settle(rt, r, w)
		stop()
		if again := h.dump(rt, writes); again != live {
			rt.Fatalf("rebuilt rows differ:\n%s\nwere\n%s", again, live)
		}

		h.drop(rt)
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		twice := append(slices.Clone(writes), writes...)
		rnd.Shuffle(len(twice), func(i, j int) { twice[i], twice[j] = twice[j], twice[i] })
		for part := range slices.Chunk(twice, 7) {
			if err := h.store.Write(t.Context(), part); err != nil {
				rt.Fatalf("write: %v", err)
			}
		}
		if shuffled := h.dump(rt, writes); shuffled != live {
			rt.Fatalf("shuffled and doubled rows differ:\n%s\nwere\n%s", shuffled, live)
		}
	})
}

func BenchmarkApplyTimeline(b *testing.B) {
	ev := domain.Event{T: 1 << 40, Seq: 77, Body: conversation.MessageSent{
		From: "ann", FromResource: "web_1234", To: "bob", Kind: message.Text, Counted: true, History: true, SyncOwn: true,
		Body: make(message.Bytes, 200), N: 70, Own: 40,
	}}
	a := domain.Accepted{Commit: &domain.Commit{Stream: domain.DirectStream(logtest.App, "ann", "bob"), Events: []domain.Event{ev}}}
	p := timeline.New(1)
	var dst []table.Write
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = p.Apply(dst[:0], &a); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkKeepUp measures what a message costs all read models together: fetched from the log's feed, applied, coalesced and stored.
func BenchmarkKeepUp(b *testing.B) {
	h := open(b)
	w := h.world(b)
	for i := range 100 {
		w.Register(domain.UserID(fmt.Sprintf("u%02d", i)))
	}
	r, f, stop := h.run(b, w)
	f.Publish(w.Accepted)
	first := len(w.Accepted)
	for i := range 2000 {
		w.Send(domain.UserID(fmt.Sprintf("u%02d", i%50)), domain.UserID(fmt.Sprintf("u%02d", 50+i%50)), "a message of some length, as people write them")
	}
	messages := w.Accepted[first:]
	n := 0
	index := messages[0].Index
	b.ReportAllocs()
	for b.Loop() {
		batch := slices.Clone(messages)
		for i := range batch {
			batch[i].Index = index
			index++
		}
		f.Publish(batch)
		n += len(batch)
		for r.Wait(b.Context(), w.Partition, index-1) != nil {
			continue
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/message")
	stop()
}
