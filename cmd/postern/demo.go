package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"postern/internal/auth"
	"postern/internal/demo"
	"postern/internal/instance"
	"postern/internal/letters"
	"postern/internal/postgres"
	"postern/internal/vault"
)

// demoStops bounds a graceful end.
const demoStops = 20 * time.Second

// runDemo starts a throwaway instance with sample data and keeps it running
// until ctx ends. It is told what takes a while, and prints the addresses and
// a sign-in link that works once.
func runDemo(ctx context.Context, c instance.Config, out io.Writer) error {
	say := func(line string) { fmt.Fprintln(out, line) }
	var sample *demo.Sample
	c.Demo, c.Gate, c.Desk, c.Progress = true, true, true, say
	c.PasswordCost, c.VaultCost = auth.TestCost, vault.TestCost // nothing in it is worth guarding
	c.Setup = func(ctx context.Context, db *postgres.DB) (err error) {
		sample, err = demo.Prepare(ctx, demo.PrepareConfig{DB: db, Data: c.Data, Version: c.Version, Progress: say})
		return err
	}
	in, err := instance.Start(ctx, c)
	if err != nil {
		return err
	}
	err = keepDemo(ctx, in, sample, out)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), demoStops)
	defer cancel()
	return errors.Join(err, in.Close(stop))
}

func keepDemo(ctx context.Context, in *instance.Instance, sample *demo.Sample, out io.Writer) error {
	texts, err := letters.New(nil)
	if err != nil {
		return err
	}
	filled := sample.Filled
	_, err = demo.Fill(ctx, demo.Config{DB: in.DB, Work: in.Work, Letters: texts, Sample: sample, Gate: in.GateURL, Desk: in.DeskURL,
		Progress: func(line string) { fmt.Fprintln(out, line) }})
	if ctx.Err() != nil {
		return nil // stopped while filling; the next start goes on
	}
	if err != nil {
		return err
	}
	link := in.Desk.Link(ctx, sample.Member("Ada").ID)
	if err := sample.SetSignIn(link); err != nil {
		return err
	}
	if filled {
		if held, err := in.DB.Held(ctx); err == nil && !held.Since.IsZero() {
			fmt.Fprintln(out, "The instance is held; the desk says why and lets go.")
		}
	}
	fmt.Fprintf(out, `
  The gate, for the public:   %s
  The desk, for the team:     %s
  Mail to the team, by SMTP:  %s
  Sign in as Ada, once:       %s

Passwords, second factors and mailbox codes of the sample people: %s
Ctrl-C stops everything. The data stay; remove the folder to begin anew.
`, in.GateURL, in.DeskURL, cmp.Or(in.MailAddr, "not taken"), link, sample.File())
	select {
	case <-ctx.Done():
		fmt.Fprintln(out, "Stopping …")
		return nil
	case err := <-in.Failed():
		return err
	}
}
