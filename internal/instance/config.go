package instance

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"postern/internal/auth"
	"postern/internal/postgres"
	"postern/internal/vault"
)

// Config is one running Postern. Its fields are the variables of
// docs/operating.md; empty ones mean what is said there.
type Config struct {
	DatabaseURL     string // POSTERN_DATABASE_URL, the desk's login; empty: a private cluster under Data
	GateDatabaseURL string // POSTERN_GATE_DATABASE_URL; empty: the private cluster's
	Data            string // POSTERN_DATA; empty: ./var

	GateAddr    string // POSTERN_GATE_ADDR; empty: 127.0.0.1:8080. Port 0: a free one
	DeskAddr    string // POSTERN_DESK_ADDR; empty: 127.0.0.1:8081
	MailAddr    string // POSTERN_MAIL_ADDR; empty: 127.0.0.1:2525. "off": no listener. With a slash: a unix socket
	MailLMTP    bool   // POSTERN_MAIL_LMTP: the listener speaks LMTP
	MetricsAddr string // POSTERN_METRICS_ADDR; empty: off
	GateURL     string // POSTERN_GATE_URL; empty: the address listened on
	DeskURL     string // POSTERN_DESK_URL

	SMTPURL      string // POSTERN_SMTP_URL; empty: mail is kept in the outbox
	MailFrom     string // POSTERN_MAIL_FROM; empty: the policy's contact address
	DKIMDomain   string // POSTERN_DKIM_DOMAIN; empty: mail is not signed with DKIM
	DKIMSelector string // POSTERN_DKIM_SELECTOR
	DKIMKey      string // POSTERN_DKIM_KEY, PEM
	IMAPURL      string // POSTERN_IMAP_URL; empty: nothing is fetched
	MailAuthServ string // POSTERN_MAIL_AUTHSERV: name in Authentication-Results of the MTA in front of us; empty: nobody's are shown
	MailTLSCert  string // POSTERN_MAIL_TLS_CERT, a file; with it the listener offers STARTTLS
	MailTLSKey   string // POSTERN_MAIL_TLS_KEY, a file

	TrustedProxies []string // POSTERN_TRUSTED_PROXIES: networks
	VaultPin       string   // POSTERN_VAULT_PIN: fingerprint the gate demands of the vault's public key
	Passphrase     string   // POSTERN_PASSPHRASE: unlocks at the start; empty: starts locked
	Letters        string   // POSTERN_LETTERS: folder of texts that replace the built-in ones

	Gate, Desk bool // which doors run here; neither set: both. Work runs with the desk

	Version  string
	Demo     bool
	Log      *slog.Logger // nil: discarded
	Progress func(string) // told what takes longer than a moment; nil: nobody is

	// For tests and the demo.
	Workers      int              // mails in flight at a time; 0: 8
	Sweep        time.Duration    // of work; 0: its default
	Wall         func() time.Time // nil: time.Now
	TLS          *tls.Config      // roots for the relay and the mailbox; nil: the system's
	PasswordCost auth.Cost        // zero: the default
	VaultCost    vault.Cost       // zero: the default
	FsyncOff     bool             // of the private cluster: a crash of the machine may destroy it
	Paused       bool             // work does nothing by itself before Instance.Resume; Work.Once does
	// Setup is called once the database is open: the demo and tests make the
	// instance there. nil: a database that belongs to nobody is ErrNotSetUp.
	Setup func(context.Context, *postgres.DB) error
}

// Format keeps secrets out of fmt's output.
func (c Config) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[configuration]")) }

func (c *Config) defaults() error {
	for _, d := range []struct {
		value    *string
		fallback string
	}{
		{&c.Data, "./var"}, {&c.GateAddr, "127.0.0.1:8080"}, {&c.DeskAddr, "127.0.0.1:8081"}, {&c.MailAddr, "127.0.0.1:2525"}, {&c.Version, "unknown"},
	} {
		if *d.value == "" {
			*d.value = d.fallback
		}
	}
	if !c.Gate && !c.Desk {
		c.Gate, c.Desk = true, true
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	if c.Wall == nil {
		c.Wall = time.Now
	}
	if c.Workers <= 0 {
		c.Workers = 8
	}
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return fmt.Errorf("find POSTERN_DATA: %w", err)
	}
	c.Data = data
	c.GateURL, c.DeskURL = strings.TrimRight(c.GateURL, "/"), strings.TrimRight(c.DeskURL, "/")
	return c.check()
}

// check names all that cannot be.
func (c *Config) check() error {
	var errs []error
	if c.Gate && !c.Desk && c.GateDatabaseURL == "" {
		errs = append(errs, errors.New("the gate alone needs POSTERN_GATE_DATABASE_URL: the private cluster belongs to the process that starts it"))
	}
	if c.Gate && c.Desk && (c.DatabaseURL == "") != (c.GateDatabaseURL == "") {
		errs = append(errs, errors.New("set both POSTERN_DATABASE_URL and POSTERN_GATE_DATABASE_URL, or neither: the gate never uses the desk's login"))
	}
	if (c.MailTLSCert == "") != (c.MailTLSKey == "") {
		errs = append(errs, errors.New("set both POSTERN_MAIL_TLS_CERT and POSTERN_MAIL_TLS_KEY, or neither"))
	}
	if (c.DKIMDomain == "") != (c.DKIMKey == "") || (c.DKIMDomain == "") != (c.DKIMSelector == "") {
		errs = append(errs, errors.New("set POSTERN_DKIM_DOMAIN, POSTERN_DKIM_SELECTOR and POSTERN_DKIM_KEY, or none of them"))
	}
	for _, u := range []struct{ name, url string }{{"POSTERN_GATE_URL", c.GateURL}, {"POSTERN_DESK_URL", c.DeskURL}} {
		if u.url != "" && !strings.HasPrefix(u.url, "https://") && !strings.HasPrefix(u.url, "http://") {
			errs = append(errs, fmt.Errorf("%s has to begin with https:// (or http:// for this machine alone)", u.name))
		}
	}
	if _, err := c.proxies(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c *Config) proxies() ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, s := range c.TrustedProxies {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, aerr := netip.ParseAddr(s)
			if aerr != nil {
				return nil, fmt.Errorf("POSTERN_TRUSTED_PROXIES: %q is neither an address nor a network", s)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		list = append(list, p)
	}
	return list, nil
}

// makeData makes the data folder, closed to others but for passing through:
// the private cluster's server may run as another user.
func (c *Config) makeData() error {
	if err := os.MkdirAll(c.Data, 0o711); err != nil {
		return fmt.Errorf("make POSTERN_DATA: %w", err)
	}
	spool := filepath.Join(c.Data, "spool")
	if err := os.MkdirAll(spool, 0o700); err != nil {
		return fmt.Errorf("make the spool: %w", err)
	}
	return nil
}
