// Package desk is the team's door: it opens, decides and writes. Whoever is
// not signed in sees a sign-in page, whatever they ask for; while the vault is
// locked everybody sees the unlock page and nothing else. Handlers read input,
// call one operation, and answer; views are made by pure functions.
package desk

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"postern/internal/auth"
	"postern/internal/disclosure"
	"postern/internal/doctor"
	"postern/internal/letters"
	"postern/internal/postgres"
	"postern/internal/publish"
	"postern/internal/server"
	"postern/internal/vault"
	pages "postern/web/desk"
	"postern/web/ui"
)

// Mail is one message kept in the outbox, as the desk shows it.
type Mail struct {
	Name     string // without meaning; the last part of its address at the desk
	At       time.Time
	From, To string // envelope
	Size     int64
}

// Outbox is where mail is kept when there is no relay.
type Outbox interface {
	List() ([]Mail, error)
	Read(name string) ([]byte, error) // disclosure.ErrNotFound when there is none such
	Remove(name string) error
}

// Config is what a desk needs. Fields marked optional may be nil.
type Config struct {
	DB       *postgres.DB
	URL      string // where members find us, without trailing slash
	GateURL  string // where the public does
	From     string // address notices and letters come from
	Letters  *letters.Letters
	Renderer func(now time.Time) publish.Renderer // for publishing; Sign is nil while locked
	Outbox   Outbox                               // optional: there is a relay
	Doctor   func(context.Context) []doctor.Finding
	Wake     func() // optional: tells work that something is due
	// OpenWith opens a message with a passphrase, work's doing; optional: it is refused.
	OpenWith     func(ctx context.Context, by disclosure.Caller, id disclosure.MessageID, passphrase []byte) error
	MoveTime     func(context.Context, time.Duration) error // optional: the demo's; moves time and works off what became due
	Unlocked     func()                                     // optional: called after the vault was unlocked here
	PasswordCost auth.Cost
	VaultCost    vault.Cost
	Proxies      []netip.Prefix
	Demo         bool
	Log          *slog.Logger
}

// Desk is the team's door.
type Desk struct {
	c         Config
	server    *server.Server
	unlocks   *auth.Limiter // tries at the vault, per address
	anyUnlock *auth.Limiter // tries at the vault, from wherever
	dummy     string        // a hash nobody's password fits, so that an unknown name costs as much
	likely    likely
	links     links // the demo's one-time sign-in links
}

// anyUnlockLimits slow down many addresses that guess at the vault together,
// and never keep the team waiting for longer than a quarter of a minute.
var anyUnlockLimits = auth.Limits{Free: 100, First: time.Second, Most: 15 * time.Second, Forget: time.Hour, Keys: 1}

// New registers the routes.
func New(c Config) (*Desk, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.PasswordCost == (auth.Cost{}) {
		c.PasswordCost = auth.DefaultCost
	}
	if c.VaultCost == (vault.Cost{}) {
		c.VaultCost = vault.DefaultCost
	}
	if c.Wake == nil {
		c.Wake = func() {}
	}
	if c.OpenWith == nil {
		c.OpenWith = func(context.Context, disclosure.Caller, disclosure.MessageID, []byte) error {
			return disclosure.Refuse(pages.FieldPass, "Messages are not opened with a passphrase here.")
		}
	}
	dummy, err := auth.DummyHash(c.PasswordCost)
	if err != nil {
		return nil, err
	}
	d := &Desk{c: c, unlocks: auth.NewLimiter(auth.SignInLimits), anyUnlock: auth.NewLimiter(anyUnlockLimits), dummy: dummy}
	d.server = server.New(server.Config{
		Name: "desk", BaseURL: c.URL, Cookies: true, Proxies: c.Proxies, Log: c.Log,
		Problem: d.problem, ErrorPage: d.errorPage,
	})
	d.routes()
	return d, nil
}

// ServeHTTP answers the team.
func (d *Desk) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.server.ServeHTTP(w, r) }

// Routes lists what is served, for tests that walk it.
func (d *Desk) Routes() []server.Route { return d.server.Routes() }

// routes is every page and form of the desk, a file a noun.
func (d *Desk) routes() {
	d.staticRoutes()
	d.signInRoutes()
	d.unlockRoutes()
	d.inboxRoutes()
	d.caseRoutes()
	d.fileRoutes()
	d.releaseRoutes()
	d.noticeRoutes()
	d.publishRoutes()
	d.distributorRoutes()
	d.applicationRoutes()
	d.memberRoutes()
	d.accountRoutes()
	d.logRoutes()
	d.healthRoutes()
	d.policyRoutes()
	d.intakeRoutes()
	d.vaultRoutes()
	d.outboxRoutes()
	d.demoRoutes()
}

// visit is one request of a signed-in member.
type visit struct {
	*http.Request
	w       http.ResponseWriter
	session postgres.Session
	by      disclosure.Caller // with the last step-up
	zone    *time.Location
	beside  *postgres.Around // nil: not read yet
}

// handler is a page or form for signed-in members.
type handler func(v *visit) error

// page registers a page for members who have one of the roles; 0: any member.
func (d *Desk) page(pattern string, roles disclosure.Roles, h handler) {
	d.server.Page(pattern, d.member(roles, h))
}

// form registers a form the same way. maxBytes 0: the door's usual limit.
func (d *Desk) form(pattern string, roles disclosure.Roles, maxBytes int64, h handler) {
	d.server.Form(pattern, maxBytes, d.member(roles, h))
}

// team may work on cases; the auditor reads the log, not the cases.
const team = disclosure.Triager | disclosure.Releaser | disclosure.Admin

