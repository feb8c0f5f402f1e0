// Package world starts the very program for end-to-end tests: one instance on
// a database of its own, with both doors open, a real SMTP server behind it,
// and time that the test moves. It exists apart from the tests so that those
// in a browser and those without use the same one. Tests alone import it.
package world

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/auth"
	"postern/internal/demo"
	"postern/internal/disclosure"
	"postern/internal/instance"
	"postern/internal/letters"
	"postern/internal/pgp"
	"postern/internal/policy"
	"postern/internal/postgres"
	"postern/internal/postgres/embedded/pgtest"
	"postern/internal/smtp"
	"postern/internal/vault"
)

// Passphrase opens the vault; Password is every member's.
const (
	Passphrase = "the passphrase of the end-to-end world"
	Password   = "seven lanterns over the gate"
)

// World is one running instance.
type World struct {
	*instance.Instance
	T      testing.TB
	Data   string       // $POSTERN_DATA
	Sink   *smtp.Sink   // nil: mail is kept in the outbox
	Sample *demo.Sample // of a demo
	Log    *Log         // all that was logged
	Owner  string       // connection string of the login that owns the database

	members map[string]*member
	wall    atomic.Int64
}

type member struct {
	caller disclosure.Caller
	totp   auth.TOTPSecret
	step   int64 // of the last code given out
	pass   string
}

// Config changes what New makes; the zero value is an instance with the
// preset policy "demo", a team of four, mail to a sink, and work that waits to
// be called.
type Config struct {
	Policy  string // TOML
	Demo    bool   // with the sample data of package demo, its people, and an outbox
	Outbox  bool   // mail is kept instead of sent to a sink
	Running bool   // work runs by itself
	// Change sets what the fields above do not, before the instance starts.
	Change func(*instance.Config)
}

