package e2e

import (
	"io"
	"mime/quotedprintable"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postern/internal/e2e/world"
	"postern/internal/server"
)

func quoted(r io.Reader) io.Reader { return quotedprintable.NewReader(r) }

// mask hides what differs between any two answers to the same question: the
// list is short and each entry has its reason.
var mask = []struct {
	what string
	re   *regexp.Regexp
	with string
}{
	{"the moment of answering", regexp.MustCompile(`(?m)^Date: .*$`), "Date: …"},
	{"the request's id", regexp.MustCompile(`(?m)^X-Request-Id: .*$`), "X-Request-Id: …"},
	{"the same id on error pages and in problem documents", regexp.MustCompile(`\b[0-9a-f]{16}\b|"instance":"[^"]*"`), "…"},
	{"the demo's strip, which shows the time", regexp.MustCompile(`It is <time datetime="[^"]*">[^<]*</time>`), "It is …"},
	{"how much the asker may still ask, which is counted for the asker", regexp.MustCompile(`(?m)^X-Ratelimit-(Remaining|Reset): .*$`), "X-Ratelimit: …"},
	{"the form's idempotency key", regexp.MustCompile(`(name="key" value=")[^"]*`), "$1…"},
	{"the free port of the test's instance", regexp.MustCompile(`127\.0\.0\.1(:|%3A)[0-9]+`), "127.0.0.1"},
}

func masked(s string) string {
	for _, m := range mask {
		s = m.re.ReplaceAllString(s, m.with)
	}
	return s
}

// paths are a route's addresses to try: parameters become something that does
// not exist, and something that does where the test knows it.
func paths(pattern string, known map[string][]string) []string {
	i := strings.IndexByte(pattern, '{')
	if i < 0 {
		if p, star := strings.CutSuffix(pattern, "*"); star {
			return []string{p + "nothing-here"}
		}
		return []string{pattern}
	}
	j := i + strings.IndexByte(pattern[i:], '}')
	name, _, _ := strings.Cut(pattern[i+1:j], ":")
	var list []string
	for _, v := range append([]string{"nothing-here"}, known[name]...) {
		for _, rest := range paths(pattern[j+1:], known) {
			list = append(list, pattern[:i]+v+rest)
		}
	}
	return list
}

// ask sends a request as a stranger and returns the whole answer as text, with
// its status and header fields, masked.
func ask(t *testing.T, method, address, body, kind string) string {
	t.Helper()
	r, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	client := &http.Client{Transport: stranger, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, address, err)
	}
	defer answer.Body.Close()
	var b strings.Builder
	b.WriteString(answer.Status + "\n")
	if err := answer.Header.Write(&b); err != nil {
		t.Fatal(err)
	}
	b.WriteString("\n")
	if _, err := io.Copy(&b, answer.Body); err != nil {
		t.Fatalf("%s %s: %v", method, address, err)
	}
	return masked(strings.ReplaceAll(b.String(), "\r\n", "\n"))
}

var stranger = &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 2}

// publicAnswers is all that a stranger can read at the gate.
func publicAnswers(t *testing.T, w *world.World) map[string]string {
	t.Helper()
	answers := map[string]string{}
	for _, r := range w.Gate.Routes() {
		if r.Method != http.MethodGet {
			continue
		}
		for _, p := range paths(r.Pattern, nil) {
			answers[p] = ask(t, http.MethodGet, w.GateURL+p, "", "")
		}
	}
	if len(answers) < 8 {
		t.Fatalf("the gate has %d routes to read", len(answers))
	}
	return answers
}

func sameAnswers(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for p, x := range a {
		if b[p] != x {
			return false
		}
	}
	return true
}

// patterns are a router's own, each once.
func patterns(routes []server.Route) []string {
	var list []string
	for _, r := range routes {
		if !slices.Contains(list, r.Pattern) {
			list = append(list, r.Pattern)
		}
	}
	return list
}

// A page that repeats what was typed is as long as that.
var (
	contentLength = regexp.MustCompile(`(?m)^Content-Length: .*$`)
	etag          = regexp.MustCompile(`(?m)^Etag: .*$`)
)
