package smtp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Faults a Sink's DotReply may ask for beside reply codes.
const (
	DropBeforeDot = -1 // close the connection in the middle of the message
	DropAfterDot  = -2 // take the message, then close the connection without a reply
	FreezeAtDot   = -3 // take the message, then say nothing until the sink is closed
)

// SinkConfig orders a sink's behavior. Set changes it while it runs.
type SinkConfig struct {
	// Latency before the reply to each of EHLO, MAIL, RCPT and DATA; DotLatency before the reply to a message.
	Latency, DotLatency time.Duration
	// TLS offers STARTTLS, ImplicitTLS speaks TLS from the first byte; both with a certificate for localhost that Pool trusts. Fixed at
	// the start, as are User and Password, without which nobody may send when they are set.
	TLS, ImplicitTLS bool
	User, Password   string
	// RcptReply and DotReply choose a reply code for a recipient, 0 for none; DotReply also one of the faults above. Called by many
	// goroutines.
	RcptReply, DotReply func(to string) int
	// Greylist answers 451 to each recipient's first attempt.
	Greylist bool
	// Discard keeps envelope and size of a message, and drops its bytes.
	Discard bool
	// MaxBytes of a message; beyond it 552. 0 is no limit.
	MaxBytes int64
	// NoDSN leaves out RFC 3461.
	NoDSN bool
}

// SinkMessage is one mail a sink took, with what the client said about it.
type SinkMessage struct {
	From       string
	To         []string
	ID         string   // ENVID
	Return     string   // RET
	Notify     []string // of the last recipient
	RequireTLS bool
	TLS        bool
	Connection int // counted from 1
	Size       int64
	Data       []byte // nil when discarding
	Replied    bool   // false: taken, but the client was never told
}

// Sink is a real SMTP server on loopback that keeps what it gets. Safe for concurrent use.
type Sink struct {
	server   *smtp.Server
	listener net.Listener
	pool     *x509.CertPool
	closing  chan struct{}

	mu          sync.Mutex
	conf        SinkConfig
	messages    []SinkMessage
	connections int
	seen        map[string]bool
}

// NewSink starts a sink on a free port of 127.0.0.1.
func NewSink(c SinkConfig) (*Sink, error) {
	s := &Sink{conf: c, closing: make(chan struct{}), seen: map[string]bool{}, pool: x509.NewCertPool()}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a sink: %w", err)
	}
	s.listener = countingListener{listener, s}
	server := smtp.NewServer(smtp.BackendFunc(s.session))
	server.Domain = "localhost"
	server.ErrorLog = quiet{}
	server.EnableSMTPUTF8, server.EnableREQUIRETLS, server.EnableDSN = true, true, !c.NoDSN
	server.AllowInsecureAuth = true
	server.MaxMessageBytes = c.MaxBytes
	if c.TLS || c.ImplicitTLS {
		certificate, err := testCertificate()
		if err != nil {
			listener.Close()
			return nil, err
		}
		s.pool.AddCert(certificate.Leaf)
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
		if c.ImplicitTLS {
			s.listener = tls.NewListener(s.listener, server.TLSConfig)
		}
	}
	s.server = server
	go server.Serve(s.listener)
	return s, nil
}

// Addr is host:port.
func (s *Sink) Addr() string { return s.listener.Addr().String() }

// URL is the sink as a RelayConfig wants it.
func (s *Sink) URL() string {
	scheme := "smtp"
	if s.conf.ImplicitTLS {
		scheme = "smtps"
	}
	user := ""
	if s.conf.User != "" {
		user = s.conf.User + ":" + s.conf.Password + "@"
	}
	return scheme + "://" + user + s.Addr()
}

// Pool trusts the sink's certificate.
func (s *Sink) Pool() *x509.CertPool { return s.pool }

// Set changes the behavior for what comes next.
func (s *Sink) Set(change func(*SinkConfig)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.conf)
}

// Messages returns what was taken so far.
func (s *Sink) Messages() []SinkMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]SinkMessage(nil), s.messages...)
}

// Connections counts the connections made so far.
func (s *Sink) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// Reset forgets messages and counts.
func (s *Sink) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages, s.connections, s.seen = nil, 0, map[string]bool{}
}

// Close ends all connections.
func (s *Sink) Close() error {
	select {
	case <-s.closing:
		return nil
	default:
		close(s.closing)
	}
	return s.server.Close()
}

func (s *Sink) now() SinkConfig {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conf
}

func (s *Sink) wait(d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-s.closing:
	}
}

type countingListener struct {
	net.Listener
	sink *Sink
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.sink.mu.Lock()
		l.sink.connections++
		l.sink.mu.Unlock()
	}
	return c, err
}

