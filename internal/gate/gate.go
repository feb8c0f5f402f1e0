// Package gate is the public's door: it adds arrivals, and reads documents and
// mailboxes. It logs in to the database as one who can do nothing else, keeps
// no secret, sets no cookie and knows nobody. Its answers are the same whether
// or not a secret exists.
package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"postern/internal/disclosure"
	"postern/internal/pgp"
	"postern/internal/postgres/gatedb"
	"postern/internal/server"
	"postern/internal/vault"
	"postern/web/public"
	"postern/web/ui"
)

// Config is what a gate needs.
type Config struct {
	DB      *gatedb.DB
	URL     string           // where the public finds us, without trailing slash
	Spool   string           // folder for bodies larger than memory should hold; ciphertext only
	Version string           // of the program
	Schema  int64            // the schema this program knows
	Now     func() time.Time // time as the instance moves it; nil: time.Now
	Proxies []netip.Prefix   // believed when they say whom they speak for
	Pin     string           // fingerprint the vault's public key must have; empty: any
	Demo    bool
	Limits  Limits
	Log     *slog.Logger
}

// Limits are the gate's own; the policy's size limit comes on top.
type Limits struct {
	Reports int           // reports and messages a window from one address; 0: 60
	Window  time.Duration // 0: ten minutes
	Lookups int           // mailbox look-ups a window from one address; 0: 120
	Uploads int           // bodies read at once, and files of replies sent at once; 0: 64
	Each    int           // of those, from one address; 0: 8
	Mails   int           // mails taken at once, beside the bodies; 0: 16
	Looks   int           // mailboxes opened at once; 0: 16
	Stores  int           // bodies larger than memory should hold, stored at once; 0: 2
	Bytes   int64         // what one address may bring a window before it may bring less at once; 0: 512 MiB
	// Beyond the allowance an address is served one request every SlowEvery
	// (0: 10 s), each of which waits at most SlowWait for that (0: 30 s).
	SlowEvery, SlowWait time.Duration
}

// Gate is the public's door. Start makes it read what is public, and go on
// doing so.
type Gate struct {
	c      Config
	server *server.Server
	set    atomic.Pointer[set]
	// The beginnings of bodies, then the bodies that are longer, then mails
	// have places of their own.
	beginnings, uploads, mails *places
	downloads                  *places       // files of replies, which a slow reader keeps in memory
	looks                      chan struct{} // one mailbox is opened in each
	stores                     chan struct{} // one spooled body is stored in each
	traffic                    *traffic
	heavy                      chan struct{} // one JSON body beyond heavyJSON is taken apart at a time
	line                       *line
}

// set is one edition with the keys that were current with it. It is swapped whole.
type set struct {
	edition  *gatedb.Edition
	file     *disclosure.GateFile
	instance vault.InstanceID
	vault    *vault.Public
	cert     *pgp.Certificate
	ours     []uint64 // key ids of all our subkeys, ever
	retired  map[uint64]bool
}

// New registers the routes. Nothing is served before Start.
func New(c Config) *Gate {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	l := &c.Limits
	l.Reports, l.Lookups, l.Uploads = or(l.Reports, 60), or(l.Lookups, 120), or(l.Uploads, 64)
	l.Each, l.Mails, l.Looks, l.Stores = or(l.Each, 8), or(l.Mails, 16), or(l.Looks, 16), or(l.Stores, 2)
	if l.Bytes == 0 {
		l.Bytes = 512 << 20
	}
	if l.Window == 0 {
		l.Window = 10 * time.Minute
	}
	if l.SlowEvery == 0 {
		l.SlowEvery = 10 * time.Second
	}
	if l.SlowWait == 0 {
		l.SlowWait = 30 * time.Second
	}
	g := &Gate{c: c, beginnings: newPlaces(8*l.Uploads, 16*l.Each), uploads: newPlaces(l.Uploads, l.Each), mails: newPlaces(l.Mails, l.Mails),
		downloads: newPlaces(l.Uploads, l.Each),
		looks:     make(chan struct{}, l.Looks), stores: make(chan struct{}, l.Stores),
		traffic: newTraffic(l.Bytes, l.Window), heavy: make(chan struct{}, 1), line: newLine(l.SlowEvery, l.SlowWait)}
	g.server = server.New(server.Config{
		Name: "gate", BaseURL: c.URL, Proxies: c.Proxies, Log: c.Log,
		Problem: g.problem, ErrorPage: g.errorPage,
	})
	g.routes()
	return g
}

