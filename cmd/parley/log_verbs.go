package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"parley/domain"
	"parley/domain/fence"
)

// sink is where lines go: a terminal, a file or an HTTP answer.
type sink interface {
	io.Writer
	Flush() error
}

// logVerb looks at a log and writes what it sees.
type logVerb func(ctx context.Context, v *logView, ask logAsk, out sink) error

// logVerbs are what can be asked of a log, here or of a running server.
var logVerbs = map[string]logVerb{"bounds": logBounds, "tail": logTail, "verify": logVerify, "export": logExport}

// bounded is a line of `parley log bounds`.
type bounded struct {
	Partition domain.Partition `json:"partition"`
	Topic     string           `json:"topic"`
	Start     domain.Offset    `json:"start"`
	End       domain.Offset    `json:"end"`
	Anchor    domain.Offset    `json:"anchor"` // 0: none
}

func logBounds(ctx context.Context, v *logView, ask logAsk, out sink) error {
	partitions, err := v.only(ask.partition)
	if err != nil {
		return err
	}
	all := make([]bounded, 0, len(partitions))
	for _, p := range partitions {
		b := bounded{Partition: p, Topic: "chats"}
		if p.IsRooms() {
			b.Topic = "rooms"
		}
		if b.Start, b.End, err = v.log.Bounds(ctx, p); err != nil {
			return err
		}
		if a, ok := v.anchor(p); ok {
			b.Anchor = a.Offset
		}
		all = append(all, b)
	}
	if ask.json {
		return writeIndented(out, all)
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "partition\ttopic\tstart\tend\trecords\tanchor\t")
	for _, b := range all {
		fmt.Fprintf(t, "%d\t%s\t%d\t%d\t%d\t%d\t\n", b.Partition, b.Topic, b.Start, b.End, b.End-b.Start, b.Anchor)
	}
	return errors.Join(t.Flush(), out.Flush())
}

func writeIndented(out sink, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return errors.Join(e.Encode(v), out.Flush())
}

// exportEnd is where an export of an ask that names no end stops: what comes while it runs is the next one's.
func (v *logView) exportEnd(ctx context.Context, p domain.Partition, ask *logAsk) (domain.Offset, error) {
	_, end, err := v.log.Bounds(ctx, p)
	if err == nil && ask.to != nil && !ask.to.isTime {
		end = min(end, ask.to.offset)
	}
	return end, err
}

// logExport writes the accepted commits, partition by partition, an event a line.
func logExport(ctx context.Context, v *logView, ask logAsk, out sink) error {
	partitions, err := v.only(ask.partition)
	if err != nil {
		return err
	}
	w := &lineWriter{bodies: ask.bodies}
	for _, p := range partitions {
		end, err := v.exportEnd(ctx, p, &ask)
		if err != nil {
			return err
		}
		err = v.walk(ctx, p, v.start(p, ask.begin()), end, 0, func(j *judged) error {
			t := j.firstT()
			if j.verdict != fence.Accepted {
				return nil
			}
			if ask.past(j.record.Offset, t) {
				return errEnough
			}
			lines, err := w.events(j, func(t domain.T) bool { return ask.wants(j.record.Offset, t) })
			if err == nil {
				_, err = out.Write(lines)
			}
			return err
		}, nil)
		if err != nil {
			return fmt.Errorf("%w (what was written before is whole)", err)
		}
	}
	return out.Flush()
}

// Pauses of a tail that follows.
const (
	followPoll = time.Second
	tailGather = 50 * time.Millisecond
)

