// Package smtp carries mail: bytes and envelopes, never their meaning.
//
// It exists so that one place alone knows the wire. Outward it promises that every attempt ends in an Outcome which says truthfully whether
// the mail may have left: only what broke after the final dot was written is Uncertain, everything lost earlier is known to be unsent, and
// the caller is asked once more after the last byte and before that dot. It never falls back from TLS to clear text. Inward it promises
// that 250 is said only after the message was taken over, and that nothing a stranger sends costs more than configured limits.
//
// Relay and Outbox send; DKIM signs; Listener and Fetcher receive; Sink is a real server with faults to order, for tests and measurements.
package smtp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Envelope is what the next server is told about one mail: RFC 5321, not the header.
type Envelope struct {
	From string // return path; empty is the null sender
	To   string // exactly one, so that no recipient can see another
	// ID is the envelope id (ENVID, RFC 3461 section 4.4), which bounces repeat: printable ASCII, at most 100 bytes, may be empty.
	ID string
	// RequireTLS asks the relay to use verified TLS on every further hop (RFC 8689) where it offers that, and refuses to hand the mail
	// over a connection without TLS except on loopback.
	RequireTLS bool
}

// State is how an attempt ended.
type State string

const (
	Sent      State = "sent"      // the server took it; nothing is left to do
	Deferred  State = "deferred"  // known to be unsent: a 4xx reply, no connection, or lost before the final dot; try again
	Rejected  State = "rejected"  // a 5xx reply, or an envelope no server can take; somebody must decide
	Uncertain State = "uncertain" // broke after the final dot was written; the server may have taken it: somebody must look
	Canceled  State = "canceled"  // stopped by us before the final dot: confirm said no, or the body could not be written; unsent
)

// Outcome is the end of one attempt.
type Outcome struct {
	State State
	Code  int    // the server's last reply; 0 when there was none
	Text  string // the server's words, or ours; one line, at most 500 bytes. May repeat the recipient's address: keep it sealed
	TLS   bool   // the connection was encrypted and the server's certificate verified
	Err   error  // what confirm, the body, the context, or the network returned; nil after a reply
}

// Sender hands one mail on.
type Sender interface {
	// Send writes what body writes: a whole message with CRLF line ends, lines of at most 998 bytes, no other CR, LF or NUL. body may be
	// called once only. confirm is asked after the last body byte and before the final dot; an error there abandons the connection
	// without the dot. A nil confirm agrees. Canceling ctx before the dot leaves the mail unsent; after it, the reply is waited for a
	// few seconds longer. Safe for concurrent use.
	Send(ctx context.Context, e Envelope, body func(io.Writer) error, confirm func(context.Context) error) Outcome
}

// Limits of an address, RFC 5321 section 4.5.3.1.
const (
	maxLocal   = 64
	maxDomain  = 255
	maxAddress = 254
	maxID      = 100
	maxLine    = 998 // RFC 5322 section 2.1.1, without CRLF
	maxText    = 500
)

// Check says what is wrong with an envelope, all at once.
func (e Envelope) Check() error {
	var errs []error
	if e.From != "" {
		if err := CheckAddress(e.From); err != nil {
			errs = append(errs, fmt.Errorf("return path: %w", err))
		}
	}
	if err := CheckAddress(e.To); err != nil {
		errs = append(errs, fmt.Errorf("recipient: %w", err))
	}
	if len(e.ID) > maxID {
		errs = append(errs, fmt.Errorf("envelope id has %d bytes, at most %d are possible", len(e.ID), maxID))
	}
	for i := range len(e.ID) {
		if e.ID[i] <= ' ' || e.ID[i] > '~' {
			errs = append(errs, errors.New("envelope id holds a byte that is not printable ASCII"))
			break
		}
	}
	return errors.Join(errs...)
}

// CheckAddress says why an address cannot stand in an envelope; nil when it can. Quoted local parts and address literals are refused: no
// distributor has one, and they are where injection hides. The error does not repeat the address.
func CheckAddress(addr string) error {
	if addr == "" {
		return errors.New("address is empty")
	}
	if len(addr) > maxAddress {
		return fmt.Errorf("address has %d bytes, at most %d are possible", len(addr), maxAddress)
	}
	if !utf8.ValidString(addr) {
		return errors.New("address is not valid UTF-8")
	}
	for _, r := range addr {
		switch {
		case r == '\r' || r == '\n':
			return errors.New("address holds a line break")
		case r == 0:
			return errors.New("address holds a NUL")
		case unicode.IsControl(r) || unicode.IsSpace(r) || !unicode.IsPrint(r):
			return fmt.Errorf("address holds the character %U", r)
		case strings.ContainsRune(`<>()[]\",;:`, r):
			return fmt.Errorf("address holds the character %q", r)
		}
	}
	local, domain, ok := strings.Cut(addr, "@")
	switch {
	case !ok || local == "" || domain == "":
		return errors.New("address is not of the form name@domain")
	case strings.Contains(domain, "@"):
		return errors.New("address holds more than one @")
	case len(local) > maxLocal:
		return fmt.Errorf("the part before @ has %d bytes, at most %d are possible", len(local), maxLocal)
	case len(domain) > maxDomain:
		return fmt.Errorf("the domain has %d bytes, at most %d are possible", len(domain), maxDomain)
	case badDots(local) || badDots(domain):
		return errors.New("address has a dot at an end, or two in a row")
	}
	return nil
}

func badDots(s string) bool {
	return strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") || strings.Contains(s, "..")
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// oneLine makes a server's words safe to keep and show.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return strings.TrimSpace(s)
}

// errWire is wrapped by the errors of a strictWriter about what was to be written.
var errWire = errors.New("message cannot be sent as written")

// strictWriter passes a message on and refuses what would change on its way: a signature covers these very bytes.
type strictWriter struct {
	w       io.Writer
	column  int
	last    byte
	written int64
	bad     error // of the message
	lost    error // of w
}

func (s *strictWriter) Write(p []byte) (int, error) {
	if err := errors.Join(s.bad, s.lost); err != nil {
		return 0, err
	}
	if bytes.IndexByte(p, 0) >= 0 {
		return 0, s.refuse("a NUL")
	}
	for rest := p; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte{'\n'})
		if len(line) > 0 {
			cr := bytes.IndexByte(line, '\r')
			if s.last == '\r' || cr >= 0 && cr < len(line)-1 {
				return 0, s.refuse("a CR without LF")
			}
			if s.column += len(line); cr >= 0 {
				s.column--
			}
			s.last = line[len(line)-1]
		}
		if s.column > maxLine {
			return 0, s.refuse("a line of more than 998 bytes")
		}
		if !ended {
			break
		}
		if s.last != '\r' {
			return 0, s.refuse("a LF without CR")
		}
		s.column, s.last, rest = 0, '\n', after
	}
	n, err := s.w.Write(p)
	s.written += int64(n)
	if err != nil {
		s.lost = err
	}
	return n, err
}

// end checks what only the last byte shows.
func (s *strictWriter) end() error {
	if s.bad == nil && s.last == '\r' {
		return s.refuse("a CR without LF")
	}
	if s.bad == nil && s.written == 0 {
		return s.refuse("nothing at all")
	}
	return s.bad
}

func (s *strictWriter) refuse(what string) error {
	s.bad = fmt.Errorf("%w: it holds %s", errWire, what)
	return s.bad
}
