package smtp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// RelayConfig names the server that takes our mail.
type RelayConfig struct {
	// URL is one of
	//
	//	smtp://user:password@host:587       STARTTLS, verified; without it only to loopback
	//	smtps://user:password@host:465      TLS from the first byte, verified
	//	smtp+insecure://127.0.0.1:25        no TLS; to loopback alone
	//
	// User and password may be absent, and are percent-encoded.
	URL string
	// Name is said in EHLO; empty is the host's name.
	Name string
	// MaxConnections open at a time; empty is 4.
	MaxConnections int
	// CommandTimeout for each command, and for connecting; empty is 5 s. DataTimeout from DATA to its reply; empty is 60 s. IdleTimeout
	// after which an unused connection is closed; empty is 30 s.
	CommandTimeout, DataTimeout, IdleTimeout time.Duration
	// TLS holds roots and client certificates; nil is the system's. Verification cannot be turned off.
	TLS *tls.Config
	// DKIM signs each mail with each of these, which holds the mail in memory. None: not signed.
	DKIM []*DKIM
}

// Relay sends through one server over connections that are kept and shared by many mails. It implements Sender.
type Relay struct {
	conf     RelayConfig
	scheme   string
	host     string // for the certificate
	address  string // host:port
	user     string
	password string

	slots chan struct{} // one for each connection in use or being made

	mu     sync.Mutex
	idle   []*link // the last used at the end
	closed bool
}

var _ Sender = (*Relay)(nil)

var errClosed = errors.New("relay is closed")

// NewRelay reads the configuration; it does not connect. Its errors never hold the password.
func NewRelay(c RelayConfig) (*Relay, error) {
	u, err := url.Parse(c.URL)
	if err != nil { // the error would repeat the address with its password
		return nil, errors.New("mail relay: the address is not a URL: want smtp://user:password@host:587, with special characters percent-encoded")
	}
	ports := map[string]string{"smtp": "587", "smtps": "465", "smtp+insecure": "25"}
	port, known := ports[u.Scheme]
	if !known {
		return nil, fmt.Errorf("mail relay: unknown scheme %q: want smtp, smtps, or (to loopback) smtp+insecure", u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, errors.New("mail relay: the address names no host")
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("mail relay: the address has something after host and port")
	}
	if u.Scheme == "smtp+insecure" && !isLoopback(u.Hostname()) {
		return nil, fmt.Errorf("mail relay: smtp+insecure goes to loopback only, not to %s: use smtp or smtps", u.Hostname())
	}
	if u.Port() != "" {
		port = u.Port()
	}
	r := &Relay{conf: c, scheme: u.Scheme, host: u.Hostname(), address: net.JoinHostPort(u.Hostname(), port)}
	if u.User != nil {
		r.user = u.User.Username()
		r.password, _ = u.User.Password()
	}
	r.defaults()
	r.slots = make(chan struct{}, r.conf.MaxConnections)
	return r, nil
}

func (r *Relay) defaults() {
	c := &r.conf
	if c.MaxConnections <= 0 {
		c.MaxConnections = 4
	}
	if c.CommandTimeout <= 0 {
		c.CommandTimeout = 5 * time.Second
	}
	if c.DataTimeout <= 0 {
		c.DataTimeout = 60 * time.Second
	}
	if c.IdleTimeout <= 0 {
		c.IdleTimeout = 30 * time.Second
	}
	if c.Name == "" {
		if name, err := os.Hostname(); err == nil {
			c.Name = name
		}
	}
	if c.Name == "" || !isASCII(c.Name) {
		c.Name = "localhost"
	}
	c.URL = ""
	tc := &tls.Config{}
	if c.TLS != nil {
		tc = c.TLS.Clone()
	}
	tc.InsecureSkipVerify = false
	if tc.MinVersion < tls.VersionTLS12 {
		tc.MinVersion = tls.VersionTLS12
	}
	if tc.ServerName == "" {
		tc.ServerName = r.host
	}
	c.TLS = tc
}

// String names the server, without user and password.
func (r *Relay) String() string { return r.scheme + "://" + r.address }

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Send implements Sender.
func (r *Relay) Send(ctx context.Context, e Envelope, body func(io.Writer) error, confirm func(context.Context) error) Outcome {
	if err := e.Check(); err != nil {
		return Outcome{State: Rejected, Text: oneLine(err.Error()), Err: err}
	}
	m := outgoing{Envelope: e, body: body, confirm: confirm}
	if len(r.conf.DKIM) > 0 {
		if err := m.sign(r.conf.DKIM); err != nil {
			return canceled(err)
		}
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return lost("wait for a connection", context.Cause(ctx))
	}
	for {
		l, reused, err := r.take(ctx)
		if err != nil {
			return r.unreached(err)
		}
		out, stale := l.transact(ctx, m)
		if l.broken {
			l.close()
		} else {
			r.put(l)
		}
		// A kept connection may have been closed by the server meanwhile; nothing of this mail went over it.
		if stale && reused && ctx.Err() == nil {
			continue
		}
		return out
	}
}

// outgoing is one mail on its way.
type outgoing struct {
	Envelope
	body    func(io.Writer) error
	confirm func(context.Context) error
	size    int64 // 0: unknown
}

// sign writes the message into memory, as its signatures stand before it.
func (m *outgoing) sign(keys []*DKIM) error {
	var text bytes.Buffer
	strict := &strictWriter{w: &text}
	if err := m.body(strict); err != nil {
		return err
	}
	if err := strict.end(); err != nil {
		return err
	}
	var header bytes.Buffer
	for _, k := range keys {
		field, err := k.Sign(text.Bytes())
		if err != nil {
			return err
		}
		header.WriteString(field)
	}
	m.size = int64(header.Len() + text.Len())
	m.body = func(w io.Writer) error {
		if _, err := w.Write(header.Bytes()); err != nil {
			return err
		}
		_, err := w.Write(text.Bytes())
		return err
	}
	return nil
}

// take returns a kept connection that still lives, else a new one.
func (r *Relay) take(ctx context.Context) (l *link, reused bool, err error) {
	for {
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			return nil, false, errClosed
		}
		n := len(r.idle)
		if n == 0 {
			r.mu.Unlock()
			l, err = r.dial(ctx)
			return l, false, err
		}
		l = r.idle[n-1]
		r.idle = r.idle[:n-1]
		r.mu.Unlock()
		if time.Since(l.since) < r.conf.IdleTimeout && !l.wire.peerClosed() {
			return l, true, nil
		}
		l.close()
	}
}

