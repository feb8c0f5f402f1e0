// Package abuse asks a running instance what it must not answer: whether a
// code, a member, a case or an address exists, by its words or by its time.
//
// With POSTERN_SOAK=1 there are 2,000 pairs for each question.
package abuse

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/e2e/world"
	"postern/internal/instance"
	"postern/internal/vault"
)

func TestMain(m *testing.M) { os.Exit(world.Main(m)) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pairs of one question in make test, and in a soak.
func pairs() int {
	if os.Getenv("POSTERN_SOAK") != "" {
		return 2000
	}
	return 120
}

// What a difference has to be for anybody to use it: both of them.
const (
	leastP   = 0.01
	mostLess = 200 * time.Microsecond // between the medians
)

// alike asks both questions in pairs, in either order, and fails when the time
// of the answers tells them apart. Chance alone finds a difference now and
// then; a real one is found again.
func alike(t *testing.T, a, b func()) {
	t.Helper()
	for range 10 {
		a()
		b()
	}
	timed := func(f func()) time.Duration {
		began := time.Now()
		f()
		return time.Since(began)
	}
	for try := range 3 {
		var as, bs []time.Duration
		for range pairs() {
			if rand.IntN(2) == 0 {
				as = append(as, timed(a))
				bs = append(bs, timed(b))
			} else {
				bs = append(bs, timed(b))
				as = append(as, timed(a))
			}
		}
		p, gap := rankTest(as, bs), median(as)-median(bs)
		t.Logf("%d pairs: medians %s and %s, p = %.3f", len(as), median(as), median(bs), p)
		if p > leastP || gap.Abs() < mostLess {
			return
		}
		if try == 2 {
			t.Errorf("the time of the answer tells which it was: %s apart in the median, p = %.4f", gap, p)
		}
	}
}

func median(list []time.Duration) time.Duration {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2].Round(time.Microsecond)
}

// rankTest is the two-sided p of Mann and Whitney's test, by its normal
// approximation; times have no ties to speak of.
func rankTest(a, b []time.Duration) float64 {
	type sample struct {
		at    time.Duration
		first bool
	}
	var all []sample
	for _, x := range a {
		all = append(all, sample{x, true})
	}
	for _, x := range b {
		all = append(all, sample{x, false})
	}
	slices.SortFunc(all, func(x, y sample) int { return int(x.at - y.at) })
	ranks := 0.0
	for i, x := range all {
		if x.first {
			ranks += float64(i + 1)
		}
	}
	n, m := float64(len(a)), float64(len(b))
	u := ranks - n*(n+1)/2
	z := (u - n*m/2) / math.Sqrt(n*m*(n+m+1)/12)
	return math.Erfc(math.Abs(z) / math.Sqrt2)
}

// TestRankTest: the test itself sees a difference that is there, and none else.
func TestRankTest(t *testing.T) {
	draw := func(more time.Duration) (list []time.Duration) {
		for range 400 {
			list = append(list, time.Millisecond+time.Duration(rand.ExpFloat64()*float64(time.Millisecond))+more)
		}
		return list
	}
	if p := rankTest(draw(0), draw(500*time.Microsecond)); p > 1e-6 {
		t.Errorf("half a millisecond more: p = %g, want next to nothing", p)
	}
	found := 0
	for range 100 {
		if rankTest(draw(0), draw(0)) < leastP {
			found++
		}
	}
	if found > 10 {
		t.Errorf("a difference was found in %d of 100 where none is, want about one", found)
	}
}

// asker asks the doors; each request comes from an address of its own, so that
// no allowance comes into it.
type asker struct {
	*world.World
	t      *testing.T
	client *http.Client
}

