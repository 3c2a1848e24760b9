package bench

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// A text is "pb<run>:<author>:<seq>:<due>:" and padding; the numbers are hexadecimal of fixed width, so that they can be written in place.
const (
	authorDigits, seqDigits, dueDigits = 4, 8, 16
	runDigits                          = 8
	minText                            = len("pb:") + runDigits + authorDigits + 1 + seqDigits + 1 + dueDigits + 1
)

// marker begins the texts of an author of a run.
func marker(run string, author int) []byte {
	return fmt.Appendf(nil, "pb%s:%0*x:", run, authorDigits, author)
}

// blank is a text of so many bytes whose seq and due are to be filled in.
func blank(marker []byte, size int) string {
	text := string(marker) + strings.Repeat("0", seqDigits) + ":" + strings.Repeat("0", dueDigits) + ":"
	return text + strings.Repeat("x", size-len(text))
}

// fillStamp writes seq and due where the digits begin.
func fillStamp(digits []byte, seq int, due time.Duration) {
	putHex(digits[:seqDigits], uint64(seq))
	putHex(digits[seqDigits+1:seqDigits+1+dueDigits], uint64(due))
}

// readStamp reads what fillStamp has written.
func readStamp(digits []byte) (seq int, due time.Duration, ok bool) {
	if len(digits) < seqDigits+1+dueDigits {
		return 0, 0, false
	}
	s, ok1 := parseHex(digits[:seqDigits])
	t, ok2 := parseHex(digits[seqDigits+1 : seqDigits+1+dueDigits])
	return int(s), time.Duration(t), ok1 && ok2
}

// readText finds a text of the run whose texts begin with the tag, by whomever, in a body.
func readText(tag, body []byte) (author, seq int, due time.Duration, ok bool) {
	at := bytes.Index(body, tag)
	if at < 0 || len(body) < at+len(tag)+authorDigits+1 {
		return 0, 0, 0, false
	}
	b := body[at+len(tag):]
	a, known := parseHex(b[:authorDigits])
	seq, due, ok = readStamp(b[authorDigits+1:])
	return int(a), seq, due, ok && known
}
