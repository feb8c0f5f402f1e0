package instance

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/internal/desk"
	"postern/internal/disclosure"
	"postern/internal/gate"
	"postern/internal/smtp"
)

// openSender makes the way mail leaves: a relay, or the outbox.
func (in *Instance) openSender() error {
	c := &in.c
	if !c.Desk {
		return nil
	}
	sender, relay, outbox, err := newSender(c)
	in.sender, in.relay, in.outbox = sender, relay, outbox
	return err
}

func newSender(c *Config) (smtp.Sender, *smtp.Relay, *smtp.Outbox, error) {
	if c.SMTPURL == "" {
		box, err := smtp.NewOutbox(filepath.Join(c.Data, "outbox"))
		return box, nil, box, err
	}
	conf := smtp.RelayConfig{URL: c.SMTPURL, MaxConnections: c.Workers, TLS: c.TLS}
	if u, err := url.Parse(c.GateURL); err == nil && u.Hostname() != "" {
		conf.Name = u.Hostname()
	}
	if c.DKIMDomain != "" {
		key, err := smtp.NewDKIM(c.DKIMDomain, c.DKIMSelector, []byte(c.DKIMKey))
		if err != nil {
			return nil, nil, nil, err
		}
		conf.DKIM = []*smtp.DKIM{key}
	}
	relay, err := smtp.NewRelay(conf)
	if err != nil {
		return nil, nil, nil, err
	}
	return relay, relay, nil, nil
}

// keptMail shows the outbox to the desk.
type keptMail struct{ box *smtp.Outbox }

func (k keptMail) List() ([]desk.Mail, error) {
	kept, err := k.box.List(500)
	if err != nil {
		return nil, err
	}
	list := make([]desk.Mail, len(kept))
	for i, m := range kept {
		list[i] = desk.Mail{Name: m.Name, At: m.At, From: m.Envelope.From, To: m.Envelope.To, Size: m.Size}
	}
	return list, nil
}

func (k keptMail) Read(name string) ([]byte, error) {
	_, b, err := k.box.Read(name)
	return b, noMail(err)
}

func (k keptMail) Remove(name string) error { return noMail(k.box.Remove(name)) }

func noMail(err error) error {
	if errors.Is(err, smtp.ErrNoMail) {
		return disclosure.ErrNotFound
	}
	return err
}

// mailDoor takes mail in for the gate: by listening, by fetching.
type mailDoor struct {
	in   *Instance
	conf smtp.ListenerConfig

	mu       sync.Mutex
	listener *smtp.Listener
	addr     string // listened on; empty: not yet
	domains  []string
	closed   bool
}

func (in *Instance) openMail(run context.Context) error {
	c := &in.c
	if !c.Gate {
		return nil
	}
	if c.IMAPURL != "" {
		fetcher, err := smtp.NewFetcher(smtp.FetchConfig{
			URL: c.IMAPURL, TLS: c.TLS, Receive: in.receive(disclosure.ByFetch),
			Log: func(line string) { c.Log.Info("imap: " + line) },
		})
		if err != nil {
			return err
		}
		in.fetcher = fetcher
		in.running.Go(func() { fetcher.Run(run) })
	}
	if c.MailAddr == "off" {
		return nil
	}
	d := &mailDoor{in: in, conf: smtp.ListenerConfig{
		Addr: c.MailAddr, LMTP: c.MailLMTP, Receive: in.receive(disclosure.ByMail),
	}}
	if u, err := url.Parse(in.GateURL); err == nil {
		d.conf.Hostname = u.Hostname()
	}
	if c.MailTLSCert != "" {
		cert, err := tls.LoadX509KeyPair(c.MailTLSCert, c.MailTLSKey)
		if err != nil {
			return fmt.Errorf("read POSTERN_MAIL_TLS_CERT and POSTERN_MAIL_TLS_KEY: %w", err)
		}
		d.conf.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	in.mail = d
	if err := d.follow(run); err != nil {
		return err
	}
	if in.MailAddr = in.MailListening(); in.MailAddr == "" && !strings.HasSuffix(c.MailAddr, ":0") {
		in.MailAddr = c.MailAddr // soon, when a policy names a domain
	}
	in.running.Go(func() { d.run(run) })
	return nil
}

// receive hands a mail to the gate, and translates its refusals.
func (in *Instance) receive(channel disclosure.Channel) smtp.Receiver {
	return func(ctx context.Context, e smtp.Inbound, r io.Reader) error {
		err := in.Gate.Receive(ctx, channel, disclosure.Envelope{From: e.From, To: e.To, Helo: e.Helo}, r)
		if errors.Is(err, gate.ErrTooLarge) {
			return fmt.Errorf("%w: %w", smtp.ErrTooLarge, err)
		}
		return err
	}
}

// MailListening is where mail is taken just now; empty before a policy is in
// force that names a domain, and without a listener.
func (in *Instance) MailListening() string {
	if in.mail == nil {
		return ""
	}
	in.mail.mu.Lock()
	defer in.mail.mu.Unlock()
	return in.mail.addr
}

// domainsEvery is how soon a changed list of domains is known to the listener.
const domainsEvery = 5 * time.Second

// domainsFirst is the same before there is a listener.
const domainsFirst = 100 * time.Millisecond

func (d *mailDoor) run(ctx context.Context) {
	for {
		wait := domainsEvery
		if d.in.MailListening() == "" {
			wait = domainsFirst
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if err := d.follow(ctx); err != nil {
			d.in.c.Log.Warn("the mail listener could not be started", "error", err)
		}
	}
}

// follow listens for the domains of the policy in force. Without any there is
// nothing to listen for yet.
func (d *mailDoor) follow(ctx context.Context) error {
	domains := d.in.Gate.Domains()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || len(domains) == 0 || slices.Equal(domains, d.domains) && d.listener != nil {
		return nil
	}
	conf := d.conf
	if d.listener != nil {
		conf.Addr = d.addr // the same again, where a free port had been chosen
		short, cancel := context.WithTimeout(ctx, 10*time.Second)
		_ = d.listener.Shutdown(short)
		cancel()
		d.listener = nil
	}
	conf.Domains = domains
	l, err := smtp.Listen(conf)
	if err != nil {
		return err
	}
	d.listener, d.domains, d.addr = l, slices.Clone(domains), l.Addr().String()
	return nil
}

func (d *mailDoor) close(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.listener != nil {
		_ = d.listener.Shutdown(ctx)
	}
}
