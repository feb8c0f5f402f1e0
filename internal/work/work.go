// Package work is what happens without a person. It decides nothing: it opens
// what came, sends what was approved, tells members, lets promises tick and
// renders what has to be renewed. What is due stands in rows; several
// processes may work at once, because each takes its rows in a transaction of
// its own. While the vault is locked it does what needs no key and leaves the
// rest where it is. Every loop is bounded, one bad item stops no other, and
// all of it ends within seconds of its context.
package work

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postern/internal/disclosure"
	"postern/internal/letters"
	"postern/internal/mail"
	"postern/internal/pgp"
	"postern/internal/postgres"
	"postern/internal/smtp"
	"postern/internal/vault"
)

// Config is what work needs. DB, Sender and Letters are required.
type Config struct {
	DB      *postgres.DB
	Sender  smtp.Sender
	Letters *letters.Letters

	From string // address our mails come from; empty: the policy's contact address
	// AuthServ is the name in Authentication-Results of the mail server in front
	// of us (RFC 8601 §2.2); empty: nobody's findings are shown.
	AuthServ string
	DeskURL  string // links in members' mails; no trailing slash
	GateURL  string // no trailing slash
	Version  string // of the program; documents rendered by another one are rendered again
	Data     string // folder of the journal mark ($POSTERN_DATA); empty: none is kept

	Workers int           // mails in flight at a time in this process; 0: 4
	Sweep   time.Duration // how often everything is looked at without being woken; 0: 2 s
	Parse   Parsers       // of what strangers sent; nil fields: package mail's
	Limits  mail.Limits   // of what is opened; zero: mail.DefaultLimits with room for 40 MiB
	Demo    bool
	Log     *slog.Logger // nil: discarded
}

// Parsers make sense of bytes that somebody sent. Whatever they do, panic
// included, what they were given is kept.
type Parsers struct {
	Mail   func(context.Context, mail.Input, pgp.Ring, time.Time, mail.Limits) (*mail.Message, error)
	Posted func(context.Context, mail.Input, pgp.Ring, time.Time, mail.Limits) (*mail.Message, error)
	File   func(ctx context.Context, name, mediaType string, in mail.Input, ring pgp.Ring, now time.Time, limits mail.Limits) (*mail.Message, error)
}

func (p *Parsers) fill() {
	if p.Mail == nil {
		p.Mail = mail.ReadInput
	}
	if p.Posted == nil {
		p.Posted = mail.ReadPostedInput
	}
	if p.File == nil {
		p.File = mail.ReadFile
	}
}

// Stats counts since the start, for metrics.
type Stats struct {
	Opened, Sent, Deferred, Uncertain, Rejected, Alerts, Replies, Rendered, Panics, Failures atomic.Int64
}

// Work is one process's share. Make it with New.
type Work struct {
	c     Config
	Stats Stats

	keys     keyring
	prepared prepared
	parts    []*part

	site struct {
		sync.Mutex
		at     time.Time // of the last rendering, program's time
		signer string    // and whose key it had; "": none
	}
	locked struct {
		sync.Mutex
		asked time.Time
		was   bool // unlocked
	}
	beaten atomic.Int64 // wall time of the last beat, in nanoseconds
	began  atomic.Bool
}

// part is one kind of work: do takes what is due, at most a batch, and says
// how much it did.
type part struct {
	name string
	do   func(context.Context) (int, error)
	wake chan struct{}
	last string // the error last logged, so that a lasting one is logged once
}

// batch bounds one look of one part.
const batch = 200