// Log keeps what was logged.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// New starts a world that ends with the test.
func New(t testing.TB, c Config) *World {
	t.Helper()
	ctx := context.Background()
	w := &World{T: t, Data: t.TempDir(), Log: &Log{}, members: map[string]*member{}}
	var desk, gate string
	w.Owner, desk, gate = pgtest.Clone(t, "postern", func(owner string) error {
		_, err := postgres.Migrate(ctx, owner)
		return err
	})
	conf := instance.Config{
		DatabaseURL: desk, GateDatabaseURL: gate, Data: w.Data, GateAddr: "127.0.0.1:0", DeskAddr: "127.0.0.1:0", MailAddr: "127.0.0.1:0",
		Version: "test", Demo: true, Paused: !c.Running, Wall: w.Wall, PasswordCost: auth.TestCost, VaultCost: vault.TestCost,
		Log: slog.New(slog.NewTextHandler(w.Log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if !c.Demo && !c.Outbox {
		var err error
		if w.Sink, err = smtp.NewSink(smtp.SinkConfig{TLS: true}); err != nil {
			t.Fatalf("start an SMTP server: %v", err)
		}
		t.Cleanup(func() { w.Sink.Close() })
		conf.SMTPURL, conf.TLS = w.Sink.URL(), &tls.Config{RootCAs: w.Sink.Pool()}
	}
	conf.Setup = func(ctx context.Context, db *postgres.DB) (err error) {
		if c.Demo {
			w.Sample, err = demo.Prepare(ctx, demo.PrepareConfig{DB: db, Data: w.Data, Version: "test"})
			return err
		}
		return w.setup(ctx, db, c)
	}
	if c.Change != nil {
		c.Change(&conf)
	}
	in, err := instance.Start(ctx, conf)
	if err != nil {
		t.Fatalf("start an instance: %v\n%s", err, w.Log)
	}
	w.Instance = in
	t.Cleanup(func() {
		if err := in.Close(context.Background()); err != nil {
			t.Errorf("close the instance: %v", err)
		}
	})
	if c.Demo {
		w.fill(ctx)
	}
	w.Settle()
	w.Ready()
	return w
}

func (w *World) fill(ctx context.Context) {
	w.T.Helper()
	l, err := letters.New(nil)
	if err == nil {
		_, err = demo.Fill(ctx, demo.Config{DB: w.DB, Work: w.Work, Letters: l, Sample: w.Sample, Gate: w.GateURL, Desk: w.DeskURL})
	}
	if err != nil {
		w.T.Fatalf("fill the demo: %v", err)
	}
	for _, m := range w.Sample.Members {
		secret, err := auth.ParseTOTPSecret(m.TOTP)
		if err != nil {
			w.T.Fatalf("read %s's second factor: %v", m.Name, err)
		}
		x, err := w.DB.Member(ctx, disclosure.System("test"), m.ID)
		if err != nil {
			w.T.Fatalf("find %s: %v", m.Name, err)
		}
		w.members[m.Name] = &member{caller: x.Caller(), totp: secret, pass: m.Password}
	}
}

// setup makes the instance as init and the first days would.
func (w *World) setup(ctx context.Context, db *postgres.DB, c Config) error {
	by := disclosure.System("test")
	id := vault.NewInstanceID()
	made, err := vault.Setup(id, "Ada", Passphrase, db.Now(), vault.TestCost)
	if err != nil {
		return err
	}
	err = db.Setup(ctx, by, postgres.NewInstance{ID: id, Record: made.Record, Slots: made.Slots, Vault: made.Vault, Demo: true})
	if err != nil {
		return err
	}
	if c.Policy == "" {
		if c.Policy, err = policy.Preset("demo"); err != nil {
			return err
		}
	}
	p, err := db.ApplyPolicy(ctx, by, []byte(c.Policy))
	if err != nil {
		return err
	}
	key, _, err := pgp.NewTeam(p.Project.Name+" security team", p.Contact.Address, db.Now())
	if err != nil {
		return err
	}
	if err := db.StoreTeamKey(ctx, by, key.Certificate().Fingerprint(), key.Certificate().Binary(), key.Bytes()); err != nil {
		return err
	}
	hash, err := auth.HashPassword(Password, auth.TestCost)
	if err != nil {
		return err
	}
	for _, m := range []struct {
		name  string
		roles disclosure.Roles
	}{
		{"Ada", disclosure.Triager | disclosure.Releaser | disclosure.Admin | disclosure.Auditor},
		{"Tove", disclosure.Triager}, {"Ravi", disclosure.Releaser}, {"Olek", disclosure.Auditor},
	} {
		token := sha256.Sum256([]byte("invitation of " + m.name))
		if _, err := db.Invite(ctx, by, m.name, strings.ToLower(m.name)+"@lantern.example", m.roles, token[:], db.Wall().Add(time.Hour)); err != nil {
			return err
		}
		secret := auth.NewTOTPSecret()
		x, err := db.AcceptInvite(ctx, token[:], hash, secret, 1)
		if err != nil {
			return err
		}
		if m.name == made.Slots[0].Label {
			if err := db.GiveSlot(ctx, by, made.Slots[0].ID, x.ID); err != nil {
				return err
			}
		}
		w.members[m.name] = &member{caller: x.Caller(), totp: secret, pass: Password}
	}
	return nil
}

// Wall is the world's wall time.
func (w *World) Wall() time.Time { return time.Now().Add(time.Duration(w.wall.Load())) }

// Settle lets work do all that is due.
func (w *World) Settle() {
	w.T.Helper()
	if _, err := w.Work.Once(context.Background()); err != nil {
		w.T.Fatalf("work: %v", err)
	}
}

// Advance moves the time that everything waits for, and lets work do what
// became due.
func (w *World) Advance(d time.Duration) {
	w.T.Helper()
	if err := w.MoveTime(context.Background(), d); err != nil {
		w.T.Fatalf("move the time: %v", err)
	}
}

// Member is a team member who has stepped up just now.
func (w *World) Member(name string) disclosure.Caller {
	w.T.Helper()
	m := w.member(name)
	c := m.caller
	c.Verified = w.DB.Wall()
	return c
}

func (w *World) member(name string) *member {
	w.T.Helper()
	m := w.members[name]
	if m == nil {
		w.T.Fatalf("the world has no member %q", name)
	}
	return m
}

// Login, Pass and Code are what a member types to sign in. A code is good once:
// where the last one was given out in this half minute, wall time goes on to
// the next.
func (w *World) Login(name string) string { return strings.ToLower(name) + "@lantern.example" }

// Pass is a member's password.
func (w *World) Pass(name string) string { return w.member(name).pass }

// Code is a member's code of the moment.
func (w *World) Code(name string) string {
	w.T.Helper()
	m := w.member(name)
	for w.Wall().Unix()/30 <= m.step {
		w.wall.Add(int64(30 * time.Second))
	}
	m.step = w.Wall().Unix() / 30
	return auth.TOTPCode(m.totp, w.Wall())
}

// Ready waits until the gate serves the newest edition.
func (w *World) Ready() {
	w.T.Helper()
	w.Until("the gate to serve the newest edition", func() bool {
		var number int64
		err := w.DB.Pool().QueryRow(context.Background(), `SELECT number FROM edition`).Scan(&number)
		return err == nil && number > 0 && w.Gate.Edition() == number
	})
}

// Until polls for something that happens by itself, for ten seconds.
func (w *World) Until(what string, ok func() bool) {
	w.T.Helper()
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	w.T.Fatalf("waited ten seconds for %s\n%s", what, w.Log)
}