func or(n, fallback int) int {
	if n == 0 {
		return fallback
	}
	return n
}

func (g *Gate) routes() {
	s := g.server
	g.documents()
	s.Page("/healthz", g.healthz)
	s.Page("/readyz", g.readyz)

	// A page and the API beside it draw on one allowance; what is beyond it goes
	// to the same handler, slower.
	handlers := map[string]server.Handler{
		public.PathReport: g.metered(g.report), PathReports: g.problems(g.metered(g.apiReport)),
		public.PathRequest: g.metered(g.request),
		public.PathMailbox: g.metered(g.mailbox), PathMessages: g.problems(g.metered(g.apiMailbox)),
	}
	beyond := g.slower(func(w http.ResponseWriter, r *http.Request) error { return handlers[r.URL.Path](w, r) })
	reports := s.Limit(g.c.Limits.Reports, g.c.Limits.Window, beyond)
	lookups := s.Limit(g.c.Limits.Lookups, g.c.Limits.Window, beyond)

	begun := s.Before(g.begun)
	program := s.Before(func(w http.ResponseWriter, r *http.Request) (next *http.Request, err error) {
		err = g.problems(func(w http.ResponseWriter, r *http.Request) (err error) {
			next, err = g.begun(w, r)
			return err
		})(w, r)
		return next, err
	})
	s.Page(public.PathReport, g.reportForm)
	s.Form(public.PathReport, maxBody, handlers[public.PathReport], begun, reports)
	s.Page(public.PathRequest, g.requestForm)
	s.Form(public.PathRequest, maxBody, handlers[public.PathRequest], begun, reports)
	s.Page(public.PathMailbox, g.mailboxForm)
	s.Form(public.PathMailbox, maxBody, handlers[public.PathMailbox], begun, lookups)
	s.API(PathReports, maxBody, handlers[PathReports], program, reports)
	s.API(PathMessages, maxBody, handlers[PathMessages], program, lookups)
	for _, path := range []string{PathReports, PathMessages} {
		s.Page(path, g.problems(func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Allow", http.MethodPost)
			return problem("method", http.StatusMethodNotAllowed, "This address takes POST", "See "+PathOpenAPI+".")
		}))
	}
	s.Page(PathOpenAPI, openAPI)
	// A program reads no page, whatever address it got wrong.
	none := g.problems(func(http.ResponseWriter, *http.Request) error {
		return problem("not-found", http.StatusNotFound, "There is nothing at this address", "The addresses are in "+PathOpenAPI+".")
	})
	s.Page("/api/*", none)
	s.API("/api/*", 1<<10, none)
}

// maxBody is beyond what any policy allows; the policy's own limit is checked
// while the body is read.
const maxBody = 512 << 20

// Start loads the newest edition and follows it until ctx ends. It returns
// once the first set is there, or with why there is none yet; a gate without a
// set answers 503 and goes on trying.
func (g *Gate) Start(ctx context.Context) error {
	err := g.load(ctx)
	go g.c.DB.Listen(ctx, func(ctx context.Context, _ int64) error {
		err := g.load(ctx)
		if err != nil && ctx.Err() == nil {
			g.c.Log.Warn("the new edition could not be loaded; the old one stays", "error", err)
		}
		return err
	})
	return err
}

// load reads documents and keys, and flips to them at once.
func (g *Gate) load(ctx context.Context) error {
	e, err := g.c.DB.Documents(ctx)
	if err != nil {
		return err
	}
	doc := e.Documents[disclosure.GateFilePath]
	if doc == nil {
		return fmt.Errorf("edition %d has no %s: apply a policy first", e.Number, disclosure.GateFilePath)
	}
	delete(e.Documents, disclosure.GateFilePath)
	file, err := disclosure.ParseGateFile(doc.Bytes)
	if err != nil {
		return err
	}
	s := &set{edition: e, file: file, instance: vault.InstanceID(e.Instance), retired: map[uint64]bool{}}
	if err := g.loadKeys(ctx, s); err != nil {
		return err
	}
	g.set.Store(s)
	return nil
}