func newAsker(t *testing.T) *asker {
	w := world.New(t, world.Config{Change: func(c *instance.Config) { c.TrustedProxies = []string{"127.0.0.1"} }})
	return &asker{World: w, t: t, client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (a *asker) do(method, target, kind, body string) (*http.Response, string) {
	a.t.Helper()
	q, err := http.NewRequest(method, target, strings.NewReader(body))
	must(a.t, err)
	if kind != "" {
		q.Header.Set("Content-Type", kind)
	}
	q.Header.Set("Origin", a.DeskURL)
	q.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", rand.IntN(250), rand.IntN(250), 1+rand.IntN(250)))
	answer, err := a.client.Do(q)
	must(a.t, err)
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	must(a.t, err)
	return answer, string(b)
}

const formType = "application/x-www-form-urlencoded"

func (a *asker) page(code string) (*http.Response, string) {
	return a.do(http.MethodPost, a.GateURL+"/mailbox", formType, url.Values{"code": {code}}.Encode())
}

func (a *asker) api(code string) (*http.Response, string) {
	return a.do(http.MethodPost, a.GateURL+"/api/v1/mailbox", "application/json", `{"code":"`+code+`"}`)
}

// report sends one by API and returns its code.
func (a *asker) report(text string) string {
	a.t.Helper()
	answer, body := a.do(http.MethodPost, a.GateURL+"/api/v1/reports", "text/plain", text)
	m := regexp.MustCompile(`"code":"([^"]+)"`).FindStringSubmatch(body)
	if answer.StatusCode != http.StatusCreated || m == nil {
		a.t.Fatalf("a report: %d %s", answer.StatusCode, body)
	}
	return m[1]
}

func unknown() string { return strings.Join(vault.NewCode().Words(), " ") }

// shown is an answer without what is the asker's own: the code, the time, the
// number of the request, the key of the form.
func shown(answer *http.Response, body, code string) string {
	h := answer.Header.Clone()
	h.Del("Date")
	body = strings.ReplaceAll(body, code, "THE CODE")
	body = regexp.MustCompile(`(name="key"[^>]*value=")[^"]*`).ReplaceAllString(body, "${1}KEY")
	var b bytes.Buffer
	_ = h.Write(&b)
	return fmt.Sprintf("%d\n%s\n%s", answer.StatusCode, regexp.MustCompile(`Content-Length: \d+\r\n`).ReplaceAllString(b.String(), ""), body)
}

// TestT02Codes: a code that names nothing, and that of a report which nobody
// has opened yet, get the same bytes in the same time; and so does a code of
// which most words are right.
func TestT02Codes(t *testing.T) {
	a := newAsker(t)
	var unopened []string
	for i := range 30 {
		unopened = append(unopened, a.report(fmt.Sprintf("Not opened yet %d", i)))
	}
	for name, ask := range map[string]func(string) (*http.Response, string){"page": a.page, "API": a.api} {
		t.Run(name, func(t *testing.T) {
			for _, known := range unopened {
				other := unknown()
				r1, b1 := ask(known)
				r2, b2 := ask(other)
				if one, two := shown(r1, b1, known), shown(r2, b2, other); one != two {
					t.Fatalf("the code of an unopened report is answered with\n%s\nand one that names nothing with\n%s", one, two)
				}
				// But for the words of the code itself, the lengths are the same as well.
				if len(b1)-strings.Count(b1, known)*len(known) != len(b2)-strings.Count(b2, other)*len(other) {
					t.Fatalf("the answers are %d and %d bytes long", len(b1), len(b2))
				}
			}
			i := 0
			alike(t, func() { i++; ask(unopened[i%len(unopened)]) }, func() { ask(unknown()) })
		})
	}
	t.Run("partly right", func(t *testing.T) {
		w := strings.Fields(unopened[0])
		a.Settle() // now they are opened, and hold something
		if _, body := a.api(unopened[0]); !strings.Contains(body, `"found":true`) {
			t.Fatalf("the opened mailbox: %s", body)
		}
		var near []string // six words right, and the checksum too
		for n := 0; len(near) < 4 && n < 200_000; n++ {
			try := strings.Join(append(slices.Clone(w[:6]), vault.NewCode().Words()[6:]...), " ")
			if _, err := vault.ParseCode(try); err == nil && try != unopened[0] {
				near = append(near, try)
			}
		}
		if len(near) == 0 {
			t.Fatal("no code with six words of another was found")
		}
		i := 0
		alike(t, func() { i++; a.api(near[i%len(near)]) }, func() { a.api(unknown()) })
	})
}

// TestT02SignIn: whether a member of that address exists does not show.
func TestT02SignIn(t *testing.T) {
	a := newAsker(t)
	owner, err := pgx.Connect(t.Context(), a.Owner)
	must(t, err)
	defer owner.Close(context.Background())
	forget := func() { // the tries so far, which are bounded by name
		_, err := owner.Exec(t.Context(), `DELETE FROM attempt`)
		must(t, err)
	}
	signIn := func(name string) (*http.Response, string) {
		return a.do(http.MethodPost, a.DeskURL+"/sign-in", formType, url.Values{"name": {name}, "password": {"seven wrong lanterns"}, "code": {"123456"}}.Encode())
	}
	r1, b1 := signIn("tove@lantern.example")
	r2, b2 := signIn("nobody@lantern.example")
	if one, two := shown(r1, strings.ReplaceAll(b1, "tove@", "NAME@"), "-"), shown(r2, strings.ReplaceAll(b2, "nobody@", "NAME@"), "-"); one != two {
		t.Errorf("a member's wrong password is answered with\n%s\na stranger's with\n%s", one, two)
	}
	n := 0
	one := func(name string) func() {
		return func() {
			if n++; n%4 == 0 {
				forget()
			}
			signIn(name)
		}
	}
	forget()
	alike(t, one("tove@lantern.example"), one("nora@lantern.example"))
}

// TestT02Cases: a case that is hidden from a member is answered as none.
func TestT02Cases(t *testing.T) {
	a := newAsker(t)
	for range 6 {
		a.report("The lantern leaks.")
	}
	a.Settle()
	ada := a.Member("Ada")
	for n := 1; n <= 3; n++ {
		c, err := a.DB.CaseByNumber(t.Context(), ada, n)
		must(t, err)
		must(t, a.DB.UpdateCase(t.Context(), ada, c.ID, func(c *disclosure.Case) error {
			return c.Restrict([]disclosure.MemberID{ada.Member}, ada, a.DB.Now())
		}))
	}
	tove := a.SignedIn("Tove")
	get := func(n int) (*http.Response, string) {
		q, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/cases/%d", a.DeskURL, n), nil)
		must(t, err)
		answer, err := tove.Client.Do(q)
		must(t, err)
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		must(t, err)
		return answer, string(b)
	}
	if r, _ := get(5); r.StatusCode != http.StatusOK {
		t.Fatalf("a case that is not hidden: %d", r.StatusCode)
	}
	id := regexp.MustCompile(`[0-9a-f]{16}`)
	r1, b1 := get(2)
	r2, b2 := get(4711)
	if one, two := shown(r1, id.ReplaceAllString(b1, "ID"), "-"), shown(r2, id.ReplaceAllString(b2, "ID"), "-"); r1.StatusCode != http.StatusNotFound || one != two {
		t.Errorf("a hidden case is answered with\n%s\none that does not exist with\n%s", one, two)
	}
	alike(t, func() { get(1 + rand.IntN(3)) }, func() { get(4000 + rand.IntN(3)) })
}

// TestT02Recipients: the listener takes every local part, whether a lane
// belongs to it or not.
func TestT02Recipients(t *testing.T) {
	a := newAsker(t)
	at := ""
	a.Until("the mail listener", func() bool { at = a.MailListening(); return at != "" })
	conn, err := net.Dial("tcp", at)
	must(t, err)
	defer conn.Close()
	c := textproto.NewReader(bufio.NewReader(conn))
	say := func(line string) string {
		if line != "" {
			_, err := io.WriteString(conn, line+"\r\n")
			must(t, err)
		}
		_, text, err := c.ReadResponse(250)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		return text
	}
	_, _, err = c.ReadResponse(220)
	must(t, err)
	say("EHLO asker.example")
	rcpt := func(local string) string {
		say("RSET")
		say("MAIL FROM:<asker@elsewhere.example>")
		return say("RCPT TO:<" + local + "@lantern.example>")
	}
	if one, two := rcpt("security"), rcpt("nobody"); strings.ReplaceAll(one, "security", "X") != strings.ReplaceAll(two, "nobody", "X") {
		t.Errorf("a recipient that exists is answered with %q, another with %q", one, two)
	}
	alike(t, func() { rcpt("security") }, func() { rcpt("nobody00") })
}
