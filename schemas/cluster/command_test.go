package cluster_test

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/cluster"
)

// Every field of every command, whatever is in it, is there again at the other end: nil as nil, empty as empty, text that is not UTF-8 as it is.
func TestCommandsSurvive(t *testing.T) {
	for name, zero := range cluster.Commands() {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, zero, roundTrip(t, zero))
			rapid.Check(t, func(rt *rapid.T) {
				v := reflect.New(reflect.TypeOf(zero)).Elem()
				fill(rt, v, name)
				cmd := v.Interface().(domain.Command) //nolint:forcetypeassert // of the same type
				if got := roundTrip(rt, cmd); !reflect.DeepEqual(got, cmd) {
					rt.Fatalf("got %#v, want %#v", got, cmd)
				}
			})
		})
	}
}

// failer is a test, or one try of a property.
type failer interface {
	Errorf(format string, args ...any)
	FailNow()
}

func roundTrip(t failer, cmd domain.Command) domain.Command {
	name, body, err := cluster.EncodeCommand(cmd)
	require.NoError(t, err)
	require.Equal(t, cmd.CommandName(), name)
	got, err := cluster.DecodeCommand(name, body)
	require.NoError(t, err)
	return got
}

// fill sets every field at random. A field that it cannot set, or whose type may not survive the way, fails the test.
func fill(t *rapid.T, v reflect.Value, at string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() || f.Anonymous || f.Tag != "" {
				t.Fatalf("%s.%s is unexported, embedded or tagged: does it survive?", at, f.Name)
			}
			fill(t, v.Field(i), at+"."+f.Name)
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, at+" there") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), at)
		}
	case reflect.Slice:
		n := rapid.IntRange(-1, 3).Draw(t, at+" length")
		if n < 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i), at+"[]")
		}
	case reflect.String:
		v.SetString(string(rapid.SliceOfN(rapid.Byte(), 0, 10).Draw(t, at)))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, at))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, at))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, at) >> (64 - v.Type().Bits()))
	default:
		t.Fatalf("%s is a %s: does it survive?", at, v.Kind())
	}
}

// Every type in the domain that is a command can travel. The domain's source is asked, as no list can be forgotten there.
func TestAllCommandsAreListed(t *testing.T) {
	found := make(map[string]bool)
	for _, dir := range []string{"../../domain", "../../domain/conversation", "../../domain/user"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			for _, d := range file.Decls {
				f, ok := d.(*ast.FuncDecl)
				if ok && f.Name.Name == "CommandName" && f.Recv != nil {
					found[fmt.Sprint(f.Recv.List[0].Type)] = true
				}
			}
		}
	}
	listed := make(map[string]bool)
	for name, cmd := range cluster.Commands() {
		require.Equal(t, name, cmd.CommandName())
		listed[reflect.TypeOf(cmd).Name()] = true
	}
	require.Equal(t, found, listed)
	require.Greater(t, len(listed), 30)
}

var update = flag.Bool("update", false, "write testdata/commands.txt")

// The commands and their fields are those of the file. What is added there is noticed here, and may be; what is renamed, removed or of another
// type is lost between two nodes of which one has been updated.
func TestFieldsAreThoseOfTheFile(t *testing.T) {
	var b strings.Builder
	all := cluster.Commands()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintln(&b, name)
		describe(&b, "  ", reflect.TypeOf(all[name]))
	}
	const name = "testdata/commands.txt"
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(name, []byte(b.String()), 0o600))
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String(), "go test ./schemas/cluster -update; a line that goes or changes breaks a rolling upgrade")
}

func describe(b *strings.Builder, in string, t reflect.Type) {
	for f := range t.Fields() {
		of, list := f.Type, ""
		for of.Kind() == reflect.Slice && of.Elem().Kind() != reflect.Uint8 || of.Kind() == reflect.Pointer {
			list += map[reflect.Kind]string{reflect.Slice: "list of ", reflect.Pointer: "optional "}[of.Kind()]
			of = of.Elem()
		}
		kind := of.Kind().String()
		if of.Kind() == reflect.Slice {
			kind = "bytes"
		}
		fmt.Fprintf(b, "%s%s: %s%s\n", in, f.Name, list, kind)
		if of.Kind() == reflect.Struct {
			describe(b, in+"  ", of)
		}
	}
}

