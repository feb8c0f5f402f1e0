package gate_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"postern/internal/gate"
	"postern/internal/pgp"
	"postern/internal/postgres/embedded/pgtest"
	"postern/internal/vault"
)

const (
	reports  = gate.PathReports
	messages = gate.PathMessages
	someKey  = "0123456789abcdef0123456789abcdef01234567"
)

// samples are what people paste; each by the problem it is refused with, or ""
// when it is taken.
type sample struct {
	name, text, problem string
	secret              string // must not be in any answer
}

func samples(t testing.TB, w *world) []sample {
	whole := encrypt(t, w.team.Certificate(), "It leaks.")
	lines := strings.Split(whole, "\n")
	secret, err := mustStranger(t).Export([]byte("a passphrase"))
	if err != nil {
		t.Fatalf("export a secret key: %v", err)
	}
	private := string(secret)
	signed, err := pgp.ClearSign([]byte("It leaks, says Sam.\n"), mustStranger(t), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return []sample{
		{"plain words", "The lantern leaks.", "", ""},
		{"encrypted to us", whole, "", ""},
		{"clear-signed", string(signed), "", ""},
		{"words about PGP", "Do you take -----BEGIN PGP MESSAGE----- blocks?", "", ""},
		{"public key", string(mustStranger(t).Certificate().Armored()), "public-key", ""},
		{"private key", private, "private-key", strings.Split(private, "\n")[5]},
		{"private key in words", "here is my key:\n" + private + "\nthanks", "private-key", strings.Split(private, "\n")[5]},
		{"to somebody else", encrypt(t, mustStranger(t).Certificate(), "x"), "not-for-us", ""},
		{"truncated", strings.Join(lines[:len(lines)-4], "\n"), "broken-armor", ""},
		{"broken armor", strings.Replace(whole, lines[4], "!!!! not base64 !!!!", 1), "broken-armor", ""},
		{"empty", " \n\t ", "empty", ""},
	}
}

// TestRefusals: the same sample gets the same judgment by API and by form; a
// refusal stores nothing but a private key, and keeps the text in the form
// unless it is one.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	for _, s := range samples(t, w) {
		t.Run(s.name, func(t *testing.T) {
			before := w.arrivals()
			a := w.post(reports, "text/plain", s.text)
			if s.problem == "" {
				a.receipt(t)
			} else if got := a.problem(t); got.Type != "/problems/"+s.problem || a.status != http.StatusUnprocessableEntity {
				t.Errorf("API: %d %s, want 422 /problems/%s", a.status, got.Type, s.problem)
			}
			body, _ := json.Marshal(map[string]string{"description": s.text})
			j := w.post(reports, "application/json", string(body))
			if (j.status == http.StatusCreated) != (s.problem == "") {
				t.Errorf("API by JSON: %d, by text %d", j.status, a.status)
			}
			f := w.form("/report", "description", s.text)
			if (f.status == http.StatusCreated) != (s.problem == "") || f.status != http.StatusCreated && f.status != http.StatusUnprocessableEntity {
				t.Errorf("form: %d, API %d", f.status, a.status)
			}
			if s.problem != "" && s.problem != "private-key" && s.problem != "empty" && !strings.Contains(f.body, html.EscapeString(firstLine(s.text))) {
				t.Errorf("form: the text is not kept on a refusal")
			}
			stored := w.arrivals() - before
			want := map[string]int{"": 3, "private-key": 3}[s.problem]
			if stored != want {
				t.Errorf("%d arrivals are stored, want %d", stored, want)
			}
			code := strings.Join(vault.NewCode().Words(), " ")
			m := w.form("/mailbox", "code", code, "do", "add", "text", s.text)
			body, _ = json.Marshal(map[string]string{"code": code, "text": s.text})
			n := w.post(messages, "application/json", string(body))
			if s.problem != "empty" && (n.status == http.StatusOK) != (s.problem == "") {
				t.Errorf("mailbox by API: %d %.200s", n.status, n.body)
			}
			if s.secret == "" {
				return
			}
			for name, a := range map[string]answer{"text": a, "JSON": j, "form": f, "mailbox": m, "mailbox API": n} {
				if strings.Contains(a.body, s.secret) || strings.Contains(a.body, "BEGIN PGP PRIVATE") {
					t.Errorf("%s: the private key is in the answer", name)
				}
			}
		})
	}
}

