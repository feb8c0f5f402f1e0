package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/internal/instance"
)

// Exit codes a mail server understands (sysexits.h): keep it and try again, or
// give it back.
const (
	exTempFail exit = 75
	exDataErr  exit = 65
)

// deliverTime bounds one delivery: the mail server waits for its end.
const deliverTime = 2 * time.Minute

type deliverCmd struct {
	place    `embed:""`
	VaultPin string   `env:"POSTERN_VAULT_PIN" placeholder:"HEX" help:"Fingerprint demanded of the vault's public key."`
	From     string   `short:"f" env:"SENDER" placeholder:"ADDRESS" help:"Return path of the mail; empty: the null sender."`
	To       []string `name:"to" sep:"none" placeholder:"ADDRESS" help:"Whom it was sent to, may be repeated; default: ORIGINAL_RECIPIENT or RECIPIENT, as Postfix sets them."`
	Others   []string `arg:"" optional:"" name:"recipient" help:"The same."`

	Original  string `hidden:"" env:"ORIGINAL_RECIPIENT"`
	Recipient string `hidden:"" env:"RECIPIENT"`
}

// Run takes one mail from standard input. It ends with 0 once the mail is
// committed, with 65 when it is larger than the policy allows, and with 75,
// which has the mail server keep it, in every other case.
func (d *deliverCmd) Run(ctx context.Context, con *console) error {
	ctx, cancel := context.WithTimeout(ctx, deliverTime)
	defer cancel()
	c, err := d.place.config()
	if err == nil {
		c.VaultPin = d.VaultPin
		err = instance.Deliver(ctx, c, d.envelope(), withoutFromLine(con.in))
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, instance.ErrTooLarge):
		fmt.Fprintln(con.errors, "postern:", err)
		return exDataErr
	}
	fmt.Fprintln(con.errors, "postern: the mail was not taken, try again:", err)
	return exTempFail
}

func (d *deliverCmd) envelope() disclosure.Envelope {
	e := disclosure.Envelope{From: strings.Trim(d.From, "<> "), To: append(d.To, d.Others...)}
	if e.From == "MAILER-DAEMON" { // as Postfix writes the null sender
		e.From = ""
	}
	for _, to := range []string{d.Original, d.Recipient} {
		if len(e.To) == 0 && to != "" {
			e.To = []string{to}
		}
	}
	return e
}

// withoutFromLine drops the "From sender date" line that local delivery puts
// above a mail: it is not part of it.
func withoutFromLine(r io.Reader) io.Reader {
	first := make([]byte, len("From "))
	n, err := io.ReadFull(r, first)
	first = first[:n]
	if err != nil || string(first) != "From " {
		return io.MultiReader(bytes.NewReader(first), r)
	}
	one := make([]byte, 1)
	for range 2000 {
		if _, err := io.ReadFull(r, one); err != nil || one[0] == '\n' {
			break
		}
	}
	return r
}