func TestUnreadableCommands(t *testing.T) {
	name, body, err := cluster.EncodeCommand(conversation.LeaveGroup{By: conversation.Actor{User: "ann"}})
	require.NoError(t, err)
	for what, c := range map[string]struct {
		name    string
		body    []byte
		unknown bool
	}{
		"unknown name":     {"Fly", body, true},
		"no name":          {"", body, true},
		"no body":          {name, nil, false},
		"cut":              {name, body[:len(body)-1], false},
		"more":             {name, append(slices.Clone(body), 0), false},
		"another type":     {name, []byte{0x83, 1, 2, 3}, false},
		"of another type":  {name, []byte{0xa1, 0x62, 'B', 'y', 0x01}, false},
		"indefinite":       {name, []byte{0xbf, 0xff}, false},
		"tagged":           {name, []byte{0xc0, 0xa0}, false},
		"deep":             {name, []byte(strings.Repeat("\x81", 100) + "\x00"), false},
		"a list too large": {"AddMembers", []byte("\xa1\x65Users\x9a\x00\x02\x00\x00"), false},
		"a list that lies": {"AddMembers", []byte("\xa1\x65Users\x99\xff\xff"), false},
		"too many fields":  {name, []byte("\xb9\xff\xff"), false},
		"a field twice":    {name, []byte("\xa2\x62By\xf6\x62By\xf6"), false},
	} {
		t.Run(what, func(t *testing.T) {
			cmd, err := cluster.DecodeCommand(c.name, c.body)
			require.Nil(t, cmd)
			if c.unknown {
				require.ErrorAs(t, err, new(*cluster.UnknownCommandError))
			} else {
				require.ErrorAs(t, err, new(*cluster.DecodeError))
			}
		})
	}
	for _, cmd := range []domain.Command{&conversation.LeaveGroup{}, fly{}, nil} {
		_, _, err := cluster.EncodeCommand(cmd)
		require.ErrorAs(t, err, new(*cluster.UnknownCommandError), "%T", cmd)
	}
}

type fly struct{}

func (fly) CommandName() string { return "Fly" }

// A node of a newer version says more, one of an older version less.
func TestFieldsOfOtherVersions(t *testing.T) {
	cmd, err := cluster.DecodeCommand("ShieldGroup", []byte("\xa3\x62On\xf5\x63New\x82\xa1\x61x\x01\x02\x64Wind\xf6"))
	require.NoError(t, err)
	require.Equal(t, conversation.ShieldGroup{On: true}, cmd)
}

// Whatever the bytes: no panic, errors of the two types, and what is read is read again from its own form.
func FuzzDecodeCommand(f *testing.F) {
	all := cluster.Commands()
	for _, name := range slices.SortedFunc(maps.Keys(all), cmp.Compare) {
		_, body, err := cluster.EncodeCommand(all[name])
		require.NoError(f, err)
		f.Add(name, body)
	}
	_, body, err := cluster.EncodeCommand(conversation.AddMembers{
		By: conversation.Actor{User: "ann", App: true}, Users: []conversation.Person{{User: "bob", Incarnation: 1}, {}}, History: true,
	})
	require.NoError(f, err)
	f.Add("AddMembers", body)
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		cmd, err := cluster.DecodeCommand(name, body)
		if err != nil {
			if unknown, bad := new(cluster.UnknownCommandError), new(cluster.DecodeError); !as(err, &unknown) && !as(err, &bad) {
				t.Fatalf("error %T", err)
			}
			return
		}
		if got := roundTrip(t, cmd); !reflect.DeepEqual(got, cmd) {
			t.Fatalf("got %#v, want %#v", got, cmd)
		}
	})
}