func firstLine(s string) string { l, _, _ := strings.Cut(s, "\n"); return l }

// TestPrivateKeyAnywhere: whatever field holds it, and whatever else is wrong,
// no word of a private key comes back.
func TestPrivateKeyAnywhere(t *testing.T) {
	w := newWorld(t, policyText(`max_bytes = "25 MiB"`, `max_bytes = "1 MiB"`))
	exported, err := mustStranger(t).Export([]byte("a passphrase"))
	if err != nil {
		t.Fatal(err)
	}
	private, line := string(exported), strings.Split(string(exported), "\n")[5]
	check := func(where string, a answer) {
		t.Helper()
		if a.status < 400 || strings.Contains(a.body, line) {
			t.Errorf("%s: status %d; the key is in the answer: %t", where, a.status, strings.Contains(a.body, line))
		}
	}
	for _, field := range []string{"description", "versions", "reproduce", "impact", "address", "name", "own_key", "ask_public", "unknown", "key"} {
		fields := []string{"description", "It leaks.", field, private}
		check("report "+field, w.form("/report", fields...))
	}
	for _, member := range []string{"description", "title", "versions", "reproduce", "impact", "name", "address", "key", "credit_text", "credit"} {
		body, _ := json.Marshal(map[string]string{"description": "It leaks.", member: private})
		check("JSON "+member, w.post(reports, "application/json", string(body)))
	}
	check("broken JSON", w.post(reports, "application/json", private))
	check("code", w.form("/mailbox", "code", private))
	code := strings.Join(vault.NewCode().Words(), " ")
	for _, f := range []string{"text", "own_key", "credit_text", "reason"} {
		check("mailbox "+f, w.form("/mailbox", "code", code, "do", "add", f, private))
	}
	// Too large and a private key at once.
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	_ = m.WriteField("description", private)
	file, _ := m.CreateFormFile("files", "big.bin")
	_, _ = file.Write(make([]byte, 2<<20))
	_ = m.Close()
	check("too large as well", w.post("/report", m.FormDataContentType(), b.String()))
	if strings.Contains(w.log.String(), line) {
		t.Error("the private key is in the log")
	}
}

