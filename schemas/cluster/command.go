package cluster

import (
	"fmt"
	"reflect"

	"github.com/fxamacker/cbor/v2"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
)

// Bounds of what is read. They are far above what the rules allow, and the rules are to refuse what is over theirs.
const (
	maxElements = 1 << 16 // of one list
	maxPairs    = 256     // fields of one struct
	maxNested   = 8
)

// UnknownCommandError says that a command has no form here: it is of a newer version, or missing in the list.
type UnknownCommandError struct{ Name string }

// Error implements error.
func (e *UnknownCommandError) Error() string { return fmt.Sprintf("unknown command %q", e.Name) }

// DecodeError says that a command cannot be read.
type DecodeError struct {
	Name string
	Err  error
}

// Error implements error.
func (e *DecodeError) Error() string { return fmt.Sprintf("undecodable command %s: %v", e.Name, e.Err) }

// Unwrap returns the cause.
func (e *DecodeError) Unwrap() error { return e.Err }

// codec writes and reads the commands that it lists.
type codec struct {
	enc   cbor.EncMode
	dec   cbor.DecMode
	names map[reflect.Type]string
	read  map[string]func([]byte) (domain.Command, error)
}

var commands = newCodec()

// newCodec lists every command of the domain.
func newCodec() *codec {
	c := &codec{names: make(map[reflect.Type]string), read: make(map[string]func([]byte) (domain.Command, error))}
	c.modes()
	addDirect(c)
	addGroup(c)
	addRoom(c)
	addUser(c)
	return c
}

func addDirect(c *codec) {
	add[conversation.SendMessage](c)
	add[conversation.MarkDelivered](c)
	add[conversation.MarkRead](c)
	add[conversation.ReadConversation](c)
	add[conversation.RecallMessage](c) // of groups and rooms, too
}

func addGroup(c *codec) {
	add[conversation.CreateGroup](c)
	add[conversation.AddMembers](c)
	add[conversation.ApplyToJoin](c)
	add[conversation.AnswerApplication](c)
	add[conversation.InviteUsers](c)
	add[conversation.AnswerInvitation](c)
	add[conversation.LeaveGroup](c)
	add[conversation.RemoveMembers](c)
	add[conversation.DestroyGroup](c)
	add[conversation.ChangeGroup](c)
	add[conversation.TransferOwnership](c)
	add[conversation.AddAdmin](c)
	add[conversation.RemoveAdmin](c)
	add[conversation.ShieldGroup](c)
	add[conversation.SendGroupMessage](c)
	add[conversation.ReadGroup](c)
}

func addRoom(c *codec) {
	add[conversation.CreateRoom](c)
	add[conversation.ChangeRoom](c)
	add[conversation.TransferRoom](c)
	add[conversation.DestroyRoom](c)
	add[conversation.AllowUsers](c)
	add[conversation.DisallowUsers](c)
	add[conversation.SendRoomMessage](c)
}

func addUser(c *codec) {
	add[user.Register](c)
	add[user.Delete](c)
	add[user.SetPassword](c)
	add[user.Notify](c)
}

// add lists a command. Two of one name are a programming error.
func add[C domain.Command](c *codec) {
	var zero C
	name := zero.CommandName()
	if _, twice := c.read[name]; twice {
		panic(fmt.Sprintf("cluster: two commands are named %s", name))
	}
	c.names[reflect.TypeFor[C]()] = name
	c.read[name] = func(body []byte) (domain.Command, error) {
		var cmd C
		if err := c.dec.Unmarshal(body, &cmd); err != nil {
			return nil, &DecodeError{Name: name, Err: err}
		}
		return cmd, nil
	}
}

func (c *codec) modes() {
	var err error
	if c.enc, err = (cbor.EncOptions{IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden}).EncMode(); err != nil {
		panic(err) // only by options that contradict each other
	}
	c.dec, err = cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, MaxNestedLevels: maxNested, MaxArrayElements: maxElements, MaxMapPairs: maxPairs,
		IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden, UTF8: cbor.UTF8DecodeInvalid,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
	}.DecMode()
	if err != nil {
		panic(err)
	}
}

// Commands returns the names of the commands that can travel, with a zero value of each.
func Commands() map[string]domain.Command {
	out := make(map[string]domain.Command, len(commands.names))
	for t, name := range commands.names {
		if cmd, ok := reflect.TypeAssert[domain.Command](reflect.Zero(t)); ok {
			out[name] = cmd
		}
	}
	return out
}

// EncodeCommand returns a command's name and body. The error is an *UnknownCommandError.
func EncodeCommand(cmd domain.Command) (name string, body []byte, err error) {
	name, ok := commands.names[reflect.TypeOf(cmd)]
	if !ok {
		return "", nil, &UnknownCommandError{Name: fmt.Sprintf("%T", cmd)}
	}
	body, err = commands.enc.Marshal(cmd)
	if err != nil {
		return "", nil, fmt.Errorf("encode command %s: %w", name, err)
	}
	return name, body, nil
}

// DecodeCommand reads what EncodeCommand wrote. The error is an *UnknownCommandError or a *DecodeError. Nothing of body is kept.
func DecodeCommand(name string, body []byte) (domain.Command, error) {
	read, ok := commands.read[name]
	if !ok {
		return nil, &UnknownCommandError{Name: name}
	}
	return read(body)
}
