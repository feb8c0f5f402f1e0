package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// FetchConfig names a mailbox at a provider, for those without an MTA of their own.
type FetchConfig struct {
	// URL is one of
	//
	//	imaps://user:password@host:993/INBOX      TLS from the first byte, verified
	//	imap://user:password@host:143/INBOX       STARTTLS, verified
	//	imap+insecure://user:password@127.0.0.1   no TLS; to loopback alone
	//
	// The folder is INBOX when absent. User and password are percent-encoded.
	URL string
	// TLS holds roots and client certificates; nil is the system's. Verification cannot be turned off.
	TLS *tls.Config
	// MaxBytes of a message, 40 MiB when empty; a larger one is left where it is.
	MaxBytes int64
	// Poll is how often the mailbox is looked at when the server does not push, 1 min when empty. A pushing server is asked anew every
	// five times that.
	Poll time.Duration
	// Receive takes each message over.
	Receive Receiver
	// Log is told what an operator should know, a line at a time, never an address or a subject. Nil drops it.
	Log func(string)
}

// Fetcher moves mail from an IMAP mailbox to Receive. A message is deleted there only after Receive returned nil; after a crash between the
// two it comes once more, byte for byte the same. What Receive refuses stays in the mailbox.
type Fetcher struct {
	conf     FetchConfig
	scheme   string
	host     string
	address  string
	user     string
	password string
	folder   string

	mu     sync.Mutex
	status FetchStatus
}

// FetchStatus is how fetching goes.
type FetchStatus struct {
	Connected bool
	Since     time.Time // of Connected
	Err       error     // why the last connection ended; nil when none has
	Received  int       // messages since the start
	Left      int       // messages in the mailbox that could not be taken over at the last look
}

const (
	firstBackoff = time.Second
	lastBackoff  = 5 * time.Minute
)

// NewFetcher reads the configuration; it does not connect. Its errors never hold the password.
func NewFetcher(c FetchConfig) (*Fetcher, error) {
	u, err := url.Parse(c.URL)
	if err != nil { // the error would repeat the address with its password
		return nil, errors.New("IMAP: the address is not a URL: want imaps://user:password@host/INBOX, with special characters percent-encoded")
	}
	port, known := map[string]string{"imaps": "993", "imap": "143", "imap+insecure": "143"}[u.Scheme]
	switch {
	case !known:
		return nil, fmt.Errorf("IMAP: unknown scheme %q: want imaps, imap (with STARTTLS), or (to loopback) imap+insecure", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("IMAP: the address names no host")
	case u.User == nil:
		return nil, errors.New("IMAP: the address names no user")
	case u.Scheme == "imap+insecure" && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("IMAP: imap+insecure goes to loopback only, not to %s: use imaps", u.Hostname())
	case c.Receive == nil:
		return nil, errors.New("IMAP: nobody receives")
	}
	if u.Port() != "" {
		port = u.Port()
	}
	f := &Fetcher{conf: c, scheme: u.Scheme, host: u.Hostname(), address: net.JoinHostPort(u.Hostname(), port), user: u.User.Username(), folder: strings.TrimPrefix(u.Path, "/")}
	f.password, _ = u.User.Password()
	f.conf.URL = ""
	if f.folder == "" {
		f.folder = "INBOX"
	}
	if f.conf.MaxBytes <= 0 {
		f.conf.MaxBytes = 40 << 20
	}
	if f.conf.Poll <= 0 {
		f.conf.Poll = time.Minute
	}
	if f.conf.Log == nil {
		f.conf.Log = func(string) {}
	}
	tc := &tls.Config{}
	if c.TLS != nil {
		tc = c.TLS.Clone()
	}
	tc.InsecureSkipVerify = false
	tc.MinVersion = max(tc.MinVersion, tls.VersionTLS12)
	if tc.ServerName == "" {
		tc.ServerName = f.host
	}
	f.conf.TLS = tc
	return f, nil
}

// String names the mailbox's server, without user and password.
func (f *Fetcher) String() string { return f.scheme + "://" + f.address }

// Status returns how fetching goes.
func (f *Fetcher) Status() FetchStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

func (f *Fetcher) note(change func(*FetchStatus)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.status)
}