// member lets signed-in members through, one page for everybody else: whether
// what they asked for exists, a stranger cannot tell.
func (d *Desk) member(roles disclosure.Roles, h handler) server.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !d.unlocked() {
			return toUnlock
		}
		s, err := d.session(r)
		if errors.Is(err, disclosure.ErrNotFound) {
			return signInFirst(r)
		}
		if err != nil {
			return err
		}
		if roles != 0 && s.Caller.Roles&roles == 0 {
			return disclosure.ErrNotFound
		}
		zone, err := time.LoadLocation(s.Member.Zone)
		if err != nil {
			zone = time.UTC
		}
		v := &visit{Request: r, w: w, session: s, by: s.Caller, zone: zone}
		err = h(v)
		if errors.Is(err, disclosure.ErrStepUp) {
			return d.askFirst(v)
		}
		return err
	}
}

// stepUp demands a fresh second factor before h. A page leads back to itself;
// a form is kept while the factor is given, and goes on with what was typed.
func (d *Desk) stepUp(h handler) handler {
	return func(v *visit) error {
		if !v.by.SteppedUp(d.c.DB.Wall()) {
			return disclosure.ErrStepUp
		}
		return h(v)
	}
}

func (d *Desk) unlocked() bool {
	v := d.c.DB.Vault()
	return v != nil && v.Unlocked()
}

// redirect is an error that sends the reader elsewhere: always to one of our
// own paths.
type redirect string

func (r redirect) Error() string { return "go to " + string(r) }

const toUnlock = redirect(pages.PathUnlock)

// see sends the reader to a page after a form was done.
func (v *visit) see(path string) error {
	http.Redirect(v.w, v.Request, path, http.StatusSeeOther)
	return nil
}

// flash sends the reader to a page that says, once, what happened. done is one
// of the keys of flashes: no text of a request ever reaches a page this way.
func (v *visit) flash(path, done string) error {
	http.SetCookie(v.w, &http.Cookie{Name: "done", Value: done, Path: "/", MaxAge: 60, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	return v.see(path)
}

// frame is what every page for members knows.
func (d *Desk) frame(v *visit, current string) ui.Desk {
	f := d.bare()
	f.Current, f.Member, f.Roles, f.Zone = current, v.by.Name, v.by.Roles, v.zone
	if f.MoveTime = d.c.MoveTime != nil; f.MoveTime {
		if f.Here = v.URL.Path; v.Method == http.MethodPost {
			f.Here = parentPage(v.URL.Path)
		}
	}
	if c, err := v.Cookie("done"); err == nil {
		f.Flash = flashes[c.Value]
		http.SetCookie(v.w, &http.Cookie{Name: "done", Path: "/", MaxAge: -1})
	}
	a, err := d.around(v)
	if err != nil {
		return f
	}
	f.Applications = openApplications(v, a)
	if !a.Held.Since.IsZero() {
		f.Strips = append(f.Strips, ui.Strip{Kind: ui.StripHeld, Since: a.Held.Since, Reason: join(a.Held.Because), Href: pages.PathHealth})
	}
	if p := a.Policy; p != nil {
		f.Project, f.Contact, f.T = p.Project, p.Contact.Address, ui.Language(p.Project.Language)
		if paused := cmp.Or(a.Paused, p.Intake.Paused); paused != "" {
			f.Strips = append(f.Strips, ui.Strip{Kind: ui.StripPaused, Reason: paused, Href: pages.PathPolicy})
		}
	}
	return f
}

// around is read once a visit, unless a page has read it with its own matter.
func (d *Desk) around(v *visit) (*postgres.Around, error) {
	if v.beside == nil {
		a, err := d.c.DB.Around(v.Context(), v.by)
		if err != nil {
			return nil, err
		}
		v.beside = &a
	}
	return v.beside, nil
}

// bare is what a page without a member knows: nothing.
func (d *Desk) bare() ui.Desk {
	return ui.Desk{Page: ui.Page{Now: d.c.DB.Now(), Demo: d.c.Demo}}
}

func (v *visit) render(page ui.Component) error {
	return server.Render(v.w, v.Request, http.StatusOK, page)
}

// again shows a form once more, with its faults; 422.
func (v *visit) again(page ui.Component) error {
	return server.Render(v.w, v.Request, http.StatusUnprocessableEntity, page)
}

// faults are what a refusal says, for a form that is shown again; other errors
// are passed on.
func faults(err error) ([]disclosure.Fault, error) {
	var refusal *disclosure.Refusal
	if errors.As(err, &refusal) {
		return refusal.Faults, nil
	}
	return nil, err
}

func join(parts []string) string {
	text := ""
	for i, p := range parts {
		if i > 0 {
			text += "; "
		}
		text += p
	}
	return text
}

// problem answers what only the desk knows.
func (d *Desk) problem(err error) (server.Answer, bool) {
	var to redirect
	switch {
	case errors.As(err, &to):
		return server.Answer{Status: http.StatusSeeOther, Redirect: string(to)}, true
	case errors.Is(err, errUsedLink):
		return server.Answer{Status: http.StatusGone, Title: "This link was used", Text: "This link was used, and works once. The next start of the demo prints another."}, true
	case errors.Is(err, vault.ErrLocked):
		return server.Answer{Status: http.StatusSeeOther, Redirect: pages.PathUnlock}, true
	case errors.Is(err, postgres.ErrUnavailable):
		return server.Answer{Status: http.StatusServiceUnavailable, Title: "Not stored: the database did not answer",
			Text: "Nothing was done. Go back: what you typed is still in the form. Try again in a moment.", RetryIn: 5}, true
	}
	return server.Answer{}, false
}

func (d *Desk) errorPage(_ *http.Request, a server.Answer) ui.Component {
	if a.Status == http.StatusNotFound {
		return pages.NotFound(pages.NotFoundView{Desk: d.bare()})
	}
	return pages.Error(errorView(d.bare(), a))
}