// TestProblems: every way to fail has a type of its own.
func TestProblems(t *testing.T) {
	w := newWorld(t, policyText(`max_bytes = "25 MiB"`, `max_bytes = "2 MiB"`))
	team := w.team.Certificate()
	long := encrypt(t, team, base64.StdEncoding.EncodeToString(randomBytes(2<<20)))
	cut := encrypt(t, team, base64.StdEncoding.EncodeToString(randomBytes(900<<10)))
	for _, c := range []struct {
		name, path, kind, body string
		header                 []string
		status                 int
		problem                string
	}{
		{"wrong media type", reports, "text/html", "<p>", nil, 415, "media-type"},
		{"no media type", reports, "", "x", nil, 415, "media-type"},
		{"key too short", reports, "text/plain", "x", []string{"Idempotency-Key", "short"}, 400, "bad-key"},
		{"key too long", reports, "text/plain", "x", []string{"Idempotency-Key", strings.Repeat("k", 201)}, 400, "bad-key"},
		{"text too large", reports, "text/plain", strings.Repeat("x ", 600<<10), nil, 413, "too-large"},
		{"message too large", reports, "application/pgp-encrypted", long, nil, 413, "too-large"},
		{"long message cut off", reports, "application/pgp-encrypted", cut[:len(cut)-200], nil, 422, "broken-armor"},
		{"JSON too large", reports, "application/json", `{"description":"` + strings.Repeat("x", 3<<20) + `"}`, nil, 413, "too-large"},
		{"words as encrypted", reports, "application/pgp-encrypted", "just words", nil, 422, "not-encrypted"},
		{"no JSON", reports, "application/json", "{", nil, 422, "invalid"},
		{"JSON array", reports, "application/json", "[]", nil, 422, "invalid"},
		{"JSON null", reports, "application/json", "null", nil, 422, "invalid"},
		{"two objects", reports, "application/json", `{"description":"x"} {}`, nil, 422, "invalid"},
		{"mailbox media type", messages, "text/plain", "x", nil, 415, "media-type"},
		{"mailbox no JSON", messages, "application/json", "x", nil, 422, "invalid"},
		{"mailbox bad code", messages, "application/json", `{"code":"one two"}`, nil, 422, "invalid"},
		{"mailbox unknown member", messages, "application/json", `{"code":"x","x":1}`, nil, 422, "invalid"},
		{"mailbox bad key", messages, "application/json", `{"code":"x"}`, []string{"Idempotency-Key", "short"}, 400, "bad-key"},
		{"mailbox too large", messages, "application/json", `{"code":"` + someCode() + `","text":"` + strings.Repeat("x", 5<<20) + `"}`, nil, 413, "too-large"},
	} {
		a := w.post(c.path, c.kind, c.body, c.header...)
		if p := a.problem(t); a.status != c.status || p.Type != "/problems/"+c.problem {
			t.Errorf("%s: %d %s, want %d /problems/%s", c.name, a.status, p.Type, c.status, c.problem)
		}
	}
	if a := w.get(reports); a.status != 405 || a.problem(t).Type != "/problems/method" || a.header.Get("Allow") != "POST" {
		t.Errorf("GET %s: %d, Allow %q; want 405 and POST", reports, a.status, a.header.Get("Allow"))
	}
	if n := w.arrivals(); n != 0 {
		t.Errorf("%d arrivals are stored after refusals alone", n)
	}
	w.post(reports, "application/pgp-encrypted", cut).receipt(t)
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// TestJSONFaultsAtOnce: one answer lists everything that is wrong.
func TestJSONFaultsAtOnce(t *testing.T) {
	w := newWorld(t)
	a := w.post(reports, "application/json", `{"description":" ","titel":"x","address":"no address","key":"no key","credit":"maybe","versions":7,"files":[{"nam":"x"}]}`)
	p := a.problem(t)
	var fields []string
	for _, e := range p.Errors {
		fields = append(fields, e.Field)
		if e.Detail == "" {
			t.Errorf("fault of %q says nothing", e.Field)
		}
	}
	want := []string{"files", "", "versions", "description", "credit", "address", "key"}
	if d := cmp.Diff(want, fields); d != "" || a.status != 422 {
		t.Errorf("faults at once, status %d: -want +got\n%s", a.status, d)
	}
}

// TestIdempotency: the same bytes under the same key are the same report; other
// bytes, another key, or another mailbox are another.
func TestIdempotency(t *testing.T) {
	w := newWorld(t)
	send := func(body, key string) receipt {
		return w.post(reports, "text/plain", body, "Idempotency-Key", key).receipt(t)
	}
	first := send("The lantern leaks.", someKey)
	w.Advance(t, time.Hour)
	if again := send("The lantern leaks.", someKey); again != first {
		t.Errorf("same bytes and key: %+v, want %+v", again, first)
	}
	if quoted := send("The lantern leaks.", `"`+someKey+`"`); quoted != first {
		t.Errorf("the key as a structured field: %+v, want %+v", quoted, first)
	}
	other := send("The lantern leaks!", someKey)
	if other.Code == first.Code || other.SHA256 == first.SHA256 || other.Received == first.Received {
		t.Errorf("other bytes under the same key: %+v beside %+v", other, first)
	}
	if third := send("The lantern leaks.", strings.ToUpper(someKey)); third.Code == first.Code {
		t.Errorf("another key gives the same code")
	}
	if n := w.arrivals(); n != 3 {
		t.Errorf("%d arrivals, want 3", n)
	}
	add := func(code string) string {
		body, _ := json.Marshal(map[string]string{"code": code, "text": "More of it."})
		a := w.post(messages, "application/json", string(body), "Idempotency-Key", someKey)
		if a.status != 200 {
			t.Fatalf("add to a mailbox: %d %s", a.status, a.body)
		}
		return a.body
	}
	if a, b := add(first.Code), add(first.Code); a != b {
		t.Errorf("the same message again: %s, want %s", b, a)
	}
	add(other.Code)
	if n := w.arrivals(); n != 5 {
		t.Errorf("%d arrivals, want 5: the same words to another mailbox are another message", n)
	}
	// A form that is sent twice, as by a double click or a reload.
	page := w.get("/report")
	key := regexp.MustCompile(`name="key"[^>]*value="([^"]+)"`).FindStringSubmatch(page.body)
	if key == nil {
		t.Fatal("the form has no key")
	}
	a := w.form("/report", "description", "Twice.", "key", key[1])
	b := w.form("/report", "description", "Twice.", "key", key[1])
	if a.status != 201 || mask(a.body) != mask(b.body) || w.arrivals() != 6 {
		t.Errorf("the same form twice: %d and %d, %d arrivals, same page %t", a.status, b.status, w.arrivals(), mask(a.body) == mask(b.body))
	}
}

var masked = regexp.MustCompile(`(name="key" value=")[^"]+|(value=")[0-9a-f]{40}`)

func mask(body string) string { return masked.ReplaceAllString(body, "$1$2…") }

// TestUnknownAndUnopened: a code that names nothing and the code of a report
// that nobody has opened get the same bytes; once it is opened, it is found.
func TestUnknownAndUnopened(t *testing.T) {
	w := newWorld(t)
	known := w.post(reports, "text/plain", "The lantern leaks.").receipt(t).Code
	unknown := strings.Join(vault.NewCode().Words(), " ")
	read := func(code string) answer {
		body, _ := json.Marshal(map[string]string{"code": code})
		return w.post(messages, "application/json", string(body))
	}
	a, b := read(known), read(unknown)
	a.header.Del("Date")
	b.header.Del("Date")
	for _, h := range []http.Header{a.header, b.header} {
		for name := range h {
			if strings.HasPrefix(name, "X-Ratelimit") {
				h.Del(name)
			}
		}
	}
	if a.body != b.body || a.status != b.status || cmp.Diff(a.header, b.header) != "" {
		t.Errorf("unopened: %d %s\nunknown: %d %s\n%s", a.status, a.body, b.status, b.body, cmp.Diff(a.header, b.header))
	}
	page := func(code string) string {
		return strings.ReplaceAll(mask(w.form("/mailbox", "code", code).body), code, "CODE")
	}
	if d := cmp.Diff(page(known), page(unknown)); d != "" {
		t.Errorf("mailbox page, unopened and unknown: %s", d)
	}
	w.OpenAll(t)
	if c := read(known); !strings.Contains(c.body, `"found":true`) {
		t.Errorf("after opening: %s", c.body)
	}
	if c := read(unknown); c.body != b.body {
		t.Errorf("an unknown code after another was opened: %s", c.body)
	}
}

// TestPaused: while intake is paused the notice is said, nothing is stored,
// what was typed stays, and mailboxes go on working.
func TestPaused(t *testing.T) {
	w := newWorld(t, policyText(`asks = [`, "paused = \"We are on a retreat until Monday.\"\nasks = ["))
	if a := w.get("/report"); !strings.Contains(a.body, "on a retreat") || a.status != 200 {
		t.Errorf("GET /report: %d, want the notice", a.status)
	}
	if p := w.post(reports, "text/plain", "It leaks.").problem(t); p.Type != "/problems/paused" || !strings.Contains(p.Detail, "retreat") || p.Status != 503 {
		t.Errorf("API while paused: %+v", p)
	}
	a := w.form("/report", "description", "A lengthy description of a leak.")
	if a.status != 503 || !strings.Contains(a.body, "on a retreat") || !strings.Contains(a.body, "A lengthy description of a leak.") {
		t.Errorf("form while paused: %d; want 503 with notice and text", a.status)
	}
	if n := w.arrivals(); n != 0 {
		t.Errorf("%d arrivals while paused", n)
	}
	if a := w.form("/mailbox", "code", strings.Join(vault.NewCode().Words(), " "), "do", "add", "text", "More."); a.status != 200 || w.arrivals() != 1 {
		t.Errorf("mailbox while paused: %d, %d arrivals", a.status, w.arrivals())
	}
}

// TestDatabaseGone: without a database there is never a receipt; the text and
// the key come back, and sending the form again stores it once.
func TestDatabaseGone(t *testing.T) {
	w := newWorld(t)
	body := w.get("/report").body
	key := regexp.MustCompile(`name="key"[^>]*value="([^"]+)"`).FindStringSubmatch(body)[1]
	back := takeAway(t, w)
	a := w.form("/report", "description", "It leaks while nobody is there.", "key", key)
	if a.status != 503 || !strings.Contains(a.body, "It leaks while nobody is there.") || !strings.Contains(a.body, key) || !strings.Contains(a.body, `id="not-stored"`) {
		t.Errorf("form without a database: %d, text kept %t, key kept %t", a.status, strings.Contains(a.body, "It leaks while"), strings.Contains(a.body, key))
	}
	b := w.post(reports, "text/plain", "It leaks.", "Idempotency-Key", someKey)
	if p := b.problem(t); p.Type != "/problems/not-stored" || b.status != 503 || b.header.Get("Retry-After") == "" {
		t.Errorf("API without a database: %d %+v", b.status, p)
	}
	code := strings.Join(vault.NewCode().Words(), " ")
	if c := w.form("/mailbox", "code", code, "do", "add", "text", "More of it."); c.status != 503 || !strings.Contains(c.body, "More of it.") {
		t.Errorf("mailbox without a database: %d, text kept %t", c.status, strings.Contains(c.body, "More of it."))
	}
	if d := w.get("/"); d.status != 200 {
		t.Errorf("GET / without a database: %d; what is public stays so", d.status)
	}
	if r := w.get("/readyz"); r.status != 503 {
		t.Errorf("GET /readyz without a database: %d, want 503", r.status)
	}
	back()
	if a := w.form("/report", "description", "It leaks while nobody is there.", "key", key); a.status != 201 {
		t.Errorf("form once the database is back: %d", a.status)
	}
	w.post(reports, "text/plain", "It leaks.", "Idempotency-Key", someKey).receipt(t)
	if n := w.arrivals(); n != 2 {
		t.Errorf("%d arrivals, want 2", n)
	}
}

// takeAway closes the database to everyone and breaks what is open, until the
// returned function is called.
func takeAway(t *testing.T, w *world) (back func()) {
	t.Helper()
	u, err := pgx.ParseConfig(w.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	run := func(statements ...string) {
		t.Helper()
		conn, err := pgx.Connect(context.Background(), pgtest.Cluster(t).Admin("postgres"))
		if err != nil {
			t.Fatalf("connect as admin: %v", err)
		}
		defer conn.Close(context.Background())
		for _, s := range statements {
			if _, err := conn.Exec(context.Background(), s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	run("ALTER DATABASE "+u.Database+" ALLOW_CONNECTIONS false",
		"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '"+u.Database+"'")
	open := func() { run("ALTER DATABASE " + u.Database + " ALLOW_CONNECTIONS true") }
	t.Cleanup(open)
	return open
}

// TestPace: beyond its allowance an address is still served, in turn and with
// less to bring, and is told so; only beyond a full line nothing is stored, and
// the text comes back. Other addresses notice nothing.
func TestPace(t *testing.T) {
	w := newWorld(t, limits(gate.Limits{Reports: 2, Lookups: 2, Window: time.Hour, SlowEvery: 5 * time.Millisecond, SlowWait: time.Minute}))
	for i := range 12 {
		w.post(reports, "text/plain", fmt.Sprint("Report ", i)).receipt(t)
	}
	a := w.form("/report", "description", strings.Repeat("It leaks. ", 200_000))
	if a.status != 413 || !strings.Contains(a.body, "waits for its turn") {
		t.Errorf("2 MB beyond the allowance: %d; want 413 that says why", a.status)
	}
	if a := w.form("/report", "description", "It leaks."); a.status != 201 {
		t.Errorf("a form beyond the allowance: %d, want 201", a.status)
	}

	full := newWorld(t, limits(gate.Limits{Reports: 1, Lookups: 1, Window: time.Hour, SlowEvery: time.Hour, SlowWait: time.Nanosecond}))
	full.form("/report", "description", "First.")
	if a := full.form("/report", "description", "Second."); a.status != 201 {
		t.Errorf("the first beyond the allowance: %d, want 201: the door is not shut", a.status)
	}
	if a := full.get("/report"); a.status != 200 || !strings.Contains(a.body, "waits for its turn") {
		t.Errorf("GET /report of an address in the line: %d; want the form, and the note", a.status)
	}
	b := full.form("/report", "description", "Third, of some length.")
	if b.status != 429 || !strings.Contains(b.body, "Third, of some length.") || !strings.Contains(b.body, "Nothing was stored") || b.header.Get("Retry-After") == "" {
		t.Errorf("a full line: %d, text kept %t", b.status, strings.Contains(b.body, "Third, of some"))
	}
	if p := full.post(reports, "text/plain", "Third.").problem(t); p.Type != "/problems/too-many" || p.Status != 429 {
		t.Errorf("API in a full line: %+v", p)
	}
	code := strings.Join(vault.NewCode().Words(), " ")
	for range 2 {
		full.form("/mailbox", "code", code)
	}
	if c := full.form("/mailbox", "code", code, "do", "add", "text", "Kept text."); c.status != 429 || !strings.Contains(c.body, "Kept text.") {
		t.Errorf("mailbox in a full line: %d, text kept %t", c.status, strings.Contains(c.body, "Kept text."))
	}
	if n := full.arrivals(); n != 2 {
		t.Errorf("%d arrivals, want 2", n)
	}
}

// TestFilesStream: files by form, mailbox and JSON are stored; a form over the
// limit comes back with its text.
func TestFilesStream(t *testing.T) {
	w := newWorld(t, policyText(`max_bytes = "25 MiB"`, `max_bytes = "3 MiB"`))
	send := func(path string, size int, fields ...string) answer {
		var b bytes.Buffer
		m := multipart.NewWriter(&b)
		for i := 0; i < len(fields); i += 2 {
			_ = m.WriteField(fields[i], fields[i+1])
		}
		f, _ := m.CreateFormFile("files", "trace.bin")
		_, _ = f.Write(make([]byte, size))
		_ = m.Close()
		return w.post(path, m.FormDataContentType(), b.String())
	}
	if a := send("/report", 2<<20, "description", "With a file."); a.status != 201 || !strings.Contains(a.body, "trace.bin") {
		t.Errorf("a report with a file: %d", a.status)
	}
	if a := send("/report", 4<<20, "description", "With a large file."); a.status != 413 || !strings.Contains(a.body, "With a large file.") {
		t.Errorf("a report with too large a file: %d, text kept %t", a.status, strings.Contains(a.body, "With a large"))
	}
	code := strings.Join(vault.NewCode().Words(), " ")
	if a := send("/mailbox", 2<<20, "code", code, "do", "add", "text", "A file."); a.status != 200 {
		t.Errorf("a file to a mailbox: %d", a.status)
	}
	if a := send("/mailbox", 4<<20, "code", code, "do", "add", "text", "A large file."); a.status != 413 || !strings.Contains(a.body, "A large file.") {
		t.Errorf("too large a file to a mailbox: %d, text kept %t", a.status, strings.Contains(a.body, "A large file."))
	}
	body, _ := json.Marshal(map[string]any{"description": "By JSON.", "files": []any{map[string]any{"name": "a", "data": make([]byte, 1<<20)}}})
	w.post(reports, "application/json", string(body)).receipt(t)
	if n := w.arrivals(); n != 3 {
		t.Errorf("%d arrivals, want 3", n)
	}
}

// TestMalformedForm: a form that cannot be read stores nothing.
func TestMalformedForm(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct{ kind, body string }{
		"no boundary":  {"multipart/form-data", "x"},
		"cut off":      {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"description\"\r\n\r\nhalf"},
		"300 parts":    {"multipart/form-data; boundary=b", strings.Repeat("--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\nv\r\n", 300) + "--b--\r\n"},
		"bad escapes":  {"application/x-www-form-urlencoded", "description=%zz"},
		"nothing":      {"application/x-www-form-urlencoded", ""},
		"long field":   {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"description\"\r\n\r\n" + strings.Repeat("x", 2<<20) + "\r\n--b--\r\n"},
		"other media":  {"text/plain", "description=x"},
		"not the key":  {"application/x-www-form-urlencoded", url.Values{"armored": {"x"}}.Encode()},
		"header bytes": {"multipart/form-data; boundary=b", "--b\r\n\x00\xff\r\n\r\nv\r\n--b--\r\n"},
	} {
		if a := w.post("/report", c.kind, c.body); a.status < 400 || a.status >= 500 {
			t.Errorf("%s: %d, want 4xx", name, a.status)
		}
		if a := w.post("/mailbox", c.kind, c.body); a.status < 400 || a.status >= 500 {
			t.Errorf("mailbox, %s: %d, want 4xx", name, a.status)
		}
	}
	if n := w.arrivals(); n != 0 {
		t.Errorf("%d arrivals are stored", n)
	}
}
