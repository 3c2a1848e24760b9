package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"parley/ops/engines"
)

// securedPort is the first of the secured broker's ports.
const securedPort = 32192

// securedBroker starts one broker whose clients need TLS and a password.
func securedBroker(t *testing.T) (*engines.Cluster, *engines.Security) {
	t.Helper()
	if os.Getenv("ENGINES") == "" {
		t.Skip("NOT RUN: real engines are started by make engines-test")
	}
	if err := engines.Missing(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c, sec, err := engines.SecuredKafka(ctx, t.TempDir(), securedPort)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { try(t, c.Kill()) })
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return c, sec
}

func securedOptions(t *testing.T, c *engines.Cluster, sec *engines.Security) Options {
	t.Helper()
	o := realOptions(c)
	o.Dev = true // one broker
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(sec.CA) {
		t.Fatal("the authority's certificate cannot be read")
	}
	o.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	o.User, o.Password = engines.KafkaAdmin, sec.Passwords[engines.KafkaAdmin]
	return o
}

// quickly is how soon a log that may not be used is refused.
const quickly = 3 * time.Second

// TestEngineSecured logs in at a real broker in every way, the right one and wrong ones.
func TestEngineSecured(t *testing.T) {
	c, sec := securedBroker(t)
	for _, mechanism := range []string{Plain, Scram256, Scram512} {
		t.Run(mechanism, func(t *testing.T) {
			o := securedOptions(t, c, sec)
			o.Mechanism = mechanism
			l := openLog(t, o)
			must(t, l, commit(1, 0, "a", "b"))
			if got := contents(t, l, 1); got != "[a b]" {
				t.Errorf("the log holds %s", got)
			}
			o.Password += "x"
			refusedSoon(t, o, "SASL Authentication Failed")
			o.User = "nobody"
			refusedSoon(t, o, "SASL Authentication Failed")
		})
	}
	t.Run("no password", func(t *testing.T) {
		o := securedOptions(t, c, sec)
		o.User = ""
		refusedSoon(t, o, "EOF")
	})
	t.Run("no TLS", func(t *testing.T) {
		o := securedOptions(t, c, sec)
		o.TLS = nil
		refusedSoon(t, o, "EOF")
	})
	t.Run("certificate of another authority", func(t *testing.T) {
		o := securedOptions(t, c, sec)
		o.TLS = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		refusedSoon(t, o, "certificate signed by unknown authority")
	})
	t.Run("certificate of another name", func(t *testing.T) {
		o := securedOptions(t, c, sec)
		o.TLS.ServerName = "kafka.example.com"
		refusedSoon(t, o, "certificate")
	})
	t.Run("rows of the table", func(t *testing.T) { securedRows(t, c, sec) })
}

// refusedSoon wants Open to fail with a text, long before the end of its patience.
func refusedSoon(t *testing.T, o Options, want string) {
	t.Helper()
	began := time.Now()
	l, err := Open(t.Context(), o)
	if err == nil {
		_ = l.Close()
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("open: %v, want %q", err, want)
	}
	if took := time.Since(began); took > quickly {
		t.Errorf("refused after %v: %v", took, err)
	}
	t.Logf("%v: %v", time.Since(began).Round(time.Millisecond), err)
}

// securedRows shows what a log that has been opened meets when its password, certificate or rights are not what they should be.
func securedRows(t *testing.T, c *engines.Cluster, sec *engines.Security) {
	table := rowsOf(t, "secured")
	admin := openLog(t, securedOptions(t, c, sec))
	as := func(change func(o *Options)) error {
		o := admin.o
		change(&o)
		l, err := newLog(o)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, err = l.Append(t.Context(), 1, commit(1, 0, "v"))
		return err
	}
	guest := func(o *Options) { o.User, o.Password = engines.KafkaGuest, sec.Passwords[engines.KafkaGuest] }
	err := as(func(o *Options) { o.Password = "x" })
	table.append(t, "wrong password", err)
	if !strings.Contains(err.Error(), "Authentication") {
		t.Errorf("it does not say why: %v", err)
	}
	table.append(t, "certificate of another authority", as(func(o *Options) { o.TLS = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12} }))
	table.append(t, "[29] no right to write, as metadata tell", as(guest))
	res, err := admin.client.CreateACLs(t.Context(), &kafkago.CreateACLsRequest{ACLs: []kafkago.ACLEntry{{
		ResourceType: kafkago.ResourceTypeTopic, ResourceName: admin.o.Prefix + "chats", ResourcePatternType: kafkago.PatternTypeLiteral,
		Principal: "User:" + engines.KafkaGuest, Host: "*", Operation: kafkago.ACLOperationTypeDescribe, PermissionType: kafkago.ACLPermissionTypeAllow,
	}}})
	if err != nil || res.Errors[0] != nil {
		t.Fatal(err, res.Errors)
	}
	wait(t, func() bool { err = as(guest); return ClassOf(err) != Unknown })
	table.append(t, "[29] no right to write", err)
	if got := contents(t, admin, 1); got != "[]" {
		t.Errorf("the log holds %s", got)
	}
	table.all(t)
}