func (s *Sink) session(c *smtp.Conn) (smtp.Session, error) {
	s.wait(s.now().Latency)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, secure := c.TLSConnectionState()
	return &sinkSession{sink: s, conn: c, number: s.connections, tls: secure}, nil
}

type sinkSession struct {
	sink    *Sink
	conn    *smtp.Conn
	number  int
	tls     bool
	entered bool
	mail    SinkMessage
}

func (s *sinkSession) AuthMechanisms() []string {
	if s.sink.now().User == "" {
		return nil
	}
	return []string{sasl.Plain, sasl.Login}
}

func (s *sinkSession) Auth(mechanism string) (sasl.Server, error) {
	check := func(user, password string) error {
		c := s.sink.now()
		if user != c.User || password != c.Password {
			return smtp.ErrAuthFailed
		}
		s.entered = true
		return nil
	}
	if mechanism == sasl.Login {
		return &loginServer{check: check}, nil
	}
	return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) }), nil
}

// loginServer is the old LOGIN mechanism, which go-sasl has as a client only.
type loginServer struct {
	check func(user, password string) error
	step  int
	user  string
}

func (l *loginServer) Next(response []byte) ([]byte, bool, error) {
	if response == nil && l.step == 0 {
		return []byte("Username:"), false, nil
	}
	l.step++
	if l.step == 1 {
		l.user = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.user, string(response))
}

func (s *sinkSession) Mail(from string, o *smtp.MailOptions) error {
	c := s.sink.now()
	s.sink.wait(c.Latency)
	if c.User != "" && !s.entered {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "authentication required"}
	}
	s.mail = SinkMessage{From: from, TLS: s.tls, Connection: s.number}
	if o != nil {
		s.mail.ID, s.mail.Return, s.mail.RequireTLS = o.EnvelopeID, string(o.Return), o.RequireTLS
	}
	return nil
}

func (s *sinkSession) Rcpt(to string, o *smtp.RcptOptions) error {
	c := s.sink.now()
	s.sink.wait(c.Latency)
	if c.RcptReply != nil {
		if code := c.RcptReply(to); code > 0 {
			return sinkReply(code)
		}
	}
	if c.Greylist && s.sink.first(to) {
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted, come back later"}
	}
	s.mail.To = append(s.mail.To, to)
	s.mail.Notify = nil
	if o != nil {
		for _, n := range o.Notify {
			s.mail.Notify = append(s.mail.Notify, string(n))
		}
	}
	return nil
}

func (s *Sink) first(to string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.seen[to]
	s.seen[to] = true
	return !known
}

func (s *sinkSession) Data(r io.Reader) error {
	c := s.sink.now()
	s.sink.wait(c.Latency)
	fault := 0
	for _, to := range s.mail.To {
		if c.DotReply != nil && fault == 0 {
			fault = c.DotReply(to)
		}
	}
	if fault == DropBeforeDot {
		s.drop()
		return errors.New("dropped")
	}
	m := s.mail
	if c.Discard {
		n, err := io.Copy(io.Discard, r)
		if err != nil {
			return err
		}
		m.Size = n
	} else {
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		m.Data, m.Size = data, int64(len(data))
	}
	s.sink.wait(c.DotLatency)
	if fault > 0 {
		return sinkReply(fault)
	}
	m.Replied = fault == 0
	s.sink.mu.Lock()
	s.sink.messages = append(s.sink.messages, m)
	s.sink.mu.Unlock()
	switch fault {
	case DropAfterDot:
		s.drop()
	case FreezeAtDot:
		<-s.sink.closing
	}
	return nil
}

// drop resets the connection, so that the client notices at once.
func (s *sinkSession) drop() {
	raw := s.conn.Conn()
	if t, ok := raw.(*tls.Conn); ok {
		raw = t.NetConn()
	}
	if t, ok := raw.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	raw.Close()
}

func (s *sinkSession) Reset()        { s.mail = SinkMessage{} }
func (s *sinkSession) Logout() error { return nil }

func sinkReply(code int) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 0, 0}, Message: "ordered by the test"}
}

// quiet drops the server library's log, which names addresses of strangers.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// testCertificate is for localhost, valid from yesterday for ten years, and its own root.
func testCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a test certificate: %w", err)
	}
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.AddDate(10, 0, 0),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a test certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a test certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// domainOf is the lower-case part after the last @; empty without one.
func domainOf(addr string) string {
	_, domain, ok := strings.Cut(addr, "@")
	if !ok {
		return ""
	}
	return strings.ToLower(domain)
}