func (g *Gate) loadKeys(ctx context.Context, s *set) error {
	keys, err := g.c.DB.PublicKeys(ctx)
	if err != nil {
		return err
	}
	for _, k := range keys {
		switch k.Kind {
		case "vault":
			if k.Retired != nil {
				continue
			}
			if s.vault, err = vault.ParsePublic(k.Public); err != nil {
				return fmt.Errorf("read the vault's public key: %w", err)
			}
			if g.c.Pin != "" && s.vault.Fingerprint() != g.c.Pin {
				return fmt.Errorf("the vault's public key has fingerprint %s, pinned is %s: nothing is accepted", s.vault.Fingerprint(), g.c.Pin)
			}
		case "team":
			certs, err := pgp.ParseCertificates(k.Public)
			if err != nil {
				return fmt.Errorf("read the team's certificate %s: %w", k.ID, err)
			}
			for _, c := range certs {
				s.ours = append(s.ours, c.KeyIDs()...)
				if k.Retired == nil {
					s.cert = c
					continue
				}
				for _, id := range c.KeyIDs() {
					s.retired[id] = true
				}
			}
		}
	}
	if s.vault == nil {
		return errors.New("there is no vault to seal to")
	}
	return nil
}

// ServeHTTP answers the public.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.server.ServeHTTP(w, r) }

// Routes lists what is served, for tests that walk it.
func (g *Gate) Routes() []server.Route { return g.server.Routes() }

// Edition is the number of the set being served; 0: none.
func (g *Gate) Edition() int64 {
	if s := g.set.Load(); s != nil {
		return s.edition.Number
	}
	return 0
}

var errNoSet = errors.New("no edition is loaded")

func (g *Gate) current() (*set, error) {
	if s := g.set.Load(); s != nil {
		return s, nil
	}
	return nil, errNoSet
}

func (s *set) policy() *disclosure.Policy { return s.file.Policy }

// says is what the gate says, in the project's language.
func (s *set) says() *ui.IntakeTexts { return &ui.Language(s.policy().Project.Language).Intake }

// frame is what each page rendered by the gate knows.
func (g *Gate) frame(current string) ui.Gate {
	f := ui.Gate{Current: current, Page: ui.Page{Now: g.c.Now(), Demo: g.c.Demo}}
	if s := g.set.Load(); s != nil {
		f.T = ui.Language(s.policy().Project.Language)
		f.Project, f.Contact, f.Paused = s.policy().Project, s.policy().Contact.Address, s.file.Notice
	}
	return f
}

func (s *set) key(now time.Time) public.Key {
	if s.cert == nil {
		return public.Key{}
	}
	k := public.Key{Fingerprint: s.cert.Fingerprint()}
	if ids := s.cert.UserIDs(); len(ids) > 0 {
		k.UserID = ids[0]
	}
	if until, ok := s.cert.Expires(now); ok {
		k.Expires = until
	}
	return k
}

// problem answers what only the gate knows.
func (g *Gate) problem(err error) (server.Answer, bool) {
	t := &ui.English.Intake
	if s := g.set.Load(); s != nil {
		t = s.says()
	}
	switch {
	case errors.Is(err, gatedb.ErrUnavailable), errors.Is(err, errNoSet), errors.Is(err, errBusy):
		return server.Answer{Status: http.StatusServiceUnavailable, Title: t.DownTitle, Text: t.Down, RetryIn: 5}, true
	case errors.Is(err, errTooLarge), errors.Is(err, errTyped):
		return server.Answer{Status: http.StatusRequestEntityTooLarge, Title: t.LargeTitle, Text: t.TooMuch}, true
	case errors.Is(err, errTooMany):
		return server.Answer{Status: http.StatusTooManyRequests, Title: t.OverTitle, Text: t.OverShort, RetryIn: 60}, true
	}
	return server.Answer{}, false
}

var errTooMany = errors.New("too many requests")

func (g *Gate) errorPage(_ *http.Request, a server.Answer) ui.Component {
	if a.Status == http.StatusNotFound {
		return public.NotFound(public.NotFoundView{Gate: g.frame("")})
	}
	return public.Error(public.ErrorView{Gate: g.frame(""), Status: a.Status, Text: a.Text, RequestID: a.RequestID,
		Retry: time.Duration(a.RetryIn) * time.Second})
}

// healthz says that the process runs, and nothing else.
func (g *Gate) healthz(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := w.Write([]byte("ok\n"))
	return err
}

// readyz says whether a report would be stored now.
func (g *Gate) readyz(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	version, err := g.c.DB.SchemaVersion(ctx)
	if err != nil || version != g.c.Schema || g.set.Load() == nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, err := w.Write([]byte("not ready\n"))
		return err
	}
	_, err = w.Write([]byte("ready\n"))
	return err
}
