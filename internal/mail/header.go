package mail

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	netmail "net/mail"
	"regexp"
	"strings"
	"unicode/utf8"
)

const (
	maxLine   = 998     // octets without CRLF (RFC 5322 §2.1.1)
	foldAt    = 76      // where we begin a new line if we can
	maxHeader = 8 << 10 // longest single value we write, Autocrypt aside
)

// fields gathers header lines. It is the only place where a value becomes a line; the first
// value that may not stand in a header stops it, and err says which.
type fields struct {
	b   bytes.Buffer
	err error
}

// text writes an unstructured field, encoded by RFC 2047 where it must be.
func (f *fields) text(name, value string) {
	encoded, err := encodeText(value)
	if err != nil {
		f.fail(name, err)
		return
	}
	f.raw(name, encoded)
}

// raw writes a structured field, which must be printable ASCII with single blanks, folded at its
// blanks.
func (f *fields) raw(name, value string) {
	if f.err != nil {
		return
	}
	if err := checkHeaderValue(value); err != nil {
		f.fail(name, err)
		return
	}
	if value == "" || strings.Trim(value, " ") != value || strings.Contains(value, "  ") {
		f.fail(name, errors.New("empty, or blanks that folding would change"))
		return
	}
	if len(value) > maxHeader+2*maxAutocryptKey {
		f.fail(name, errors.New("too long"))
		return
	}
	f.b.WriteString(name)
	f.b.WriteByte(':')
	column := len(name) + 1
	for i, word := range strings.Split(value, " ") {
		if i > 0 && column+1+len(word) > foldAt {
			f.b.WriteString("\r\n")
			column = 0
		}
		if column+1+len(word) > maxLine {
			f.fail(name, errors.New("a word longer than a line may be"))
			return
		}
		f.b.WriteByte(' ')
		f.b.WriteString(word)
		column += 1 + len(word)
	}
	f.b.WriteString("\r\n")
}

func (f *fields) fail(name string, err error) {
	if f.err == nil {
		f.err = fmt.Errorf("write %s: %w", name, err)
	}
}

// checkHeaderValue refuses everything but printable ASCII and blanks: no CR, LF, NUL, no raw
// 8 bit.
func checkHeaderValue(s string) error {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return fmt.Errorf("octet %#02x may not stand in a header", s[i])
		}
	}
	return nil
}

// encodeText refuses control characters and returns s as it is, or as RFC 2047 encoded words
// when it is not plain ASCII, would be changed by folding, or looks encoded already.
func encodeText(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", errors.New("not UTF-8")
	}
	if len(s) > maxHeader {
		return "", errors.New("too long")
	}
	plain := s != "" && strings.Trim(s, " ") == s && !strings.Contains(s, "  ") && !strings.Contains(s, "=?")
	word := 0
	for _, r := range s {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return "", fmt.Errorf("control character %U may not stand in a header", r)
		}
		if r > '~' {
			plain = false
		}
		if word++; r == ' ' {
			word = 0
		}
		if word > 200 {
			plain = false
		}
	}
	if plain || s == "" {
		return s, nil
	}
	var words []string
	for len(s) > 0 {
		n := 0
		for n < len(s) {
			_, size := utf8.DecodeRuneInString(s[n:])
			if n+size > 42 { // 56 characters of base64, 68 with the frame; the limit is 75
				break
			}
			n += size
		}
		words = append(words, "=?utf-8?B?"+base64.StdEncoding.EncodeToString([]byte(s[:n]))+"?=")
		s = s[n:]
	}
	return strings.Join(words, " "), nil
}

// foldable is base64 with a blank every 72 characters, where the line may be folded.
func foldable(b []byte) string {
	s := base64.StdEncoding.EncodeToString(b)
	var out strings.Builder
	for len(s) > 72 {
		out.WriteString(s[:72])
		out.WriteByte(' ')
		s = s[72:]
	}
	out.WriteString(s)
	return out.String()
}

