package desk_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/auth"
	"postern/internal/desk"
	"postern/internal/disclosure"
	"postern/internal/doctor"
	"postern/internal/letters"
	"postern/internal/pgp"
	"postern/internal/policy"
	"postern/internal/postgres/embedded/pgtest"
	"postern/internal/postgres/postgrestest"
	"postern/internal/publish"
	"postern/internal/vault"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// house is a desk in front of a world.
type house struct {
	*postgrestest.World
	t    *testing.T
	desk *desk.Desk
	team *pgp.Secret
	adm  disclosure.Caller // an admin and nothing else
	step atomic.Int64      // of the last code used
}

// kept is an outbox of one mail.
type kept struct{}

const keptRaw = "Subject: kept mail\r\nTo: a@example.org\r\n\r\nHello <b>there</b>.\r\n"

func (kept) List() ([]desk.Mail, error) {
	return []desk.Mail{{Name: "one", At: time.Now(), To: "a@example.org", Size: int64(len(keptRaw))}}, nil
}

func (kept) Read(name string) ([]byte, error) {
	if name != "one" {
		return nil, disclosure.ErrNotFound
	}
	return []byte(keptRaw), nil
}

func (kept) Remove(string) error { return nil }

func newHouse(t *testing.T) *house { return newHouseWith(t, nil) }

// newHouseWith lets change alter the demo's policy first.
func newHouseWith(t *testing.T, change func(toml string) string) *house {
	t.Helper()
	toml, err := policy.Preset("demo")
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		toml = change(toml)
	}
	h := &house{World: postgrestest.NewWith(t, postgrestest.Config{Policy: toml}), t: t}
	h.adm = h.Member(t, "Adm", disclosure.Admin)
	h.step.Store(10)
	h.team = newKey(t, "Lantern Security", "security@lantern.example", h.DB.Now())
	h.must(h.DB.StoreTeamKey(t.Context(), h.Ada, h.team.Certificate().Fingerprint(), h.team.Certificate().Binary(), h.team.Bytes()))
	texts, err := letters.New(nil)
	h.must(err)
	h.desk, err = desk.New(desk.Config{
		DB: h.DB, URL: "http://desk.example", GateURL: "http://gate.example", From: "security@lantern.example", Letters: texts,
		Renderer: func(now time.Time) publish.Renderer {
			return publish.Renderer{Version: "test", Now: h.DB.Now, Sign: func(text []byte, at time.Time) ([]byte, error) { return pgp.ClearSign(text, h.team, at) }}
		},
		Outbox: kept{}, Demo: true, PasswordCost: auth.TestCost, VaultCost: vault.TestCost,
		Doctor: func(context.Context) []doctor.Finding {
			return []doctor.Finding{{Severity: doctor.Warn, What: "One slot is left."}}
		},
		MoveTime: func(ctx context.Context, d time.Duration) error {
			return h.DB.MoveTime(ctx, disclosure.System("test"), d)
		},
	})
	h.must(err)
	return h
}

