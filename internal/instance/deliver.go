package instance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"postern/internal/disclosure"
	"postern/internal/gate"
	"postern/internal/postgres"
	"postern/internal/postgres/embedded"
	"postern/internal/postgres/gatedb"
)

// ErrTooLarge: the mail is larger than the policy allows; another attempt is
// of no use.
var ErrTooLarge = errors.New("the mail is larger than the policy allows")

// Deliver stores one mail as the gate would, from a process of its own that
// has the gate's login and no other. nil means that it is committed. Any error
// but ErrTooLarge is worth another attempt.
func Deliver(ctx context.Context, c Config, e disclosure.Envelope, r io.Reader) (err error) {
	c.Gate, c.Desk = true, c.GateDatabaseURL == ""
	if err := c.defaults(); err != nil {
		return err
	}
	noCoreDumps()
	url := c.GateDatabaseURL
	if url == "" {
		if url, err = embedded.RunningGate(filepath.Join(c.Data, "postgres")); err != nil {
			return err
		}
	}
	db, err := gatedb.Open(ctx, url)
	if err != nil {
		return err
	}
	defer db.Close()
	version, err := db.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	if want := postgres.KnownSchema(); version != want {
		return fmt.Errorf("the database has schema %d, this program knows %d: run postern migrate, or install the same version here", version, want)
	}
	g := gate.New(gate.Config{DB: db, Version: c.Version, Schema: version, Now: c.Wall, Pin: c.VaultPin, Log: c.Log})
	run, stop := context.WithCancel(ctx)
	defer stop()
	if err := g.Start(run); err != nil {
		return err
	}
	if err := g.Receive(ctx, disclosure.ByMail, e, r); err != nil {
		if errors.Is(err, gate.ErrTooLarge) {
			return fmt.Errorf("%w: %w", ErrTooLarge, err)
		}
		return err
	}
	return nil
}
