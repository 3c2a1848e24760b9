package shard_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
	"parley/ingest/shard"
)

func TestMessageIsAcknowledgedFedAndKept(t *testing.T) {
	d := newDisk(t)
	r := start(t, d, nil)
	ab := direct("ann", "ben")
	one := r.ok(ab, send("ann", "ben", 1))
	two := r.ok(ab, send("ben", "ann", 1))
	require.Equal(t, domain.Seq(1), one.Seq)
	require.Equal(t, domain.Seq(2), two.Seq)
	require.Greater(t, two.T, one.T)
	require.Equal(t, domain.Index(2), two.Position.Index)
	require.Equal(t, two.Position, r.Position())

	fed := r.feed.all(t)
	require.Len(t, fed, 2)
	require.Equal(t, one.Position, fed[0].Position)
	require.Equal(t, one.T, fed[0].Commit.LastT())
	head := r.head(ab).(*conversation.Head)
	require.Equal(t, domain.Seq(2), head.Seq)
	require.Equal(t, uint64(2), head.N)
	r.stop()

	d.reopen(t)
	r = start(t, d, nil)
	defer r.stop()
	require.Equal(t, head, r.head(ab))
	three := r.ok(ab, send("ann", "ben", 2))
	require.Equal(t, domain.Seq(3), three.Seq)
	require.Greater(t, three.T, two.T)
	require.Len(t, r.feed.all(t), 1, "the stop left nothing to replay")
}

func TestRepeatGetsTheFirstAnswerAcrossRestart(t *testing.T) {
	d := newDisk(t)
	r := start(t, d, nil)
	ab := direct("ann", "ben")
	first := r.ok(ab, send("ann", "ben", 7))
	again := r.ok(ab, send("ann", "ben", 7))
	require.True(t, again.Repeat)
	require.Equal(t, first.Seq, again.Seq)
	require.Equal(t, first.T, again.T)
	r.stop()

	r = start(t, d, nil)
	defer r.stop()
	again = r.ok(ab, send("ann", "ben", 7))
	require.True(t, again.Repeat)
	require.Equal(t, first.Seq, again.Seq)
	require.Equal(t, first.T, again.T)
	require.Equal(t, first.Position.Index, again.Position.Index, "it rests on what the checkpoint has passed")
}

func TestRefusals(t *testing.T) {
	r := start(t, newDisk(t), nil)
	defer r.stop()
	ann := domain.UserStream(app, "ann")
	require.NoError(t, r.do(ann, user.Register{UUID: "u1"}).Err)
	for _, tt := range []struct {
		name   string
		stream domain.StreamID
		cmd    domain.Command
		code   domain.Code
	}{
		{"taken", ann, user.Register{UUID: "u2"}, domain.UserExists},
		{"malformed stream", "nonsense", user.Register{}, domain.BadRequest},
		{"zero byte in a stream", domain.UserStream(app, "a\x00b"), user.Register{}, domain.BadRequest},
		{"zero byte in a part", direct("ann", "ben"), send("ann", "b\x00n", 1), domain.BadRequest},
		{"kind without rules", app2("g/1"), user.Register{}, domain.Unsupported},
		{"too large", direct("ann", "ben"), large("ann", "ben"), domain.TooLarge},
		{"other kind's command", direct("ann", "ben"), user.Register{}, domain.Unsupported},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.code, domain.CodeOf(r.do(tt.stream, tt.cmd).Err))
		})
	}
}

func app2(rest string) domain.StreamID { return domain.StreamID(string(app) + "/" + rest) }

// large is a message whose size the envelope does not tell.
func large(from, to domain.UserID) conversation.SendMessage {
	m := send(from, to, 1)
	m.Body = make([]byte, 300<<10)
	return m
}

// TestAnswersWaitForWhatTheyRestOn has a repeat and a refusal behind a commit that is not acknowledged, in flight and in the batch that forms.
func TestAnswersWaitForWhatTheyRestOn(t *testing.T) {
	r := start(t, newDisk(t), nil)
	defer r.stop()
	ab, eve := direct("ann", "ben"), domain.UserStream(app, "eve")
	r.ok(ab, send("ann", "ben", 1))
	_ = r.do(eve, user.Delete{}) // its rows are in memory now
	r.log.delay.Store(int64(300 * time.Millisecond))
	answers := []<-chan domain.Result{
		r.submit(ab, send("ann", "ben", 2)), r.submit(ab, send("ann", "ben", 2)),
	}
	time.Sleep(50 * time.Millisecond) // these are in flight, the next ones form
	answers = append(answers,
		r.submit(eve, user.Register{UUID: "1"}), r.submit(eve, user.Register{UUID: "2"}), r.submit(ab, send("ann", "ben", 2)))
	free := r.do(direct("ann", "ben"), send("ann", "ben", 1))
	require.True(t, free.Repeat)
	for i, a := range answers[:2] {
		require.Equal(t, domain.Seq(2), r.wait(a).Seq, i)
	}
	require.NoError(t, r.wait(answers[2]).Err)
	require.Equal(t, domain.UserExists, domain.CodeOf(r.wait(answers[3]).Err))
	again := r.wait(answers[4])
	require.True(t, again.Repeat)
	require.Equal(t, domain.Index(2), again.Position.Index)
}

// TestNothingIsAnsweredWhileTheLogIsSilent is the same without a log: no answer but the one at the deadline.
func TestNothingIsAnsweredWhileTheLogIsSilent(t *testing.T) {
	t.Parallel()
	r := start(t, newDisk(t), func(c *shard.Config) { c.Settings.Deadline = time.Second })
	defer r.stop()
	eve := domain.UserStream(app, "eve")
	_ = r.do(eve, user.Delete{})
	r.log.refuse.Store(true)
	for i, a := range []<-chan domain.Result{r.submit(eve, user.Register{UUID: "1"}), r.submit(eve, user.Register{UUID: "2"})} {
		require.Equal(t, domain.Unknown, domain.CodeOf(r.wait(a).Err), i)
	}
	require.Nil(t, r.head(eve))
	r.log.refuse.Store(false)
}