// Address is one mailbox that can stand in our headers and on an SMTP command line.
type Address struct {
	Name string // as a person reads it; may be empty
	Addr string // local@domain, ASCII
}

var (
	localPart = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+)*$`)
	domainPat = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)
	atomsPat  = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+/=?^_{|}~ -]+$`)
)

func validDomain(s string) bool { return len(s) <= 253 && domainPat.MatchString(s) }

// ParseAddress takes exactly one mailbox, "a@b.example" or "Name <a@b.example>", whose local part
// is a dot-atom of ASCII (RFC 5322 §3.4.1). Lists, groups, quoted local parts, address literals,
// control characters and more than 254 octets are refused: none of them is an address a person of
// this program has, and all of them are ways to smuggle.
func ParseAddress(s string) (Address, error) {
	if len(s) > 1024 {
		return Address{}, errors.New("address too long")
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			return Address{}, fmt.Errorf("control character %U in an address", r)
		}
	}
	parsed, err := netmail.ParseAddress(s)
	if err != nil || strings.HasSuffix(strings.TrimSpace(s), ";") { // a group of one parses, too
		return Address{}, errors.New("not one mail address")
	}
	local, domain, ok := cutLast(parsed.Address, '@')
	if !ok || len(parsed.Address) > 254 || len(local) > 64 || !localPart.MatchString(local) || !validDomain(domain) {
		return Address{}, errors.New("not a plain mail address")
	}
	if _, err := encodeText(parsed.Name); err != nil {
		return Address{}, fmt.Errorf("name of an address: %w", err)
	}
	return Address{Name: parsed.Name, Addr: parsed.Address}, nil
}

// String is the address as it stands in a header: always plain ASCII.
func (a Address) String() string {
	name := strings.Trim(a.Name, " ")
	if name == "" {
		return a.Addr
	}
	encoded, err := encodeText(name)
	switch {
	case err != nil:
		return a.Addr
	case encoded == name && !atomsPat.MatchString(name):
		name = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	default:
		name = encoded
	}
	return name + " <" + a.Addr + ">"
}

var messageIDPat = regexp.MustCompile(`^<[!-;=?-~]{1,480}>$`) // no blanks, no further angle brackets

func validMessageID(s string) bool { return messageIDPat.MatchString(s) }

var tokenPat = regexp.MustCompile(`^[a-z0-9]{8,48}$`)

// TokenAddress puts a token into an address: security@x.example and k7qd… give
// security+k7qd…@x.example. It serves for Reply-To and for the return path (VERP). The token is
// 8 to 48 lower-case letters and digits, as mail systems may change case; base has no name and
// no "+" of its own. The local part may not grow over 64 octets (RFC 5321 §4.5.3.1.1).
func TokenAddress(base, token string) (string, error) {
	a, err := ParseAddress(base)
	if err != nil {
		return "", fmt.Errorf("token address: %w", err)
	}
	local, domain, _ := cutLast(a.Addr, '@')
	if strings.Contains(local, "+") {
		return "", errors.New("token address: base has a token already")
	}
	if !tokenPat.MatchString(token) {
		return "", errors.New("token address: malformed token")
	}
	if len(local)+1+len(token) > 64 {
		return "", errors.New("token address: local part over 64 octets")
	}
	return local + "+" + token + "@" + domain, nil
}

// FindToken returns the token in an address that TokenAddress could have made, in lower case.
// Angle brackets and a name are allowed; whether the token means something is the caller's to
// find out.
func FindToken(addr string) (token string, ok bool) {
	if i := strings.LastIndexByte(addr, '<'); i >= 0 {
		addr = strings.TrimRight(addr[i+1:], "> ")
	}
	local, domain, ok := cutLast(strings.ToLower(strings.TrimSpace(addr)), '@')
	if !ok || !validDomain(domain) {
		return "", false
	}
	if _, token, _ = strings.Cut(local, "+"); !tokenPat.MatchString(token) {
		return "", false
	}
	return token, true
}

func cutLast(s string, sep byte) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}