func (r *Relay) put(l *link) {
	l.since = time.Now()
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		l.quit()
		return
	}
	r.idle = append(r.idle, l)
	r.mu.Unlock()
	time.AfterFunc(r.conf.IdleTimeout+100*time.Millisecond, r.reap)
}

// reap closes connections nobody used for long.
func (r *Relay) reap() {
	r.mu.Lock()
	var keep, old []*link
	for _, l := range r.idle {
		if time.Since(l.since) < r.conf.IdleTimeout {
			keep = append(keep, l)
		} else {
			old = append(old, l)
		}
	}
	r.idle = keep
	r.mu.Unlock()
	for _, l := range old {
		l.quit()
	}
}

// Close says goodbye on every kept connection. Mails in flight are finished first only as far as their callers wait for them; later
// sends are deferred.
func (r *Relay) Close() error {
	r.mu.Lock()
	idle := r.idle
	r.idle, r.closed = nil, true
	r.mu.Unlock()
	for _, l := range idle {
		l.quit()
	}
	return nil
}

// Facts is what Check found.
type Facts struct {
	Server        string // without user and password
	TLS           bool
	TLSVersion    string // as "TLS 1.3"; empty without
	Authenticated bool
	RequireTLS    bool // offers REQUIRETLS, RFC 8689
	DSN           bool // offers delivery status notifications, RFC 3461: bounces can be kept from carrying the body
	MaxBytes      int  // the largest mail it takes; 0 when it does not say
}

// Check connects anew, with STARTTLS and login as for a mail, and sends none. Its errors name the step and what to do.
func (r *Relay) Check(ctx context.Context) (Facts, error) {
	f := Facts{Server: r.String()}
	l, err := r.dial(ctx)
	if err != nil {
		return f, err
	}
	defer l.quit()
	if l.secure != nil {
		f.TLS, f.TLSVersion = true, tls.VersionName(l.secure.ConnectionState().Version)
	}
	f.Authenticated = r.user != ""
	f.RequireTLS, _ = l.client.Extension("REQUIRETLS")
	f.DSN, _ = l.client.Extension("DSN")
	f.MaxBytes, _ = l.client.MaxMessageSize()
	return f, nil
}

// unreached is the outcome when no connection could be made: whatever the server said to us, it said nothing about this mail.
func (r *Relay) unreached(err error) Outcome {
	out := Outcome{State: Deferred, Text: oneLine(err.Error()), Err: err}
	var reply *smtp.SMTPError
	if errors.As(err, &reply) {
		out.Code = reply.Code
	}
	return out
}

func lost(doing string, err error) Outcome {
	err = fmt.Errorf("%s: %w", doing, err)
	return Outcome{State: Deferred, Text: oneLine(err.Error()), Err: err}
}

func canceled(err error) Outcome {
	return Outcome{State: Canceled, Text: oneLine(err.Error()), Err: err}
}