// logTail writes the last records for people to read, and with follow what comes.
func logTail(ctx context.Context, v *logView, ask logAsk, out sink) error {
	partitions, err := v.only(ask.partition)
	if err != nil {
		return err
	}
	last, places, err := v.last(ctx, partitions, &ask)
	if err != nil {
		return err
	}
	for _, l := range last {
		if _, err := io.WriteString(out, l.text); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil || !ask.follow {
		return err
	}
	return v.follow(ctx, places, &ask, out)
}

// line is what tail shows of a record.
type line struct {
	t    domain.T
	text string
}

// shows tells whether tail shows a record.
func (a *logAsk) shows(j *judged) bool {
	if j.verdict == fence.Void || j.verdict == fence.Repeat {
		return a.all
	}
	t := j.firstT()
	return t == 0 && a.from == nil || a.wants(j.record.Offset, t)
}

// last reads the partitions to their ends and returns the last lines of all, by time, and the places behind.
func (v *logView) last(ctx context.Context, partitions []domain.Partition, ask *logAsk) ([]line, map[domain.Partition]fence.Reader, error) {
	w := &lineWriter{bodies: ask.bodies, sparse: true}
	places := make(map[domain.Partition]fence.Reader, len(partitions))
	var all []line
	for _, p := range partitions {
		_, end, err := v.log.Bounds(ctx, p)
		if err != nil {
			return nil, nil, err
		}
		from := mark{offset: max(0, end-domain.Offset(ask.lines))}
		if ask.from != nil {
			from = *ask.from
		}
		at, t := v.start(p, from), domain.T(0)
		var lines []line
		err = v.walk(ctx, p, at, end, 0, func(j *judged) error {
			at, t = j.after, max(t, j.firstT())
			if !ask.shows(j) || ask.from == nil && j.record.Offset < end-domain.Offset(maxLines) {
				return nil
			}
			text, err := w.tailLine(j)
			if lines = append(lines, line{t, text}); len(lines) > 2*ask.lines && ask.from == nil {
				lines = slices.Delete(lines, 0, len(lines)-ask.lines)
			} else if len(lines) > maxLines {
				return badRequest(fmt.Errorf("more than %d records are asked for: use export", maxLines))
			}
			return err
		}, nil)
		if err != nil {
			return nil, nil, err
		}
		places[p] = at
		all = append(all, lines...)
	}
	slices.SortStableFunc(all, func(a, b line) int {
		switch {
		case a.t < b.t:
			return -1
		case a.t > b.t:
			return 1
		default:
			return 0
		}
	})
	if ask.from == nil && len(all) > ask.lines {
		all = all[len(all)-ask.lines:]
	}
	return all, places, nil
}

// follow writes what comes, until ctx ends or a partition halts its readers.
func (v *logView) follow(ctx context.Context, places map[domain.Partition]fence.Reader, ask *logAsk, out sink) error {
	ctx, stop := context.WithCancelCause(ctx)
	lines := make(chan string)
	var wg sync.WaitGroup
	for p, at := range places {
		wg.Go(func() {
			w := &lineWriter{bodies: ask.bodies, sparse: true}
			err := v.walk(ctx, p, at, at.Next, followPoll, func(j *judged) error {
				if !ask.shows(j) {
					return nil
				}
				text, err := w.tailLine(j)
				if err != nil {
					return err
				}
				select {
				case lines <- text:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}, func() error { return nil })
			stop(err)
		})
	}
	err := copyLines(ctx, lines, out)
	stop(err)
	wg.Wait()
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return err
}

// copyLines writes lines until ctx ends, and lets them be seen soon.
func copyLines(ctx context.Context, lines <-chan string, out sink) error {
	ticker := time.NewTicker(tailGather)
	defer ticker.Stop()
	dirty := false
	for {
		select {
		case <-ctx.Done():
			return out.Flush()
		case text := <-lines:
			if _, err := io.WriteString(out, text); err != nil {
				return err
			}
			dirty = true
		case <-ticker.C:
			if dirty {
				if err := out.Flush(); err != nil {
					return err
				}
				dirty = false
			}
		}
	}
}

// joinNumbers writes partitions for people.
func joinNumbers(list []domain.Partition) string {
	text := make([]string, len(list))
	for i, p := range list {
		text[i] = fmt.Sprint(p)
	}
	return strings.Join(text, ", ")
}