func newKey(t *testing.T, name, address string, now time.Time) *pgp.Secret {
	t.Helper()
	s, _, err := pgp.NewTeam(name, address, now.Add(-time.Hour))
	if err != nil {
		t.Fatalf("make a key: %v", err)
	}
	return s
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// browser is somebody's, or nobody's.
type browser struct {
	h      *house
	cookie string
}

// as signs a member in, which counts as a step-up.
func (h *house) as(c disclosure.Caller) *browser {
	h.t.Helper()
	token, hash := auth.NewToken()
	h.must(h.DB.NewSession(h.t.Context(), c.Member, h.step.Add(1), hash[:], "test"))
	return &browser{h, token}
}

// calm signs a member in without a step-up.
func (h *house) calm(c disclosure.Caller) *browser {
	h.t.Helper()
	token, hash := auth.NewToken()
	h.must(h.DB.NewLinkSession(h.t.Context(), c.Member, hash[:], "test"))
	return &browser{h, token}
}

func (h *house) stranger() *browser { return &browser{h: h} }

type answer struct {
	code     int
	location string
	body     string
	header   http.Header
}

func (b *browser) do(method, path, kind string, body io.Reader) answer {
	r := httptest.NewRequest(method, "http://desk.example"+path, body)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if b.cookie != "" {
		r.AddCookie(&http.Cookie{Name: "session", Value: b.cookie})
	}
	w := httptest.NewRecorder()
	b.h.desk.ServeHTTP(w, r)
	return answer{w.Code, w.Header().Get("Location"), w.Body.String(), w.Header()}
}

func (b *browser) get(path string) answer { return b.do(http.MethodGet, path, "", nil) }

func (b *browser) post(path string, form url.Values) answer {
	return b.do(http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

// page is a GET that has to succeed.
func (b *browser) page(path string) string {
	b.h.t.Helper()
	a := b.get(path)
	if a.code != http.StatusOK {
		b.h.t.Fatalf("GET %s: %d to %q, want 200\n%s", path, a.code, a.location, faultsOf(a.body))
	}
	return a.body
}

// done is a POST that has to lead on, and says where to.
func (b *browser) done(path string, form url.Values) string {
	b.h.t.Helper()
	a := b.post(path, form)
	if a.code != http.StatusSeeOther {
		b.h.t.Fatalf("POST %s: %d, want 303\n%s", path, a.code, faultsOf(a.body))
	}
	return a.location
}

// upload posts a multipart form: fields in pairs, then one file.
func (b *browser) upload(path, field, name, content string, pairs ...string) answer {
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	for i := 0; i+1 < len(pairs); i += 2 {
		b.h.must(m.WriteField(pairs[i], pairs[i+1]))
	}
	f, err := m.CreateFormFile(field, name)
	b.h.must(err)
	_, err = io.WriteString(f, content)
	b.h.must(err)
	b.h.must(m.Close())
	return b.do(http.MethodPost, path, m.FormDataContentType(), &body)
}

var (
	faultBox    = regexp.MustCompile(`(?s)<div class="faults".*?</div>`)
	hiddenField = regexp.MustCompile(`<input type="hidden" name="([a-z_]+)" value="([^"]*)"`)
)

func faultsOf(body string) string {
	if box := faultBox.FindString(body); box != "" {
		return box
	}
	if len(body) > 3000 {
		return body[:3000]
	}
	return body
}

// hidden is a hidden field's first value on a page.
func hidden(t *testing.T, body, name string) string {
	t.Helper()
	for _, m := range hiddenField.FindAllStringSubmatch(body, -1) {
		if m[1] == name {
			return m[2]
		}
	}
	t.Fatalf("no hidden field %q on the page", name)
	return ""
}

// form is values in pairs.
func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

// accepted is a case that a release can take, with all an advisory needs.
func (h *house) accepted(title string) *disclosure.Case {
	h.t.Helper()
	id, _ := h.Case(h.t, title)
	ctx, now := h.t.Context(), h.DB.Now()
	h.must(h.DB.UpdateCase(ctx, h.Ada, id, func(c *disclosure.Case) error {
		steps := []error{
			c.Acknowledge(h.Ada, now),
			c.SetTitle(title, h.Ada, now),
			c.Move(disclosure.Accepted, h.Ada, now),
			c.SetSeverity(disclosure.Severity{Level: "high"}, h.Ada, now),
			c.SetAffected([]disclosure.Affected{{Series: "4.2", Effect: disclosure.Affects, Versions: "< 4.2.9"}}, h.Ada, now),
			c.SetPublic(disclosure.Text{Title: title + " in public", Summary: "It leaks.", Description: "A lantern leaks oil.", Remedy: "Upgrade."}, h.Ada, now),
		}
		for _, err := range steps {
			if err != nil {
				return err
			}
		}
		return nil
	}))
	c, err := h.DB.Case(ctx, h.Ada, id)
	h.must(err)
	return c
}

// release makes one of a fresh case, planned a week ahead, over HTTP.
func (h *house) release(title string) *disclosure.Release {
	h.t.Helper()
	c := h.accepted("Leak of " + title)
	b := h.as(h.Rel)
	path := b.done("/releases", form("title", title, "case", fmt.Sprint(c.Number)))
	version := hidden(h.t, b.page(path), "version")
	b.done(path+"/plan", form("version", version, "at", h.DB.Now().Add(7*24*time.Hour+time.Hour).Format("2006-01-02T15:04"), "zone", "UTC"))
	return h.load(strings.TrimPrefix(path, "/releases/"))
}

func (h *house) load(id string) *disclosure.Release {
	h.t.Helper()
	r, err := h.DB.Release(h.t.Context(), h.Ada, disclosure.ReleaseID(id))
	h.must(err)
	return r
}

func noticeTo(t *testing.T, r *disclosure.Release, a disclosure.Audience) *disclosure.Notice {
	t.Helper()
	for _, n := range r.Notices {
		if n.Audience == a && n.State != disclosure.NoticeCanceled {
			return n
		}
	}
	t.Fatalf("no notice to %s", a)
	return nil
}
