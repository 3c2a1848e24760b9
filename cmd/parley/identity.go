package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"
)

// Nodes know each other by TLS on both sides. Who has the cluster's key can sign: it yields the authority's private key, so that no certificate
// has to be handed round.

// nodeName is the name in every node's certificate. Which node it is says the link's first message.
const nodeName = "node.parley"

// identity makes this start's certificate, and the settings with which nodes accept it on both sides.
func identity(key []byte) (server, client *tls.Config, err error) {
	authority := ed25519.NewKeyFromSeed(derive(key, "certificate authority"))
	begin := time.Now().Add(-24 * time.Hour) // clocks of nodes differ
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "parley cluster"}, NotBefore: begin, NotAfter: begin.AddDate(20, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, authority.Public(), authority)
	if err != nil {
		return nil, nil, fmt.Errorf("make the cluster's authority: %w", err)
	}
	if root, err = x509.ParseCertificate(rootDER); err != nil {
		return nil, nil, fmt.Errorf("make the cluster's authority: %w", err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make the node's key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, fmt.Errorf("make the node's certificate: %w", err)
	}
	leaf := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: nodeName}, DNSNames: []string{nodeName}, NotBefore: begin, NotAfter: begin.AddDate(20, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, public, authority)
	if err != nil {
		return nil, nil, fmt.Errorf("make the node's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	own := []tls.Certificate{{Certificate: [][]byte{leafDER}, PrivateKey: private}}
	server = &tls.Config{
		Certificates: own, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
	}
	client = &tls.Config{Certificates: own, RootCAs: roots, ServerName: nodeName, MinVersion: tls.VersionTLS13}
	return server, client, nil
}
