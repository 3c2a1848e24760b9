package main

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/gateway/client"
	"parley/schemas/msync"
)

// TestDrainTellsWhatIsStored stops a server under load: what it has stored its senders know, and what they know is stored. Nothing of what was
// on its way when their sockets were closed was.
func TestDrainTellsWhatIsStored(t *testing.T) {
	t.Parallel()
	const senders = 20
	data := filepath.Join(t.TempDir(), "data")
	s := serveDev(t, data)
	bob := s.token("bob")
	var mu sync.Mutex
	acked, stored := map[string]bool{}, map[string]bool{}
	var unanswered atomic.Int64
	var sending sync.WaitGroup
	for i := range senders {
		name := fmt.Sprint("ana", i)
		c := login(t, s.ws, s.dev.App, name, s.token(name))
		sending.Go(func() {
			for n := 0; c.Err() == nil; n++ {
				text := fmt.Sprintf("%s-%d", name, n)
				_, err := c.SendAsync(t.Context(), outgoing(t, name, "bob", text), func(a client.Ack, err error) {
					mu.Lock()
					defer mu.Unlock()
					if err == nil && a.Code == msync.Status_OK {
						acked[text] = true
					} else {
						unanswered.Add(1)
					}
				})
				if err != nil {
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	s.stop()
	sending.Wait()

	again := serveDev(t, data)
	login(t, again.ws, again.dev.App, "bob", bob, func(o *client.Options) {
		o.OnMeta = func(d client.Delivery) {
			body, err := msync.ScanBody(d.Meta.Payload)
			require.NoError(t, err)
			mu.Lock()
			defer mu.Unlock()
			stored[string(body.Text)] = true
		}
	})
	count := func() (stillMissing, all int) {
		mu.Lock()
		defer mu.Unlock()
		for text := range acked {
			if !stored[text] {
				stillMissing++
			}
		}
		return stillMissing, len(stored)
	}
	require.Eventually(t, func() bool { missing, _ := count(); return missing == 0 }, startLimit, 10*time.Millisecond, "acknowledged, and not stored")
	time.Sleep(100 * time.Millisecond)
	mu.Lock()
	defer mu.Unlock()
	require.Greater(t, len(acked), senders, "hardly anything was sent")
	for text := range stored {
		require.True(t, acked[text], "%s is stored, and its sender was not told", text)
	}
	t.Logf("%d stored and acknowledged, %d on their way and not stored", len(acked), unanswered.Load())
}

func outgoing(t *testing.T, from, to, text string) msync.Outgoing {
	body, err := client.TextBody(from, to, text, nil)
	require.NoError(t, err)
	return msync.Outgoing{To: to, NS: msync.Meta_CHAT, Payload: body}
}
