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
	"os"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// Inbound is the envelope of a mail that came to us. It holds no network address: none is kept.
type Inbound struct {
	From    string   // return path as claimed; empty is the null sender
	To      []string // of our domains, as written
	Helo    string   // as claimed
	TLS     bool
	Trusted bool   // the client's network is one of ListenerConfig.Trusted: our own MTA, whose header fields may be believed
	Via     string // "smtp", "lmtp" or "imap"
}

// Receiver takes over one mail: when it returns nil, the mail is ours for good, and it must have read r to its end. An error that is or
// wraps ErrRefused or ErrTooLarge sends the mail back; every other one makes the other side try again. The words of an error are never
// passed on.
type Receiver func(ctx context.Context, e Inbound, r io.Reader) error

var (
	// ErrRefused is a mail we shall never take.
	ErrRefused = errors.New("mail refused")
	// ErrTooLarge is a mail beyond the size limit. What r returns for one wraps it.
	ErrTooLarge = errors.New("mail is too large")
)

// ListenerConfig says what is listened for. Empty limits are the defaults named.
type ListenerConfig struct {
	// Addr is host:port, or the path of a unix socket when it holds a slash.
	Addr string
	// Domains of ours, at least one. Every local part is accepted, no other domain.
	Domains []string
	// LMTP instead of SMTP: RFC 2033, for delivery by an MTA on the same machine.
	LMTP bool
	// TLS offers STARTTLS; nil does not.
	TLS *tls.Config
	// Hostname said in the greeting; empty is "localhost".
	Hostname string
	// Trusted are the networks of our own MTAs. A unix socket is always trusted.
	Trusted []netip.Prefix
	// MaxBytes of a message: 40 MiB, which carries 25 MiB of attachments in base64. MaxRecipients of one mail: 50.
	MaxBytes      int64
	MaxRecipients int
	// MaxConnections at a time: 100; PerAddress from one network address, IPv6 counted by /64, trusted networks not: 10. Where they are
	// reached, a client that stands still makes room for the next.
	MaxConnections, PerAddress int
	// CommandTimeout between steps of a mail: 60 s. DataTimeout from DATA to the end of the message: 5 min. SessionTimeout for a
	// connection as a whole: 30 min.
	CommandTimeout, DataTimeout, SessionTimeout time.Duration
	// Receive takes each mail over. Called by many goroutines.
	Receive Receiver

	now func() time.Time // by which clients stand still; nil: time.Now
}

// Listener takes mail for our domains. It resolves nothing, answers nobody by mail, and says 250 only after Receive returned nil.
type Listener struct {
	conf     ListenerConfig
	domains  map[string]bool
	server   *smtp.Server
	listener *limitedListener
	ctx      context.Context
	cancel   context.CancelFunc
	served   chan struct{}
}

// Listen starts listening; mail is taken until Shutdown.
func Listen(c ListenerConfig) (*Listener, error) {
	if c.Receive == nil {
		return nil, errors.New("mail listener: nobody receives")
	}
	l := &Listener{conf: c, domains: map[string]bool{}, served: make(chan struct{})}
	for _, d := range c.Domains {
		l.domains[strings.ToLower(d)] = true
	}
	if len(l.domains) == 0 {
		return nil, errors.New("mail listener: no domain of ours is named")
	}
	l.defaults()
	network := "tcp"
	if strings.Contains(c.Addr, "/") {
		network = "unix"
		removeDeadSocket(c.Addr)
	}
	listener, err := net.Listen(network, c.Addr)
	if err != nil {
		return nil, fmt.Errorf("mail listener: %w", err)
	}
	l.listener = &limitedListener{Listener: listener, l: l, open: map[*limitedConn]bool{}, perAddress: map[netip.Addr]int{}}
	l.ctx, l.cancel = context.WithCancel(context.Background())

	server := smtp.NewServer(smtp.BackendFunc(l.session))
	server.LMTP = c.LMTP
	server.Domain = l.conf.Hostname
	server.TLSConfig = c.TLS
	server.ErrorLog = quiet{}
	server.MaxMessageBytes = l.conf.MaxBytes
	server.MaxRecipients = l.conf.MaxRecipients
	server.MaxLineLength = 64 << 10 // real mail breaks the limit of 998; what came is evidence, so it is taken as it is
	server.EnableSMTPUTF8 = true
	l.server = server
	go func() {
		defer close(l.served)
		server.Serve(l.listener)
	}()
	return l, nil
}

func (l *Listener) defaults() {
	c := &l.conf
	if c.Hostname == "" {
		c.Hostname = "localhost"
	}
	for _, d := range []struct {
		value    *int
		fallback int
	}{{&c.MaxRecipients, 50}, {&c.MaxConnections, 100}, {&c.PerAddress, 10}} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = 40 << 20
	}
	if c.now == nil {
		c.now = time.Now
	}
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&c.CommandTimeout, time.Minute}, {&c.DataTimeout, 5 * time.Minute}, {&c.SessionTimeout, 30 * time.Minute}} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
}

// removeDeadSocket clears a unix socket on which nobody listens any more.
func removeDeadSocket(path string) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return
	}
	os.Remove(path)
}

// Addr is where it listens.
func (l *Listener) Addr() net.Addr { return l.listener.Addr() }

