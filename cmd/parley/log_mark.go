package main

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"parley/domain"
)

// mark is a place in a partition: an offset, or an instant.
type mark struct {
	offset domain.Offset
	t      domain.T
	isTime bool
}

// Forms of an instant, besides RFC 3339. Without a zone they are UTC.
var instants = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly}

// parseMark reads an offset (digits), an instant, or a time before now such as -90m or -24h.
func parseMark(text string, now time.Time) (mark, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return mark{offset: domain.Offset(n)}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d < 0 {
		return mark{t: domain.TAt(now.Add(d)), isTime: true}, nil
	}
	for _, form := range instants {
		if at, err := time.Parse(form, text); err == nil {
			return mark{t: domain.TAt(at), isTime: true}, nil
		}
	}
	return mark{}, fmt.Errorf("%q is neither an offset (1024) nor a time (2026-07-28, 2026-07-28T12:00:00Z, -24h)", text)
}

// logAsk is what a command asks of a log, by flags or by the query of a URL: the names are the same.
type logAsk struct {
	partition int // -1: all
	from, to  *mark
	lines     int
	follow    bool
	all       bool // void and repeated records too
	bodies    bool
	list      int
	json      bool
}

// askError is the caller's mistake.
type askError struct{ err error }

// Error implements error.
func (e *askError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *askError) Unwrap() error { return e.err }

func badRequest(err error) error { return &askError{err} }

// Defaults of what is not asked for.
const (
	defaultLines = 10
	maxLines     = 100_000
	defaultList  = 20
	maxList      = 100_000
)

// parseLogAsk reads a query.
func parseLogAsk(q url.Values, now time.Time) (logAsk, error) {
	a := logAsk{partition: -1, lines: defaultLines, list: defaultList}
	var errs []error
	number := func(name string, most int, into *int) {
		if text := q.Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 0 || n > most {
				errs = append(errs, fmt.Errorf("%s: %q is not a number from 0 to %d", name, text, most))
				return
			}
			*into = n
		}
	}
	flag := func(name string, into *bool) {
		if text := q.Get(name); text != "" {
			on, err := strconv.ParseBool(text)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %q is neither true nor false", name, text))
			}
			*into = on
		}
	}
	place := func(name string, into **mark) {
		if text := q.Get(name); text != "" {
			m, err := parseMark(text, now)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			} else if !m.isTime && m.offset != 0 && q.Get("partition") == "" {
				errs = append(errs, fmt.Errorf("%s: an offset means something in one partition only: name it with partition", name))
			}
			*into = &m
		}
	}
	number("partition", int(domain.Control), &a.partition)
	number("lines", maxLines, &a.lines)
	number("list", maxList, &a.list)
	flag("follow", &a.follow)
	flag("all", &a.all)
	flag("bodies", &a.bodies)
	place("from", &a.from)
	place("to", &a.to)
	switch q.Get("format") {
	case "", "text", "jsonl":
	case "json":
		a.json = true
	default:
		errs = append(errs, fmt.Errorf("format: there is no format %q", q.Get("format")))
	}
	if len(errs) > 0 {
		return a, badRequest(errors.Join(errs...))
	}
	return a, nil
}

// begin is where the ask begins.
func (a *logAsk) begin() mark {
	if a.from == nil {
		return mark{}
	}
	return *a.from
}

// wants tells whether an event at an offset is inside.
func (a *logAsk) wants(offset domain.Offset, t domain.T) bool {
	if f := a.from; f != nil && (f.isTime && t < f.t || !f.isTime && offset < f.offset) {
		return false
	}
	return !a.past(offset, t)
}

// past tells whether an event at an offset, and so all that come after it in its partition, is behind the end.
func (a *logAsk) past(offset domain.Offset, t domain.T) bool {
	return a.to != nil && (a.to.isTime && t >= a.to.t || !a.to.isTime && offset >= a.to.offset)
}
