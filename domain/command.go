package domain

import "time"

// Command is a wish about one stream, in the imperative; the sealed sets are conversation.Command and user.Command.
type Command interface {
	// CommandName is the wish's name, as in "SendMessage".
	CommandName() string
}

// Request is a command on its way to the owner of its stream.
//
// Done is called exactly once, from the owner's goroutine: it must not block and must not submit. A nil error means that the answer
// rests on acknowledged commits only. Deadline bounds how long the command may wait before it is decided (zero: the owner's default).
type Request struct {
	Stream   StreamID
	Command  Command
	Deadline time.Time
	Done     func(Result)
}

// Result answers a Request.
type Result struct {
	// Err is nil, or an *Error with the refusal's code. Code Unknown: it may have happened; ask again with the same client id.
	Err error
	// Seq and T are those of the entry that the command made, or of the first answer when it repeats one; 0 when nothing was made.
	Seq Seq
	T   T
	// Repeat tells that the answer is that of an earlier command with the same client id and payload.
	Repeat bool
	// Position of the last commit that the answer rests on, for those who wait for projections. Index 0: none.
	Position Position
}
