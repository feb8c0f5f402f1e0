package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"postern/internal/instance"
)

// place is where an instance lies: flags of every command.
type place struct {
	Data                string `env:"POSTERN_DATA" default:"./var" placeholder:"DIR" help:"Folder of outbox, spool, control socket and private cluster."`
	DatabaseURL         string `name:"database-url" env:"POSTERN_DATABASE_URL" placeholder:"URL" help:"The desk's login; without it a private cluster under --data is used."`
	DatabaseURLFile     string `name:"database-url-file" env:"POSTERN_DATABASE_URL_FILE" placeholder:"FILE" help:"File that holds it."`
	GateDatabaseURL     string `name:"gate-database-url" env:"POSTERN_GATE_DATABASE_URL" placeholder:"URL" help:"The gate's login."`
	GateDatabaseURLFile string `name:"gate-database-url-file" env:"POSTERN_GATE_DATABASE_URL_FILE" placeholder:"FILE" help:"File that holds it."`
	GateAddr            string `env:"POSTERN_GATE_ADDR" default:"127.0.0.1:8080" placeholder:"ADDR" help:"Where the gate listens; default: ${default}."`
	DeskAddr            string `env:"POSTERN_DESK_ADDR" default:"127.0.0.1:8081" placeholder:"ADDR" help:"Where the desk listens; default: ${default}."`
	GateURL             string `name:"gate-url" env:"POSTERN_GATE_URL" placeholder:"URL" help:"How the public reaches the gate; default: its address."`
	DeskURL             string `name:"desk-url" env:"POSTERN_DESK_URL" placeholder:"URL" help:"How members reach the desk; default: its address."`
}

func (p place) config() (instance.Config, error) {
	c := instance.Config{Data: p.Data, GateAddr: p.GateAddr, DeskAddr: p.DeskAddr, GateURL: p.GateURL, DeskURL: p.DeskURL, Version: version()}
	return c, secrets([]secret{
		{&c.DatabaseURL, p.DatabaseURL, p.DatabaseURLFile, "POSTERN_DATABASE_URL"},
		{&c.GateDatabaseURL, p.GateDatabaseURL, p.GateDatabaseURLFile, "POSTERN_GATE_DATABASE_URL"},
	})
}

// outside is how an instance meets the rest of the world: flags of serve and doctor.
type outside struct {
	SMTPURL     string `name:"smtp-url" env:"POSTERN_SMTP_URL" placeholder:"URL" help:"Relay for our mail, smtp://user:password@host:587; without it mail is kept in the outbox."`
	SMTPURLFile string `name:"smtp-url-file" env:"POSTERN_SMTP_URL_FILE" placeholder:"FILE" help:"File that holds it."`
	MailFrom    string `env:"POSTERN_MAIL_FROM" placeholder:"ADDRESS" help:"Address of letters and alerts; default: the policy's contact."`

	DKIMDomain   string `name:"dkim-domain" env:"POSTERN_DKIM_DOMAIN" placeholder:"DOMAIN" help:"Sign mail with DKIM for this domain."`
	DKIMSelector string `name:"dkim-selector" env:"POSTERN_DKIM_SELECTOR" placeholder:"NAME" help:"Selector of the DKIM key."`
	DKIMKey      string `name:"dkim-key" env:"POSTERN_DKIM_KEY" placeholder:"PEM" help:"The DKIM key."`
	DKIMKeyFile  string `name:"dkim-key-file" env:"POSTERN_DKIM_KEY_FILE" placeholder:"FILE" help:"File that holds it."`
	IMAPURL      string `name:"imap-url" env:"POSTERN_IMAP_URL" placeholder:"URL" help:"Mailbox to fetch reports from, imaps://user:password@host/INBOX."`
	IMAPURLFile  string `name:"imap-url-file" env:"POSTERN_IMAP_URL_FILE" placeholder:"FILE" help:"File that holds it."`
}

func (o outside) apply(c *instance.Config) error {
	c.MailFrom, c.DKIMDomain, c.DKIMSelector = o.MailFrom, o.DKIMDomain, o.DKIMSelector
	return secrets([]secret{
		{&c.SMTPURL, o.SMTPURL, o.SMTPURLFile, "POSTERN_SMTP_URL"},
		{&c.DKIMKey, o.DKIMKey, o.DKIMKeyFile, "POSTERN_DKIM_KEY"},
		{&c.IMAPURL, o.IMAPURL, o.IMAPURLFile, "POSTERN_IMAP_URL"},
	})
}

// phrase is a passphrase given beforehand: flags of the commands that unlock.
type phrase struct {
	Passphrase     string `env:"POSTERN_PASSPHRASE" placeholder:"PHRASE" help:"Passphrase of the vault. Other users of the machine may see it; use the file."`
	PassphraseFile string `env:"POSTERN_PASSPHRASE_FILE" placeholder:"FILE" help:"File that holds it."`
}

func (p phrase) read() (string, error) {
	var s string
	err := secrets([]secret{{&s, p.Passphrase, p.PassphraseFile, "POSTERN_PASSPHRASE"}})
	return s, err
}

// secret is a value that may stand in a file.
type secret struct {
	to          *string
	value, file string
	name        string
}

func secrets(list []secret) error {
	var errs []error
	for _, s := range list {
		switch {
		case s.value != "" && s.file != "":
			errs = append(errs, fmt.Errorf("set %s or %s_FILE, not both", s.name, s.name))
		case s.file != "":
			b, err := os.ReadFile(s.file)
			if err != nil {
				errs = append(errs, fmt.Errorf("read %s_FILE: %w", s.name, err))
				continue
			}
			*s.to = strings.TrimRight(string(b), "\r\n")
			if *s.to == "" {
				errs = append(errs, fmt.Errorf("%s_FILE names an empty file", s.name))
			}
		default:
			*s.to = s.value
		}
	}
	return errors.Join(errs...)
}