// Shutdown takes no new connection, closes those that are between mails, and waits for mails in flight until ctx ends; those are then
// broken off, and their senders try again.
func (l *Listener) Shutdown(ctx context.Context) error {
	l.listener.drain(false)
	err := l.server.Shutdown(ctx)
	_ = l.listener.Close() // the server does not know of it yet when it was only just started
	l.cancel()
	l.listener.drain(true)
	if errors.Is(err, smtp.ErrServerClosed) {
		err = nil
	}
	<-l.served
	return err
}

func (l *Listener) session(c *smtp.Conn) (smtp.Session, error) {
	s := &session{l: l, conn: c}
	raw := c.Conn()
	if t, ok := raw.(*tls.Conn); ok {
		s.tls = true
		raw = t.NetConn()
	}
	lc, ok := raw.(*limitedConn)
	if !ok {
		return nil, errors.New("no connection of ours")
	}
	s.raw = lc
	return s, nil
}

// session is one client. Deadlines move on with its progress in a mail, and on nothing else it says.
type session struct {
	l    *Listener
	conn *smtp.Conn
	raw  *limitedConn
	tls  bool
	from string
	to   []string
}

func (s *session) extend(d time.Duration) {
	until := time.Now().Add(d)
	if last := s.raw.accepted.Add(s.l.conf.SessionTimeout); last.Before(until) {
		until = last
	}
	s.raw.SetReadDeadline(until)
	s.raw.SetWriteDeadline(until.Add(5 * time.Second)) // to say why
	s.raw.step()
	if s.raw.cut.Load() {
		s.raw.CutOff()
	}
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.extend(s.l.conf.CommandTimeout)
	if from != "" && badEnvelopeText(from) {
		return &smtp.SMTPError{Code: 501, EnhancedCode: smtp.EnhancedCode{5, 1, 7}, Message: "bad sender address"}
	}
	s.from, s.to = from, nil
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.extend(s.l.conf.CommandTimeout)
	if badEnvelopeText(to) || !s.l.domains[domainOf(to)] {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "not a domain of ours"}
	}
	s.to = append(s.to, to)
	return nil
}

// badEnvelopeText refuses what no address needs; it is laxer than CheckAddress, for strangers may have odd names.
func badEnvelopeText(addr string) bool {
	return len(addr) > 512 || strings.ContainsAny(addr, "\r\n\x00") || strings.Count(addr, "@") != 1
}

func (s *session) Data(r io.Reader) error {
	s.raw.inData.Store(true)
	defer s.raw.ours.Store(false)
	// What is left of a refused message is read and dropped by the library before it replies; that must not take for ever either.
	defer s.extend(s.l.conf.CommandTimeout)
	s.extend(s.l.conf.DataTimeout)
	in := &strictReader{r: r, raw: s.raw}
	err := s.l.conf.Receive(s.l.ctx, Inbound{
		From: s.from, To: append([]string(nil), s.to...), Helo: s.conn.Hostname(), TLS: s.tls, Trusted: s.raw.trusted, Via: s.via(),
	}, in)
	return s.reply(in, err)
}

// reply turns what happened into an answer. What the reader met counts first: a receiver that overlooked it must not make us say 250.
func (s *session) reply(in *strictReader, err error) error {
	switch {
	case errors.Is(in.err, ErrTooLarge), errors.Is(err, ErrTooLarge):
		return smtp.ErrDataTooLarge
	case errors.Is(in.err, errBareLine):
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "lines must end in CR LF, and neither may stand alone (RFC 5321 section 2.3.8)"}
	case in.err != nil && in.err != io.EOF:
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 4, 2}, Message: "the message did not come whole"}
	case errors.Is(err, ErrRefused):
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "message refused"}
	case err != nil, in.err != io.EOF:
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "cannot keep the message now, try again later"}
	}
	return nil
}

func (s *session) via() string {
	if s.l.conf.LMTP {
		return "lmtp"
	}
	return "smtp"
}

// Reset follows each mail, after its reply was written.
func (s *session) Reset() {
	s.from, s.to = "", nil
	s.raw.inData.Store(false)
	s.raw.ours.Store(false)
	if s.raw.listener.isDraining() {
		s.raw.Close()
	}
}

func (s *session) Logout() error { return nil }

var errBareLine = errors.New("bare CR or LF")

// strictReader refuses a CR or LF standing alone, the material of SMTP smuggling, and remembers how reading ended.
type strictReader struct {
	r   io.Reader
	raw *limitedConn
	cr  bool  // the last byte was a CR
	err error // what the last Read returned
}

func (s *strictReader) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if s.bare(p[:n]) || err == io.EOF && s.cr {
		s.err = fmt.Errorf("%w in the message", errBareLine)
		return 0, s.err
	}
	if errors.Is(err, smtp.ErrDataTooLarge) {
		err = ErrTooLarge
	}
	if err == io.EOF && s.raw != nil {
		s.raw.ours.Store(true)
	}
	s.err = err
	return n, err
}

// CutOff makes a Read that waits return: others wait for the place of this
// message, which hardly comes.
func (s *strictReader) CutOff() { s.raw.CutOff() }

func (s *strictReader) bare(p []byte) bool {
	for len(p) > 0 {
		if s.cr {
			if p[0] != '\n' {
				return true
			}
			s.cr = false
			p = p[1:]
			continue
		}
		at := bytes.IndexAny(p, "\r\n")
		if at < 0 {
			return false
		}
		if p[at] == '\n' {
			return true
		}
		s.cr = true
		p = p[at+1:]
	}
	return false
}
