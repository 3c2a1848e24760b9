package engines

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Users of a secured Kafka: one may do everything, the other has no rights until it is given some. Both log in by PLAIN, SCRAM-SHA-256 and
// SCRAM-SHA-512.
const (
	KafkaAdmin = "parley"
	KafkaGuest = "guest"
)

// Security is what clients need of a secured Kafka: the authority that its certificate is of, and its users' passwords.
type Security struct {
	CA        []byte // PEM
	Passwords map[string]string

	chain []byte // PEM: the broker's key and certificate
}

// SecuredKafka prepares a Kafka of one broker whose clients need TLS and a password, in a folder, port and the next one being its. Keys and
// passwords are made anew each time, so the folder must be new.
func SecuredKafka(ctx context.Context, dir string, port int) (*Cluster, *Security, error) {
	bin, err := java()
	if err != nil {
		return nil, nil, err
	}
	libs, err := jars(ctx, "kafka", kafkaPOM)
	if err != nil {
		return nil, nil, err
	}
	sec := &Security{Passwords: map[string]string{KafkaAdmin: rand.Text(), KafkaGuest: rand.Text()}}
	if sec.CA, sec.chain, err = certificates(time.Now()); err != nil {
		return nil, nil, err
	}
	node, err := kafkaNode(ctx, dir, bin, libs, 0, 1, port, sec)
	if err != nil {
		return nil, nil, err
	}
	return &Cluster{Nodes: []*Node{node}}, sec, nil
}

// secured turns the listener for clients into one with TLS and log-in. The controller's stays as it is.
func secured(properties string) string {
	return strings.NewReplacer(
		"listeners=PLAINTEXT://", "listeners=SASL_SSL://",
		"map=PLAINTEXT:PLAINTEXT", "map=SASL_SSL:SASL_SSL",
		"inter.broker.listener.name=PLAINTEXT", "inter.broker.listener.name=SASL_SSL",
	).Replace(properties)
}

// properties writes the broker's keys and returns what its configuration says of them.
func (s *Security) properties(at string) (string, error) {
	keys, trusted := filepath.Join(at, "broker.pem"), filepath.Join(at, "ca.pem")
	for file, text := range map[string][]byte{keys: s.chain, trusted: s.CA} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return "", err
		}
	}
	var plain strings.Builder
	fmt.Fprintf(&plain, `org.apache.kafka.common.security.plain.PlainLoginModule required username="%s" password="%s"`,
		KafkaAdmin, s.Passwords[KafkaAdmin])
	for _, user := range s.users() {
		fmt.Fprintf(&plain, ` user_%s="%s"`, user, s.Passwords[user])
	}
	const scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	return fmt.Sprintf(`ssl.keystore.type=PEM
ssl.keystore.location=%s
ssl.truststore.type=PEM
ssl.truststore.location=%s
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=%s;
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=%s
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=%[4]s
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:%[5]s;User:ANONYMOUS
`, keys, trusted, plain.String(), scram, KafkaAdmin), nil
}

// accounts are what the storage tool needs for log-in by SCRAM, whose passwords are in the cluster's metadata.
func (s *Security) accounts() (args []string) {
	for _, user := range s.users() {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, user, s.Passwords[user]))
		}
	}
	return args
}

func (s *Security) users() []string {
	var users []string
	for user := range s.Passwords {
		users = append(users, user)
	}
	slices.Sort(users)
	return users
}

// certificates makes an authority and a key with a certificate of it for 127.0.0.1, good for a day.
func certificates(now time.Time) (ca, chain []byte, err error) {
	template := func(name string, serial int64) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
			BasicConstraintsValid: true,
		}
	}
	authority := template("parley engines", 1)
	authority.IsCA, authority.KeyUsage = true, x509.KeyUsageCertSign
	broker := template("broker", 2)
	broker.IPAddresses, broker.KeyUsage = []net.IP{net.IPv4(127, 0, 0, 1)}, x509.KeyUsageDigitalSignature
	broker.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}

	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	caRaw, err := x509.CreateCertificate(rand.Reader, authority, authority, caKey.Public(), caKey)
	if err != nil {
		return nil, nil, err
	}
	raw, err := x509.CreateCertificate(rand.Reader, broker, authority, key.Public(), caKey)
	if err != nil {
		return nil, nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caRaw})
	chain = append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})...)
	return ca, append(chain, ca...), nil
}
