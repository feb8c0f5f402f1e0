package smtp

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
)

// mailbox is a real IMAP server in memory.
type mailbox struct {
	t    *testing.T
	user *imapmemserver.User
	addr string // TLS from the first byte
	open string // STARTTLS
	pool *x509.CertPool
	srv  *imapserver.Server
}

func startIMAP(t *testing.T, caps imap.CapSet) *mailbox {
	t.Helper()
	certificate, err := testCertificate()
	if err != nil {
		t.Fatal(err)
	}
	m := &mailbox{t: t, user: imapmemserver.NewUser("security@lantern.example", "s/e cret"), pool: x509.NewCertPool()}
	m.pool.AddCert(certificate.Leaf)
	if err := m.user.Create("INBOX", nil); err != nil {
		t.Fatal(err)
	}
	memory := imapmemserver.New()
	memory.AddUser(m.user)
	m.srv = imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return memory.NewSession(), nil, nil
		},
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
		Caps:      caps, InsecureAuth: true, Logger: log.New(io.Discard, "", 0),
	})
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	m.addr = l.Addr().String()
	go m.srv.Serve(l)
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.open = open.Addr().String()
	go m.srv.Serve(open)
	t.Cleanup(func() { m.srv.Close() })
	return m
}

func (m *mailbox) put(text string) {
	m.t.Helper()
	if _, err := m.user.Append("INBOX", literal{bytes.NewReader([]byte(text))}, &imap.AppendOptions{}); err != nil {
		m.t.Fatal(err)
	}
}

type literal struct{ *bytes.Reader }

func (l literal) Size() int64 { return int64(l.Len()) }

func (m *mailbox) left() uint32 {
	m.t.Helper()
	d, err := m.user.Status("INBOX", &imap.StatusOptions{NumMessages: true})
	if err != nil {
		m.t.Fatal(err)
	}
	return *d.NumMessages
}

func (m *mailbox) url() string {
	return "imaps://security%40lantern.example:s%2Fe%20cret@" + m.addr + "/INBOX"
}

func (m *mailbox) fetch(c FetchConfig) *Fetcher {
	m.t.Helper()
	if c.URL == "" {
		c.URL = m.url()
	}
	if c.TLS == nil {
		c.TLS = &tls.Config{RootCAs: m.pool}
	}
	f, err := NewFetcher(c)
	if err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	m.t.Cleanup(func() { cancel(); <-done })
	return f
}

// until waits for a state that another goroutine brings about, and fails after ten seconds.
func until(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if reached() {
			return
		}
	}
	t.Fatalf("after ten seconds still not: %s", what)
}

func imapCaps(extra ...imap.Cap) imap.CapSet {
	set := imap.CapSet{imap.CapIMAP4rev1: {}}
	for _, c := range extra {
		set[c] = struct{}{}
	}
	return set
}

func TestFetch(t *testing.T) {
	for name, caps := range map[string]imap.CapSet{
		"push": imapCaps(imap.CapUIDPlus, imap.CapIdle),
		"poll": imapCaps(imap.CapUIDPlus),
	} {
		t.Run(name, func(t *testing.T) {
			m := startIMAP(t, caps)
			b := newBox()
			m.put(message)
			poll := time.Hour // pushed mail must come without it
			if name == "poll" {
				poll = 20 * time.Millisecond
			}
			m.fetch(FetchConfig{Receive: b.receive, Poll: poll})
			until(t, "first message taken and deleted", func() bool { return b.count() == 1 && m.left() == 0 })
			m.pushed(b, 2, message+"second\r\n")
			if b.mails[0] != message || b.mails[1] != message+"second\r\n" {
				t.Errorf("messages = %q, want them as they were", b.mails)
			}
			if e := b.from[0]; e.Via != "imap" || !e.TLS || e.Trusted {
				t.Errorf("envelope = %+v, want by imap over TLS, not trusted", e)
			}
		})
	}
}

