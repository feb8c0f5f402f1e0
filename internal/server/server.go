// Package server is what both doors share: an error becomes an answer in one
// place, a form can be registered in one way only, every answer carries the
// same headers, and a page is rendered whole or not at all.
package server

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/httprate"

	"postern/internal/disclosure"
)

// Handler answers or fails; a failure before anything was written becomes the
// door's error page.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Config says how a door differs from the other.
type Config struct {
	Name      string // "gate" or "desk", for the log
	BaseURL   string // without trailing slash; links are made from it, never from Host
	Cookies   bool   // the door knows people by a cookie: cross-origin rules are strict
	CSP       string // added to the strict default; usually empty
	Proxies   []netip.Prefix
	Wall      func() time.Time               // nil: time.Now
	Log       *slog.Logger                   // nil: discarded
	MaxForm   int64                          // bytes of a form without files; 0: 1 MiB
	Problem   func(err error) (Answer, bool) // answers errors only this door knows; may be nil
	ErrorPage func(r *http.Request, a Answer) templ.Component
}

// Answer is what an error becomes.
type Answer struct {
	Status    int
	Title     string
	Text      string
	Faults    []string // one sentence each
	RequestID string
	RetryIn   int    // seconds; 0: not said
	Redirect  string // instead of a page
}

// Server is one door's router. Its routes are registered before it serves.
type Server struct {
	c      Config
	mux    *chi.Mux
	origin *http.CrossOriginProtection
	key    []byte // of this process; addresses are only ever kept under it
}

// New makes a door without routes.
func New(c Config) *Server {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Wall == nil {
		c.Wall = time.Now
	}
	if c.MaxForm == 0 {
		c.MaxForm = 1 << 20
	}
	s := &Server{c: c, mux: chi.NewMux(), origin: http.NewCrossOriginProtection(), key: make([]byte, 32)}
	rand.Read(s.key)
	s.mux.Use(s.outermost, s.headers)
	s.mux.NotFound(s.handle(func(http.ResponseWriter, *http.Request) error { return errNotThere }))
	s.mux.MethodNotAllowed(s.handle(func(w http.ResponseWriter, r *http.Request) error {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
			if s.mux.Match(chi.NewRouteContext(), method, r.URL.Path) {
				w.Header().Add("Allow", method)
			}
		}
		return errMethod
	}))
	return s
}

var (
	errNotThere = errors.New("no such page")
	errMethod   = errors.New("method not allowed")
	errOrigin   = errors.New("the request came from another site")
	errBroken   = errors.New("the form is broken")
	errRefused  = errors.New("refused")
)

// Page registers a page: GET and HEAD, which change nothing but the log and
// session times.
func (s *Server) Page(pattern string, h Handler, use ...func(http.Handler) http.Handler) {
	whole := s.handle(func(w http.ResponseWriter, r *http.Request) error {
		if !named(r.URL) {
			return errNotThere
		}
		return h(w, r)
	})
	r := s.mux.With(use...)
	r.Get(pattern, whole)
	r.Head(pattern, whole)
}

// Form registers what a form is posted to. There is no other way to register
// a POST of a form: size limits and the cross-origin rule come with it.
// maxBytes bounds the whole body; 0: the door's MaxForm. A door with cookies
// hands h the fields of a form without files as text a database keeps (Text).
func (s *Server) Form(pattern string, maxBytes int64, h Handler, use ...func(http.Handler) http.Handler) {
	if maxBytes == 0 {
		maxBytes = s.c.MaxForm
	}
	s.mux.With(use...).Post(pattern, s.handle(func(w http.ResponseWriter, r *http.Request) error {
		if err := s.sameOrigin(r); err != nil {
			return err
		}
		if !named(r.URL) {
			return errNotThere
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBytes)
		if s.c.Cookies {
			if err := cleanForm(r); err != nil {
				return err
			}
		}
		return h(w, r)
	}))
}

// API registers an operation for programs: no cookie is looked at, so it may
// come from anywhere.
func (s *Server) API(pattern string, maxBytes int64, h Handler, use ...func(http.Handler) http.Handler) {
	s.mux.With(use...).Post(pattern, s.handle(func(w http.ResponseWriter, r *http.Request) error {
		r.Body = http.MaxBytesReader(w, r.Body, maxBytes)
		return h(w, r)
	}))
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Route is one registered method and pattern.
type Route struct{ Method, Pattern string }

// Routes walks the router itself, so that a new route is tested by existing.
func (s *Server) Routes() []Route {
	var routes []Route
	_ = chi.Walk(s.mux, func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		routes = append(routes, Route{method, pattern})
		return nil
	})
	return routes
}

// BaseURL is what links are made from.
func (s *Server) BaseURL() string { return s.c.BaseURL }

// sameOrigin lets a browser's own forms through. A door that knows people by
// cookie also refuses a request that does not say where it comes from; one
// that knows nobody refuses only what says that it comes from elsewhere, since
// all it could borrow is the visitor's allowance.
func (s *Server) sameOrigin(r *http.Request) error {
	if !s.c.Cookies {
		if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
			return errOrigin
		}
		return nil
	}
	if r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" {
		return errOrigin
	}
	if err := s.origin.Check(r); err != nil {
		return errOrigin
	}
	return nil
}

type requestIDKey struct{}

// RequestID names the request in the log and on error pages.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