// Run fetches until ctx ends, connecting again after each failure: after a second at first, then ever later up to five minutes.
func (f *Fetcher) Run(ctx context.Context) {
	wait := firstBackoff
	for ctx.Err() == nil {
		began := time.Now()
		err := f.visit(ctx)
		if ctx.Err() != nil {
			break
		}
		first := f.Status().Err == nil
		f.note(func(s *FetchStatus) { s.Connected, s.Since, s.Err = false, time.Now(), err })
		if first || time.Since(began) > time.Minute {
			f.conf.Log(fmt.Sprintf("IMAP: %v; trying again", err))
		}
		if time.Since(began) > time.Minute {
			wait = firstBackoff
		}
		select {
		case <-time.After(wait/2 + rand.N(wait/2+1)):
		case <-ctx.Done():
		}
		wait = min(2*wait, lastBackoff)
	}
	f.note(func(s *FetchStatus) { s.Connected = false })
}

// Check logs in, opens the mailbox, and leaves everything as it is. For doctor.
func (f *Fetcher) Check(ctx context.Context) error {
	v, err := f.connect(ctx)
	if err != nil {
		return err
	}
	defer v.end()
	return v.client.Logout().Wait()
}

// visit is one connection.
func (f *Fetcher) visit(ctx context.Context) error {
	v, err := f.connect(ctx)
	if err != nil {
		return err
	}
	defer v.end()
	f.note(func(s *FetchStatus) { s.Connected, s.Since = true, time.Now() })
	for {
		if err := v.fetchAll(ctx); err != nil {
			return err
		}
		if err := v.wait(ctx); err != nil {
			return err
		}
	}
}

// visitor is a logged-in connection with the mailbox open.
type visitor struct {
	f      *Fetcher
	conn   net.Conn
	client *imapclient.Client
	stop   func() bool
	push   bool
	news   chan struct{}
	leave  map[imap.UID]bool // refused for good during this connection
}

func (f *Fetcher) connect(ctx context.Context) (*visitor, error) {
	dialer := net.Dialer{Timeout: 10 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", f.address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", f.address, err)
	}
	v := &visitor{f: f, conn: conn, news: make(chan struct{}, 1), leave: map[imap.UID]bool{}}
	v.stop = context.AfterFunc(ctx, func() { conn.Close() })
	if err := v.open(conn); err != nil {
		v.end()
		conn.Close()
		return nil, err
	}
	return v, nil
}

func (v *visitor) end() {
	v.stop()
	if v.client != nil {
		v.client.Close()
	}
}

func (v *visitor) open(conn net.Conn) error {
	f := v.f
	options := &imapclient.Options{TLSConfig: f.conf.TLS, UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(d *imapclient.UnilateralDataMailbox) {
			if d.NumMessages != nil {
				select {
				case v.news <- struct{}{}:
				default:
				}
			}
		},
	}}
	switch f.scheme {
	case "imaps":
		secure := tls.Client(conn, f.conf.TLS)
		secure.SetDeadline(time.Now().Add(10 * time.Second))
		if err := secure.Handshake(); err != nil {
			return fmt.Errorf("encrypt the connection to %s: %w", f.address, err)
		}
		secure.SetDeadline(time.Time{})
		v.client = imapclient.New(secure, options)
	case "imap":
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		client, err := imapclient.NewStartTLS(conn, options)
		if err != nil {
			return fmt.Errorf("encrypt the connection to %s: %w", f.address, err)
		}
		v.client = client
	default:
		v.client = imapclient.New(conn, options)
	}
	if err := v.client.WaitGreeting(); err != nil {
		return fmt.Errorf("greet %s: %w", f.address, err)
	}
	if err := v.client.Login(f.user, f.password).Wait(); err != nil {
		return fmt.Errorf("log in at %s: %w", f.address, err)
	}
	caps := v.client.Caps()
	if !caps.Has(imap.CapUIDPlus) {
		return fmt.Errorf("%s cannot delete single messages (it lacks UIDPLUS, RFC 4315); without that, messages not yet taken over could be lost", f.address)
	}
	v.push = caps.Has(imap.CapIdle)
	if _, err := v.client.Select(f.folder, nil).Wait(); err != nil {
		return fmt.Errorf("open the mailbox at %s: %w", f.address, err)
	}
	return nil
}

