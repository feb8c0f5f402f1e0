// Package demo fills a throwaway instance, so that a newcomer finds a team at
// work: members, a list of distributors with real keys, cases in every state
// and releases on their way. Everything in it was made by the operations that
// people use, reports through the gate's own address, over thirty days of
// moved time. It promises to touch only a database it made itself.
package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"postern/internal/auth"
	"postern/internal/disclosure"
	"postern/internal/letters"
	"postern/internal/pgp"
	"postern/internal/policy"
	"postern/internal/postgres"
	"postern/internal/publish"
	"postern/internal/vault"
	"postern/internal/work"
)

// ErrNotOurs: the database holds an instance that no demo made.
var ErrNotOurs = errors.New("this database belongs to an instance that is not a demo: name another one, or another POSTERN_DATA")

// history is how long before the first start the sample's story begins.
const history = 30 * 24 * time.Hour

// PrepareConfig is what Prepare needs; everything is required but Progress.
type PrepareConfig struct {
	DB       *postgres.DB // its policy parser set
	Data     string       // $POSTERN_DATA: demo.json and demo/ lie there
	Version  string       // of the program, which renders the first pages
	Progress func(string) // told a line at a time; nil: nobody is
}

// Prepare makes the instance with its vault, policy, team key, members and first
// pages, or finds those of an earlier start, and leaves the vault unlocked. The
// doors can be opened after it. ErrNotOurs when the database is somebody's.
func Prepare(ctx context.Context, c PrepareConfig) (*Sample, error) {
	say := teller(c.Progress)
	s, err := load(c.Data)
	if err != nil {
		return nil, err
	}
	ours, err := c.DB.IsDemo(ctx)
	switch {
	case errors.Is(err, disclosure.ErrNotFound):
		*s = Sample{file: s.file} // another database's notes are of no use
		if err := s.setup(ctx, c.DB); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	case !ours || s.Passphrase == "":
		return nil, ErrNotOurs
	default:
		if _, err := c.DB.Vault().Unlock(s.Passphrase); err != nil {
			return nil, fmt.Errorf("%w: the passphrase in demo.json does not open its vault", ErrNotOurs)
		}
		if s.Filled {
			say(fmt.Sprintf("Kept from the last start: %s", s.kept()))
		} else {
			say("Going on where the last start was interrupted")
		}
	}
	for _, part := range []struct {
		name string
		do   func(context.Context, *postgres.DB) error
	}{
		{"policy", s.applyPolicy}, {"team key", s.teamKey}, {"members", s.invite}, {"distributors", s.enroll},
		{"first pages", func(ctx context.Context, db *postgres.DB) error { return s.render(ctx, db, c.Version) }},
	} {
		if err := s.once(part.name, func() error { return part.do(ctx, c.DB) }); err != nil {
			return nil, fmt.Errorf("make the demo's %s: %w", part.name, err)
		}
	}
	return s, nil
}

func teller(f func(string)) func(string) {
	if f == nil {
		return func(string) {}
	}
	return f
}

// Config is what Fill needs; everything is required but HTTP and Progress.
type Config struct {
	DB      *postgres.DB
	Work    *work.Work
	Letters *letters.Letters
	Sample  *Sample // as Prepare returned it
	Gate    string  // the gate's address, without trailing slash; it answers already
	Desk    string
	HTTP    *http.Client // nil: the default one
	// Progress is told a line at a time what takes a while.
	Progress func(string)
}

// Fill plays the sample's story, or what is left of it, until its time is
// wall time, and writes demo.json. What an earlier start has done is kept.
func Fill(ctx context.Context, c Config) (*Sample, error) {
	s := c.Sample
	s.Gate, s.Desk = c.Gate, c.Desk
	if c.HTTP == nil {
		c.HTTP = http.DefaultClient
	}
	if !s.Filled {
		began := time.Now()
		p := &player{Config: c, say: teller(c.Progress)}
		if err := p.play(ctx); err != nil {
			return nil, fmt.Errorf("fill the demo: %w", err)
		}
		s.Filled = true
		p.say(fmt.Sprintf("Sample data made in %.1f s: %s", time.Since(began).Seconds(), s.kept()))
	}
	return s, s.save()
}

// setup makes the vault and gives the database to a new instance, whose time
// begins in the past.
func (s *Sample) setup(ctx context.Context, db *postgres.DB) error {
	id := vault.NewInstanceID()
	passphrase, _ := auth.NewToken()
	began := db.Wall().Add(-history)
	made, err := vault.Setup(id, "Ada", passphrase, began, vault.TestCost)
	if err != nil {
		return fmt.Errorf("make the demo's vault: %w", err)
	}
	s.Passphrase, s.Recovery, s.Began = passphrase, made.Recovery, began
	// Written first: a database without its passphrase would be lost.
	if err := s.save(); err != nil {
		return err
	}
	return db.Setup(ctx, system, postgres.NewInstance{
		ID: id, Record: made.Record, Slots: made.Slots, Vault: made.Vault, Demo: true, Moved: -history})
}

var system = disclosure.System("demo")

func (s *Sample) applyPolicy(ctx context.Context, db *postgres.DB) error {
	text, err := policy.Preset("demo")
	if err != nil {
		return err
	}
	_, err = db.ApplyPolicy(ctx, system, []byte(text))
	return err
}

func (s *Sample) teamKey(ctx context.Context, db *postgres.DB) error {
	p, err := db.CurrentPolicy(ctx)
	if err != nil {
		return err
	}
	secret, revocation, err := pgp.NewTeam(p.Project.Name+" security team", p.Contact.Address, db.Now())
	if err != nil {
		return err
	}
	cert := secret.Certificate()
	if err := s.write("team-revocation.asc", revocation); err != nil {
		return err
	}
	s.TeamKey = cert.Fingerprint()
	return db.StoreTeamKey(ctx, system, cert.Fingerprint(), cert.Binary(), secret.Bytes())
}

// render makes the first edition, so that the gate has something to show from
// its first moment on.
func (s *Sample) render(ctx context.Context, db *postgres.DB, version string) error {
	keys, err := db.TeamKeys(ctx, system)
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return errors.New("there is no team key")
	}
	secret, err := pgp.ParseSecret(keys[0].Secret, nil)
	if err != nil {
		return err
	}
	r := publish.Renderer{Version: version, Now: db.Now, Demo: true,
		Sign: func(text []byte, now time.Time) ([]byte, error) { return pgp.ClearSign(text, secret, now) }}
	return db.PublishSite(ctx, system, r.Render)
}

// write puts a file into $POSTERN_DATA/demo, for this user alone.
func (s *Sample) write(name string, b []byte) error {
	path := filepath.Join(filepath.Dir(s.file), "demo", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the demo's folder: %w", err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return fmt.Errorf("write a file of the demo: %w", err)
	}
	return nil
}