func (s *Server) outermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b [8]byte
		rand.Read(b[:])
		id := hex.EncodeToString(b[:])
		r = r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id))
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				// The value may hold anything a person typed: only where it happened is kept.
				s.c.Log.Error("panic", "door", s.c.Name, "request", id, "kind", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
				s.answer(w, r, errors.New("panic"))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// policy is the strict content security policy of every page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

func (s *Server) headers(next http.Handler) http.Handler {
	csp := policy
	if s.c.CSP != "" {
		csp += "; " + s.c.CSP
	}
	https := strings.HasPrefix(s.c.BaseURL, "https://")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", csp)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), interest-cohort=()")
		h.Set("Cache-Control", "no-store")
		if https {
			h.Set("Strict-Transport-Security", "max-age=63072000")
		}
		next.ServeHTTP(w, r)
	})
}

// handle is the one wrapper: it runs h and turns an error into an answer.
func (s *Server) handle(h Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t := &tracker{ResponseWriter: w}
		err := h(t, r)
		if err == nil {
			return
		}
		if t.wrote {
			s.c.Log.Warn("answer cut off", "door", s.c.Name, "request", RequestID(r.Context()), "route", routeOf(r), "error", err)
			panic(http.ErrAbortHandler) // the reader must not take half a file for a whole one
		}
		s.answer(w, r, err)
	}
}

type tracker struct {
	http.ResponseWriter
	wrote bool
}

func (t *tracker) WriteHeader(code int) { t.wrote = true; t.ResponseWriter.WriteHeader(code) }
func (t *tracker) Write(b []byte) (int, error) {
	t.wrote = true
	return t.ResponseWriter.Write(b)
}
func (t *tracker) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func routeOf(r *http.Request) string {
	if c := chi.RouteContext(r.Context()); c != nil {
		return c.RoutePattern()
	}
	return ""
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, err error) {
	a := s.judge(err)
	a.RequestID = RequestID(r.Context())
	level := slog.LevelDebug
	if a.Status >= 500 {
		level = slog.LevelError
	}
	var refusal *disclosure.Refusal
	if errors.As(err, &refusal) { // it may quote what somebody typed
		err = errRefused
	}
	s.c.Log.Log(r.Context(), level, "answered with an error", "door", s.c.Name, "request", a.RequestID,
		"method", r.Method, "route", routeOf(r), "status", a.Status, "error", err)
	if a.Redirect != "" {
		http.Redirect(w, r, a.Redirect, http.StatusSeeOther)
		return
	}
	if a.RetryIn > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(a.RetryIn))
	}
	if s.c.ErrorPage == nil || Render(w, r, a.Status, s.c.ErrorPage(r, a)) != nil {
		http.Error(w, a.Title, a.Status)
	}
}

// Render writes a page whole, or not at all.
func Render(w http.ResponseWriter, r *http.Request, status int, page templ.Component) error {
	var b bytes.Buffer
	b.Grow(16 << 10)
	if err := page.Render(r.Context(), &b); err != nil {
		return fmt.Errorf("render %s: %w", routeOf(r), err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := w.Write(b.Bytes())
	if err != nil {
		return nil // the reader left; there is nobody to tell
	}
	return nil
}

// Fragment renders a part of a page for a conditional GET: unchanged bytes are
// answered with 304.
func Fragment(w http.ResponseWriter, r *http.Request, part templ.Component) error {
	var b bytes.Buffer
	if err := part.Render(r.Context(), &b); err != nil {
		return fmt.Errorf("render a part of %s: %w", routeOf(r), err)
	}
	sum := sha256.Sum256(b.Bytes())
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	_, _ = w.Write(b.Bytes())
	return nil
}

// Limit answers 429 beyond n requests a window from one address, through
// over. The address is kept only as an HMAC under a key of this process.
func (s *Server) Limit(n int, window time.Duration, over Handler) func(http.Handler) http.Handler {
	return httprate.LimitBy(n, window, func(r *http.Request) (string, error) { return s.AddressKey(r), nil },
		httprate.WithLimitHandler(s.handle(over)))
}

// Before runs first for each request and passes on what it returns. Its error
// becomes the answer; nil without one says that it has answered.
func (s *Server) Before(first func(w http.ResponseWriter, r *http.Request) (*http.Request, error)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return s.handle(func(w http.ResponseWriter, r *http.Request) error {
			r, err := first(w, r)
			if err == nil && r != nil {
				next.ServeHTTP(w, r)
			}
			return err
		})
	}
}

// AddressKey is the caller's address under this process's key: /64 for IPv6.
func (s *Server) AddressKey(r *http.Request) string {
	addr := s.ClientIP(r)
	if addr.Is6() && !addr.Is4In6() {
		if p, err := addr.Prefix(64); err == nil {
			addr = p.Addr()
		}
	}
	m := hmac.New(sha256.New, s.key)
	m.Write([]byte(addr.Unmap().String()))
	return string(m.Sum(nil))
}

// ClientIP is the peer's address, or what a trusted proxy says it is.
func (s *Server) ClientIP(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && s.trusted(addr); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = next
	}
	return addr
}

func (s *Server) trusted(addr netip.Addr) bool {
	for _, p := range s.c.Proxies {
		if p.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}

// HTTP is a server with the deadlines every door keeps. Uploads may take as
// long as they go on sending; a caller that sends nothing is let go.
func HTTP(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       5 * time.Minute,
		WriteTimeout:      6 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