// pushed puts messages until the box holds n or more. One would do, but this server never announces what came just before IDLE began.
func (m *mailbox) pushed(b *box, n int, text string) {
	m.t.Helper()
	for range 20 {
		m.put(text)
		for range 250 {
			if b.count() >= n && m.left() == 0 {
				return
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
	m.t.Fatalf("after 20 messages still not pushed")
}

func TestFetchSTARTTLS(t *testing.T) {
	m := startIMAP(t, imapCaps(imap.CapUIDPlus, imap.CapIdle))
	b := newBox()
	m.put(message)
	open := strings.Replace(strings.Replace(m.url(), "imaps:", "imap:", 1), m.addr, m.open, 1)
	m.fetch(FetchConfig{URL: open, Receive: b.receive, Poll: time.Hour})
	until(t, "taken", func() bool { return b.count() == 1 && m.left() == 0 })
	m.pushed(b, 2, message)
	wrong, err := NewFetcher(FetchConfig{URL: open, Receive: b.receive})
	if err != nil {
		t.Fatal(err)
	}
	if err := wrong.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("Check with unknown roots = %v, want the certificate refused", err)
	}
}

func TestFetchDeletesOnlyWhatIsKept(t *testing.T) {
	m := startIMAP(t, imapCaps(imap.CapUIDPlus, imap.CapIdle))
	b := newBox()
	b.fail(errors.New("database gone"))
	m.put(message)
	f := m.fetch(FetchConfig{Receive: b.receive, Poll: 10 * time.Millisecond})
	until(t, "a failed look", func() bool { return f.Status().Left == 1 })
	if m.left() != 1 {
		t.Fatalf("the message was deleted although nobody kept it")
	}
	b.fail(nil)
	until(t, "taken after all", func() bool {
		s := f.Status()
		return b.count() == 1 && m.left() == 0 && s.Connected && s.Received == 1 && s.Left == 0
	})
}

func TestFetchLeavesWhatIsRefused(t *testing.T) {
	m := startIMAP(t, imapCaps(imap.CapUIDPlus, imap.CapIdle))
	b := newBox()
	m.put("Subject: spam\r\n\r\nx\r\n")
	m.put(message + strings.Repeat("x\r\n", 10_000))
	m.put("Subject: unread\r\n\r\nx\r\n")
	m.put(message)
	f := m.fetch(FetchConfig{MaxBytes: 20_000, Receive: func(ctx context.Context, e Inbound, r io.Reader) error {
		first := make([]byte, 15)
		n, _ := io.ReadFull(r, first)
		switch {
		case bytes.HasPrefix(first, []byte("Subject: spam")):
			return fmt.Errorf("%w: spam", ErrRefused)
		case bytes.HasPrefix(first, []byte("Subject: unread")):
			return nil // claims to have taken what it did not read
		}
		return b.receive(ctx, e, io.MultiReader(bytes.NewReader(first[:n]), r))
	}})
	until(t, "the good one taken, three left", func() bool { return b.count() == 1 && f.Status().Left == 3 })
	if m.left() != 3 {
		t.Errorf("%d messages are left in the mailbox, want 3", m.left())
	}
}

func TestFetchConnectsAgain(t *testing.T) {
	m := startIMAP(t, imapCaps(imap.CapUIDPlus, imap.CapIdle))
	// A forwarder between, so that the connection can be broken from outside.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conns := make(chan net.Conn, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", m.addr)
			if err != nil {
				c.Close()
				return
			}
			go func() { io.Copy(s, c); s.Close() }()
			go func() { io.Copy(c, s); c.Close() }()
			conns <- s
		}
	}()
	b := newBox()
	f := m.fetch(FetchConfig{URL: strings.Replace(m.url(), m.addr, l.Addr().String(), 1), Receive: b.receive, Poll: time.Hour})
	until(t, "connected", func() bool { return f.Status().Connected })
	(<-conns).Close()
	until(t, "noticed", func() bool { return f.Status().Err != nil })
	m.put(message)
	until(t, "taken over a new connection", func() bool { return b.count() == 1 && m.left() == 0 })
}

func TestFetchRefusesServers(t *testing.T) {
	m := startIMAP(t, imapCaps(imap.CapUIDPlus, imap.CapIdle))
	weak := startIMAP(t, imapCaps(imap.CapIdle))
	b := newBox()
	for name, c := range map[string]struct {
		conf FetchConfig
		want string
	}{
		"certificate": {FetchConfig{URL: m.url(), TLS: &tls.Config{RootCAs: weak.pool}}, "encrypt"},
		"skip":        {FetchConfig{URL: m.url(), TLS: &tls.Config{InsecureSkipVerify: true}}, "encrypt"},
		"password":    {FetchConfig{URL: strings.Replace(m.url(), "cret", "wrong", 1), TLS: &tls.Config{RootCAs: m.pool}}, "log in"},
		"no UIDPLUS":  {FetchConfig{URL: weak.url(), TLS: &tls.Config{RootCAs: weak.pool}}, "UIDPLUS"},
		"folder":      {FetchConfig{URL: strings.Replace(m.url(), "/INBOX", "/None", 1), TLS: &tls.Config{RootCAs: m.pool}}, "open the mailbox"},
	} {
		c.conf.Receive = b.receive
		f, err := NewFetcher(c.conf)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Check(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "wrong") {
			t.Errorf("%s: Check = %v, want %q", name, err, c.want)
		}
	}
	good, err := NewFetcher(FetchConfig{URL: m.url(), TLS: &tls.Config{RootCAs: m.pool}, Receive: b.receive})
	if err != nil {
		t.Fatal(err)
	}
	if err := good.Check(t.Context()); err != nil {
		t.Errorf("Check = %v, want nil", err)
	}
	for url, want := range map[string]string{
		"imaps://u:hunter2@[::1:993":  "not a URL",
		"pop3://u:hunter2@x":          "unknown scheme",
		"imap+insecure://u:hunter2@x": "loopback only",
		"imaps://mail.example":        "no user",
		"imaps://u:hunter2@/INBOX":    "no host",
	} {
		if _, err := NewFetcher(FetchConfig{URL: url, Receive: b.receive}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("NewFetcher(%q) = %v, want %q and no password", url, err, want)
		}
	}
}