// wait returns when there may be news.
func (v *visitor) wait(ctx context.Context) error {
	if !v.push {
		if err := v.sleep(ctx, v.f.conf.Poll); err != nil {
			return err
		}
		return v.client.Noop().Wait()
	}
	idle, err := v.client.Idle()
	if err != nil {
		return fmt.Errorf("wait for mail: %w", err)
	}
	limit := 5 * v.f.conf.Poll
	if v.f.Status().Left > len(v.leave) {
		limit = v.f.conf.Poll // something is to be tried again
	}
	err = v.sleep(ctx, limit)
	// The library waits for the end of IDLE without a limit of its own.
	frozen := time.AfterFunc(30*time.Second, func() { v.conn.Close() })
	defer frozen.Stop()
	if closing := idle.Close(); closing != nil && err == nil {
		err = closing
	}
	if err != nil {
		return fmt.Errorf("wait for mail: %w", err)
	}
	return idle.Wait()
}

func (v *visitor) sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-v.news:
	case <-t.C:
	case <-v.client.Closed():
		return errors.New("the server closed the connection")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// fetchAll takes over every message, the oldest first. One that Receive cannot take does not keep the others back.
func (v *visitor) fetchAll(ctx context.Context) error {
	found, err := v.client.UIDSearch(&imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagDeleted}}, nil).Wait()
	if err != nil {
		return fmt.Errorf("list the mailbox: %w", err)
	}
	uids := found.AllUIDs()
	slices.Sort(uids)
	left := 0
	for _, uid := range uids {
		if v.leave[uid] {
			left++
			continue
		}
		done, err := v.fetch(ctx, uid)
		if err != nil {
			return err
		}
		if !done {
			left++
			continue
		}
		if err := v.remove(uid); err != nil {
			return err
		}
		v.f.note(func(s *FetchStatus) { s.Received++ })
	}
	v.f.note(func(s *FetchStatus) { s.Left = left })
	return nil
}

// fetch hands one message over as it streams in. An error is the connection's; done is false when Receive did not take the message.
func (v *visitor) fetch(ctx context.Context, uid imap.UID) (done bool, err error) {
	fetch := v.client.Fetch(imap.UIDSetNum(uid), &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}})
	taken := false
	for m := fetch.Next(); m != nil; m = fetch.Next() {
		for item := m.Next(); item != nil; item = m.Next() {
			body, ok := item.(imapclient.FetchItemDataBodySection)
			if !ok || body.Literal == nil || taken {
				continue
			}
			taken = v.hand(ctx, uid, body.Literal)
		}
	}
	if err := fetch.Close(); err != nil && !taken {
		return false, fmt.Errorf("fetch a message: %w", err)
	}
	return taken, nil // once received, it is ours whatever became of the connection: removing it will tell
}

func (v *visitor) hand(ctx context.Context, uid imap.UID, literal imap.LiteralReader) bool {
	if literal.Size() > v.f.conf.MaxBytes {
		v.leave[uid] = true
		v.f.conf.Log(fmt.Sprintf("IMAP: a message of %d bytes is beyond the limit and is left in the mailbox", literal.Size()))
		return false
	}
	in := &countingReader{r: literal}
	err := v.f.conf.Receive(ctx, Inbound{TLS: v.f.scheme != "imap+insecure", Via: "imap"}, in)
	switch {
	case errors.Is(err, ErrRefused), errors.Is(err, ErrTooLarge):
		v.leave[uid] = true
		v.f.conf.Log("IMAP: a message was refused and is left in the mailbox")
		return false
	case err == nil && in.n != literal.Size():
		v.f.conf.Log("IMAP: a message was not read to its end and is left in the mailbox")
		return false
	}
	return err == nil
}

func (v *visitor) remove(uid imap.UID) error {
	set := imap.UIDSetNum(uid)
	if err := v.client.Store(set, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close(); err != nil {
		return fmt.Errorf("delete a message that was taken over: %w", err)
	}
	if err := v.client.UIDExpunge(set).Close(); err != nil {
		return fmt.Errorf("delete a message that was taken over: %w", err)
	}
	return nil
}

// countingReader counts, and makes a connection that broke in the middle an error: an end is one only after the announced size.
type countingReader struct {
	r imap.LiteralReader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err == io.EOF && c.n < c.r.Size() {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
