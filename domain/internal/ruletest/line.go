package ruletest

import (
	"fmt"
	"strconv"
	"strings"

	"parley/domain"
)

// Line is a word and fields, read from a scenario or written to compare with one.
type Line struct {
	Word string

	fields [][2]string
	read   map[string]bool
	s      *Stream
}

func parse(text string) Line {
	words := strings.Fields(text)
	l := Line{Word: words[0], read: map[string]bool{}}
	for _, w := range words[1:] {
		key, value, ok := strings.Cut(w, "=")
		if !ok {
			value = "true"
		}
		l.fields = append(l.fields, [2]string{key, value})
	}
	return l
}

// Get returns a field's value, empty when it is not there.
func (l Line) Get(key string) string {
	l.read[key] = true
	for _, f := range l.fields {
		if f[0] == key {
			return f[1]
		}
	}
	return ""
}

// Number returns a field's number, 0 when it is not there.
func (l Line) Number(key string) uint64 {
	text := l.Get(key)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		panic(fmt.Sprintf("%s=%s is not a number", key, text))
	}
	return n
}

// Has tells whether a field is there.
func (l Line) Has(key string) bool { return l.Get(key) != "" }

// ID returns the id that a field names: #3 is that of the third event, #99 of none there may be yet.
func (l Line) ID(key string) domain.T {
	n, err := strconv.Atoi(strings.TrimPrefix(l.Get(key), "#"))
	switch {
	case err != nil:
		return 0
	case n > len(l.s.Events):
		return 1<<63 - 1
	default:
		return l.s.Events[n-1].T
	}
}

func (l Line) unread() (keys []string) {
	for _, f := range l.fields {
		if !l.read[f[0]] {
			keys = append(keys, f[0])
		}
	}
	return keys
}

// Add writes a field, unless its value is nothing.
func (l *Line) Add(key string, value any) {
	if text := fmt.Sprint(value); text != "" && text != "0" {
		l.fields = append(l.fields, [2]string{key, text})
	}
}

// AddID writes the field of an id.
func (l *Line) AddID(key string, t domain.T) {
	if t != 0 {
		l.Add(key, l.s.Name(t))
	}
}

// Flag writes a field without a value when it is true.
func (l *Line) Flag(key string, value bool) {
	if value {
		l.fields = append(l.fields, [2]string{key, "true"})
	}
}

// String returns the line.
func (l *Line) String() string {
	words := []string{l.Word}
	for _, f := range l.fields {
		if f[1] == "true" {
			words = append(words, f[0])
		} else {
			words = append(words, f[0]+"="+f[1])
		}
	}
	return strings.Join(words, " ")
}
