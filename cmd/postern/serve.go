package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postern/internal/instance"
)

type serveCmd struct {
	place   `embed:""`
	outside `embed:""`
	phrase  `embed:""`

	Gate bool `help:"Run the gate alone; it needs nothing but POSTERN_GATE_DATABASE_URL."`
	Desk bool `help:"Run the desk and work alone."`

	MailAddr       string   `env:"POSTERN_MAIL_ADDR" default:"127.0.0.1:2525" placeholder:"ADDR" help:"Where mail is taken: an address, the path of a socket, or off; default: ${default}."`
	MailLMTP       bool     `name:"mail-lmtp" env:"POSTERN_MAIL_LMTP" help:"Speak LMTP there instead of SMTP."`
	MailTLSCert    string   `name:"mail-tls-cert" env:"POSTERN_MAIL_TLS_CERT" placeholder:"FILE" help:"Certificate for STARTTLS there."`
	MailTLSKey     string   `name:"mail-tls-key" env:"POSTERN_MAIL_TLS_KEY" placeholder:"FILE" help:"Its key."`
	MailAuthServ   string   `name:"mail-authserv" env:"POSTERN_MAIL_AUTHSERV" placeholder:"NAME" help:"Name in Authentication-Results of the mail server in front of us, whose findings are shown; default: nobody's."`
	MetricsAddr    string   `env:"POSTERN_METRICS_ADDR" placeholder:"ADDR" help:"Where Prometheus finds metrics; default: off."`
	TrustedProxies []string `env:"POSTERN_TRUSTED_PROXIES" placeholder:"NET" help:"Networks of proxies that may say whom they speak for."`
	VaultPin       string   `env:"POSTERN_VAULT_PIN" placeholder:"HEX" help:"Fingerprint the gate demands of the vault's public key (postern key show)."`
	Letters        string   `env:"POSTERN_LETTERS" placeholder:"DIR" help:"Folder of texts that replace the built-in ones."`
	Workers        int      `env:"POSTERN_WORKERS" default:"8" placeholder:"N" help:"Mails sent at a time."`
}

func (s *serveCmd) config(con *console) (instance.Config, error) {
	c, err := s.place.config()
	if err != nil {
		return c, err
	}
	if err := s.outside.apply(&c); err != nil {
		return c, err
	}
	if c.Passphrase, err = s.phrase.read(); err != nil {
		return c, err
	}
	c.Gate, c.Desk = s.Gate, s.Desk
	c.MailAddr, c.MailLMTP, c.MailTLSCert, c.MailTLSKey = s.MailAddr, s.MailLMTP, s.MailTLSCert, s.MailTLSKey
	c.MailAuthServ = s.MailAuthServ
	c.MetricsAddr, c.TrustedProxies, c.VaultPin, c.Letters, c.Workers = s.MetricsAddr, s.TrustedProxies, s.VaultPin, s.Letters, s.Workers
	c.Log, c.Progress = logger(con.errors, false), con.progress
	return c, nil
}

// Run serves until a signal comes or a part ends by itself.
func (s *serveCmd) Run(ctx context.Context, con *console) error {
	c, err := s.config(con)
	if err != nil {
		return err
	}
	return serve(ctx, con, c)
}

// demoCmd takes what serve takes.
type demoCmd struct {
	serveCmd `embed:""`
}

// Run keeps the demo going until a signal comes.
func (d *demoCmd) Run(ctx context.Context, con *console) error {
	c, err := d.config(con)
	if err != nil {
		return err
	}
	c.Log = logger(con.errors, true)
	return runDemo(ctx, c, con.out)
}

// stopTime is how long a stop may take before it is called failed.
const stopTime = 20 * time.Second

// serve runs an instance until ctx ends.
func serve(ctx context.Context, con *console, c instance.Config) (err error) {
	in, err := instance.Start(ctx, c)
	if err != nil {
		return err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		err = errors.Join(err, in.Close(stop))
	}()
	announce(con, in)
	select {
	case <-ctx.Done():
		con.progress("Stopping …")
		return nil
	case err := <-in.Failed():
		return err
	}
}

// announce prints the addresses, for people and scripts.
func announce(con *console, in *instance.Instance) {
	if in.Gate != nil {
		fmt.Fprintln(con.out, "gate   ", in.GateURL)
	}
	if in.Desk != nil {
		fmt.Fprintln(con.out, "desk   ", in.DeskURL)
	}
	if in.MailAddr != "" {
		fmt.Fprintln(con.out, "mail   ", in.MailAddr)
	}
	if in.MetricsAddr != "" {
		fmt.Fprintf(con.out, "metrics http://%s/metrics\n", in.MetricsAddr)
	}
	if in.DB != nil && !in.DB.Vault().Unlocked() {
		fmt.Fprintln(con.out, "The vault is locked: reports are taken and sealed. Unlock it at the desk or with postern unlock.")
	}
	fmt.Fprintf(con.out, "ready after %d ms\n", in.Started.Milliseconds())
}
