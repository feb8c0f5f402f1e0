package smtp

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/textproto"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
)

// signedFields are signed once more often than they occur, so that none can be added (RFC 6376 section 8.15; standards of the project).
var signedFields = []string{
	"From", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "MIME-Version", "Content-Type",
	"Content-Transfer-Encoding", "Reply-To", "Auto-Submitted", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Post",
	"List-Archive", "List-Help", "List-Owner", "List-Subscribe",
}

// DKIM signs messages for one domain with one key: RFC 6376, with rsa-sha256 of at least 2048 bits (RFC 8301) or ed25519-sha256
// (RFC 8463), relaxed/relaxed, without l=.
type DKIM struct {
	domain, selector string
	key              crypto.Signer
}

// NewDKIM reads a private key in PEM: PKCS #8, or PKCS #1 for RSA. The record that makes it known is Record's.
func NewDKIM(domain, selector string, keyPEM []byte) (*DKIM, error) {
	for _, name := range []string{domain, selector} {
		if name == "" || !isASCII(name) || badDots(name) || strings.ContainsAny(name, " \t\r\n;=@/\\\x00") {
			return nil, fmt.Errorf("DKIM: %q is not a domain name", name)
		}
	}
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return nil, errors.New("DKIM: the key is not PEM: make one with: openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048")
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("DKIM: the PEM block is a %q, want a private key without passphrase", block.Type)
	}
	if err != nil {
		return nil, errors.New("DKIM: the private key cannot be read")
	}
	d := &DKIM{domain: domain, selector: selector}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < 2048 {
			return nil, fmt.Errorf("DKIM: the RSA key has %d bits, receivers want 2048 (RFC 8301)", k.N.BitLen())
		}
		d.key = k
	case ed25519.PrivateKey:
		d.key = k
	default:
		return nil, fmt.Errorf("DKIM: a key of type %T cannot sign: want RSA or Ed25519", key)
	}
	return d, nil
}

// Sign returns the DKIM-Signature field for a whole message, with its CRLF, to stand before it.
func (d *DKIM) Sign(message []byte) (string, error) {
	fields, err := fieldsToSign(message)
	if err != nil {
		return "", fmt.Errorf("DKIM: %w", err)
	}
	s, err := dkim.NewSigner(&dkim.SignOptions{
		Domain: d.domain, Selector: d.selector, Signer: d.key, Hash: crypto.SHA256,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		HeaderKeys: fields,
	})
	if err != nil {
		return "", fmt.Errorf("DKIM: %w", err)
	}
	_, err = s.Write(message)
	if err := errors.Join(err, s.Close()); err != nil {
		return "", fmt.Errorf("DKIM: sign the message: %w", err)
	}
	return s.Signature(), nil
}

func fieldsToSign(message []byte) ([]string, error) {
	header, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(message))).ReadMIMEHeader()
	if err != nil {
		return nil, errors.New("the message's header cannot be read")
	}
	if len(header.Values("From")) != 1 {
		return nil, fmt.Errorf("the message has %d From fields, want 1", len(header.Values("From")))
	}
	var names []string
	for _, name := range signedFields {
		for range len(header.Values(name)) + 1 {
			names = append(names, name)
		}
	}
	return names, nil
}

// Record is the DNS TXT record to publish: name and content. Content longer than 255 bytes is to be split into several strings.
func (d *DKIM) Record() (name, content string) {
	name = d.selector + "._domainkey." + d.domain
	switch k := d.key.Public().(type) {
	case ed25519.PublicKey:
		content = "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(k)
	default:
		der, err := x509.MarshalPKIXPublicKey(k)
		if err != nil {
			return name, ""
		}
		content = "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
	}
	return name, content
}