// New does nothing yet but fill in the defaults.
func New(c Config) *Work {
	if c.Workers <= 0 {
		c.Workers = 4
	}
	if c.Sweep <= 0 {
		c.Sweep = 2 * time.Second
	}
	c.Parse.fill()
	if c.Limits == (mail.Limits{}) {
		c.Limits = mail.DefaultLimits
		c.Limits.Message = 40 << 20 // what the listener takes: 25 MiB of files in base64
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.DeskURL, c.GateURL = strings.TrimRight(c.DeskURL, "/"), strings.TrimRight(c.GateURL, "/")
	w := &Work{c: c}
	w.keys.db = c.DB
	for _, p := range []struct {
		name string
		do   func(context.Context) (int, error)
	}{
		{"ticks", w.ticks}, {"arrivals", w.arrivals}, {"again", w.again}, {"messages", w.messages},
		{"deliveries", w.deliveries}, {"mailboxes", w.mailboxes}, {"news", w.news}, {"alerts", w.alerts}, {"site", w.renew},
	} {
		w.parts = append(w.parts, &part{name: p.name, do: p.do, wake: make(chan struct{}, 1)})
	}
	return w
}

func by(part string) disclosure.Caller { return disclosure.System("work: " + part) }

// Begin compares the database with what this machine last saw of it, and
// holds the instance when they do not belong together. Run and Once call it;
// it acts once.
func (w *Work) Begin(ctx context.Context) error {
	if w.began.Load() {
		return nil
	}
	held, err := w.c.DB.CheckHeld(ctx, w.mark())
	if err != nil {
		return fmt.Errorf("compare the database with what was last seen: %w", err)
	}
	if !held.Since.IsZero() {
		w.c.Log.Warn("the instance is held: nothing is sent or published until a member lets go", "since", held.Since, "because", held.Because)
	}
	w.began.Store(true)
	return nil
}

// Run works until ctx ends, and returns nil then. Another error means that it
// could not begin.
func (w *Work) Run(ctx context.Context) error {
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		err := w.Begin(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return nil
		}
		if !errors.Is(err, postgres.ErrUnavailable) {
			return err
		}
		w.c.Log.Warn("work waits for the database", "error", err)
		if !pause(ctx, wait) {
			return nil
		}
	}
	var all sync.WaitGroup
	all.Go(func() { w.c.DB.Listen(ctx, w.Wake) })
	all.Go(func() { w.watchVault(ctx) })
	for _, p := range w.parts {
		all.Go(func() { w.loop(ctx, p) })
	}
	all.Wait()
	w.keys.forget()
	return nil
}

// Wake makes every part look at once. It does not block.
func (w *Work) Wake() {
	for _, p := range w.parts {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

func (w *Work) loop(ctx context.Context, p *part) {
	tick := time.NewTicker(w.c.Sweep)
	defer tick.Stop()
	for {
		for ctx.Err() == nil {
			n, err := w.guarded(ctx, p)
			w.report(p, err)
			if n == 0 || err != nil {
				break
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-tick.C:
		}
	}
}

// guarded runs a part's look; a panic in it is an error of this look alone.
func (w *Work) guarded(ctx context.Context, p *part) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			w.Stats.Panics.Add(1)
			err = fmt.Errorf("panic in %s: %s", p.name, panicText(r))
			w.c.Log.Error("work panicked; the item is tried again later", "part", p.name, "stack", stack())
		}
	}()
	return p.do(ctx)
}

// panicText says what kind of panic it was; a value might hold what was read.
func panicText(r any) string {
	if err, ok := r.(interface{ RuntimeError() }); ok {
		return fmt.Sprint(err)
	}
	return fmt.Sprintf("%T", r)
}

// stack names the functions, without their arguments' values.
func stack() string {
	var lines []string
	for line := range strings.Lines(string(debug.Stack())) {
		if strings.HasPrefix(line, "\t") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines[:min(len(lines), 20)], " < ")
}

func (w *Work) report(p *part, err error) {
	if err == nil || quiet(err) {
		p.last = ""
		return
	}
	w.Stats.Failures.Add(1)
	if text := err.Error(); text != p.last {
		p.last = text
		w.c.Log.Warn("work could not finish; it tries again", "part", p.name, "error", err)
	}
}

// quiet errors are states of the instance which the desk shows.
func quiet(err error) bool {
	return errors.Is(err, vault.ErrLocked) || errors.Is(err, disclosure.ErrHeld) || errors.Is(err, context.Canceled)
}

// Once does everything that is due now, and what becomes due by doing it, and
// says how much that was. It is for tests and for a demo whose time was moved.
// A part that fails does not keep the others from being tried; the errors
// come together.
func (w *Work) Once(ctx context.Context) (did int, err error) {
	if err := w.Begin(ctx); err != nil {
		return 0, err
	}
	const rounds = 1000
	for range rounds {
		sum := 0
		var errs []error
		for _, p := range w.parts {
			n, err := w.guarded(ctx, p)
			sum += n
			if err != nil && !quiet(err) {
				errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
			}
			if ctx.Err() != nil {
				return did + sum, ctx.Err()
			}
		}
		did += sum
		if sum == 0 || len(errs) > 0 {
			return did, errors.Join(errs...)
		}
	}
	return did, fmt.Errorf("something is due again and again: %d rounds were not enough", rounds)
}

// watchVault forgets keys when the vault is locked, and wakes everybody when
// it is unlocked.
func (w *Work) watchVault(ctx context.Context) {
	for ctx.Err() == nil {
		v := w.c.DB.Vault()
		if v == nil {
			if !pause(ctx, time.Second) {
				return
			}
			continue
		}
		changed := v.Watch()
		if v.Unlocked() {
			w.Wake()
		} else {
			w.keys.forget()
			w.prepared.forget()
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
}

func (w *Work) unlocked() bool {
	v := w.c.DB.Vault()
	return v != nil && v.Unlocked()
}

// pause is false when ctx ended meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
