package gate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/gate"
	"postern/internal/pgp"
	"postern/internal/policy"
	"postern/internal/postgres"
	"postern/internal/postgres/embedded/pgtest"
	"postern/internal/postgres/postgrestest"
	"postern/internal/publish"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// world is a gate on a real database, with a team key, listening on loopback.
type world struct {
	*postgrestest.World
	t      testing.TB
	gate   *gate.Gate
	server *httptest.Server
	team   *pgp.Secret
	log    *safeBuffer
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// teamKey is made once: keys are slow to make.
var teamKey = sync.OnceValues(func() (*pgp.Secret, error) {
	s, _, err := pgp.NewTeam("Lantern security team", "security@lantern.example", time.Now().Add(-time.Hour))
	return s, err
})

type option func(*postgrestest.Config, *gate.Config)

func limits(l gate.Limits) option {
	return func(_ *postgrestest.Config, c *gate.Config) { c.Limits = l }
}

// policyText changes the demo's policy.
func policyText(old, new string) option {
	return func(c *postgrestest.Config, _ *gate.Config) {
		text, err := policy.Preset("demo")
		if err != nil || !strings.Contains(text, old) {
			panic("the demo's policy has no " + old)
		}
		c.Policy = strings.Replace(text, old, new, 1)
	}
}

func newWorld(t testing.TB, options ...option) *world {
	t.Helper()
	var pc postgrestest.Config
	var gc gate.Config
	gc.Limits = gate.Limits{Reports: 10_000, Lookups: 10_000} // unless a test is about them
	for _, o := range options {
		o(&pc, &gc)
	}
	w := &world{World: postgrestest.NewWith(t, pc), t: t, log: &safeBuffer{}}
	ctx := context.Background()
	var err error
	if w.team, err = teamKey(); err != nil {
		t.Fatalf("make a team key: %v", err)
	}
	init := disclosure.System("init")
	cert := w.team.Certificate()
	if err := w.DB.StoreTeamKey(ctx, init, cert.Fingerprint(), cert.Binary(), w.team.Bytes()); err != nil {
		t.Fatalf("store the team key: %v", err)
	}
	var handler http.Handler
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	t.Cleanup(w.server.Close)
	w.publish()
	gc.DB, gc.URL, gc.Spool, gc.Version, gc.Schema, gc.Now = w.Gate, w.server.URL, t.TempDir(), "test", postgres.KnownSchema(), w.DB.Now
	gc.Log = slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.gate = gate.New(gc)
	handler = w.gate
	running, stop := context.WithCancel(ctx)
	t.Cleanup(stop)
	if err := w.gate.Start(running); err != nil {
		t.Fatalf("start the gate: %v", err)
	}
	return w
}

func (w *world) publish() {
	w.t.Helper()
	r := publish.Renderer{Version: "test", Now: w.DB.Now, Sign: func(text []byte, now time.Time) ([]byte, error) { return pgp.ClearSign(text, w.team, now) }}
	if err := w.DB.PublishSite(context.Background(), disclosure.System("site"), r.Render); err != nil {
		w.t.Fatalf("publish the site: %v", err)
	}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (w *world) do(r *http.Request) answer {
	w.t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatalf("%s %s: read the answer: %v", r.Method, r.URL, err)
	}
	a := answer{resp.StatusCode, resp.Header, string(b)}
	if strings.HasPrefix(r.URL.Path, "/api/") {
		checkDescribed(w.t, r.Method, r.URL.Path, a)
	}
	return a
}

// post sends a body of a media type; more is header fields, name and value in turn.
func (w *world) post(path, kind, body string, more ...string) answer {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodPost, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	for i := 0; i+1 < len(more); i += 2 {
		r.Header.Set(more[i], more[i+1])
	}
	return w.do(r)
}

func (w *world) get(path string) answer {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodGet, w.server.URL+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.do(r)
}

func (w *world) form(path string, fields ...string) answer {
	w.t.Helper()
	v := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		v.Set(fields[i], fields[i+1])
	}
	return w.post(path, "application/x-www-form-urlencoded", v.Encode())
}

// problem reads a problem document.
type problem struct {
	Type, Title, Detail, Instance string
	Status                        int
	Errors                        []struct{ Field, Detail string }
}

func (a answer) problem(t testing.TB) problem {
	t.Helper()
	var p problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("answer %d %s is no problem document: %v\n%.300s", a.status, a.header.Get("Content-Type"), err, a.body)
	}
	if p.Status != a.status || p.Title == "" || p.Instance == "" {
		t.Errorf("problem %+v does not fit its answer %d", p, a.status)
	}
	return p
}

type receipt struct {
	Code     string
	Mailbox  string
	SHA256   string
	Received string `json:"received_at"`
}

func (a answer) receipt(t testing.TB) receipt {
	t.Helper()
	var r receipt
	if err := json.Unmarshal([]byte(a.body), &r); err != nil || a.status != http.StatusCreated || r.Code == "" || r.Received == "" {
		t.Fatalf("answer %d is no receipt: %v\n%.300s", a.status, err, a.body)
	}
	return r
}

// arrivals counts what is stored.
func (w *world) arrivals() (n int) {
	w.t.Helper()
	conn, err := pgx.Connect(context.Background(), w.OwnerURL)
	if err != nil {
		w.t.Fatalf("count arrivals: %v", err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(context.Background(), `SELECT count(*) FROM arrival`).Scan(&n); err != nil {
		w.t.Fatalf("count arrivals: %v", err)
	}
	return n
}

// encrypt makes one armored message to a certificate.
func encrypt(t testing.TB, to *pgp.Certificate, text string) string {
	t.Helper()
	p, err := pgp.PrepareUnsigned([]byte(text))
	if err != nil {
		t.Fatalf("prepare a message: %v", err)
	}
	var b bytes.Buffer
	if err := p.Encrypt(&b, []*pgp.Certificate{to}, time.Now()); err != nil {
		t.Fatalf("encrypt: %v", err)
	}
	return b.String()
}

// stranger is somebody else's key.
var stranger = sync.OnceValues(func() (*pgp.Secret, error) {
	s, _, err := pgp.NewTeam("Sam Stranger", "sam@elsewhere.example", time.Now().Add(-time.Hour))
	return s, err
})

func mustStranger(t testing.TB) *pgp.Secret {
	t.Helper()
	s, err := stranger()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
