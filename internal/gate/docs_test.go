package gate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/internal/disclosure"
	"postern/internal/gate"
	"postern/internal/postgres"
)

// TestDocumentedExamples runs every shell example of docs/api.md, in order, in
// one shell, with curl and gpg against a real gate.
func TestDocumentedExamples(t *testing.T) {
	for _, program := range []string{"gpg", "curl", "jq", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " not installed")
		}
	}
	doc, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(doc), -1)
	if len(blocks) < 8 {
		t.Fatalf("docs/api.md has %d shell examples; where are they?", len(blocks))
	}
	script := "set -eu\n"
	for i, b := range blocks {
		script += fmt.Sprintf("echo 'example %d' >&2\n%s", i+1, b[1])
	}
	w := newWorld(t)
	home, err := os.MkdirTemp("/tmp", "g")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	})
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "GATE="+w.server.URL, "GNUPGHOME="+home, "no_proxy=*", "PAUSE=0.1")
	stop, over := make(chan struct{}), make(chan struct{})
	go func() { // the team, while the examples run
		defer close(over)
		w.answers(t, stop)
	}()
	out, err := cmd.CombinedOutput()
	close(stop)
	<-over
	if err != nil {
		t.Fatalf("run the examples: %v\n%s", err, out)
	}
	if n := w.arrivals(); n != 8 {
		t.Errorf("the examples stored %d arrivals, want 8: encrypted, plain, JSON, one sent twice, and four additions\n%s", n, out)
	}
	for name, want := range map[string]string{"reply.txt": answered, "file": answeredFile} {
		if b, err := os.ReadFile(filepath.Join(cmd.Dir, name)); err != nil || string(b) != want {
			t.Errorf("%s is %q, %v; want %q", name, b, err, want)
		}
	}
	for _, name := range []string{"receipt.json", "plain.json", "json.json", "first.json"} {
		b, err := os.ReadFile(filepath.Join(cmd.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		checkDescribed(t, "POST", gate.PathReports, answer{201, map[string][]string{"Content-Type": {"application/json"}}, string(b)})
	}
}

// What the team answers in the examples.
const (
	answered     = "Does this patch help?"
	answeredFile = "--- a\n+++ b\n"
)

// answers is the team at work beside the examples: it opens what comes, and once
// a reporter gave a key it answers, with a file.
func (w *world) answers(t *testing.T, stop <-chan struct{}) {
	once := w.opens()
	ctx := context.Background()
	done := false
	for {
		select {
		case <-stop:
			return
		case <-time.After(50 * time.Millisecond):
		}
		once()
		if done {
			continue
		}
		cards, err := w.DB.OpenCases(ctx, w.Tri)
		if err != nil {
			t.Errorf("OpenCases: %v", err)
			return
		}
		for _, card := range cards {
			c, err := w.DB.Case(ctx, w.Tri, card.ID)
			if err != nil || len(c.Reporters[0].Key) == 0 {
				continue
			}
			f, err := w.DB.StoreFile(ctx, w.Tri, c.ID, "", "hold.patch", "", strings.NewReader(answeredFile))
			if err == nil {
				err = w.DB.Reply(ctx, w.Tri, postgres.ReplyDraft{ID: disclosure.MessageID(disclosure.NewID()), Case: c.ID, Text: answered,
					Files: []disclosure.FileID{f.ID}, Lane: disclosure.Lane{Kind: disclosure.LaneReporter, ID: string(c.Reporters[0].ID)}})
			}
			if err == nil { // gpg takes no signature of the future
				_, err = w.DB.Pool().Exec(ctx, `UPDATE message SET leaves_at = at WHERE leaves_at IS NOT NULL`)
			}
			if err != nil {
				t.Errorf("answer: %v", err)
			}
			done = true
		}
	}
}

// TestProblemTable: the table of docs/api.md, the description, and the code
// name the same problems with the same status.
func TestProblemTable(t *testing.T) {
	doc, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `/problems/([a-z-]+)` \\| (\\d+) \\|").FindAllStringSubmatch(string(doc), -1) {
		table[m[1]] = m[2]
	}
	described := map[string]string{}
	for _, item := range description(t)["paths"].(map[string]any) {
		for _, op := range item.(map[string]any) {
			for status, r := range op.(map[string]any)["responses"].(map[string]any) {
				b, _ := json.Marshal(r)
				for _, m := range regexp.MustCompile(`"/problems/([a-z-]+)"`).FindAllStringSubmatch(string(b), -1) {
					described[m[1]] = status
				}
			}
		}
	}
	var source []byte
	for _, name := range []string{"api.go", "apimailbox.go", "gate.go"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, b...)
	}
	for _, m := range regexp.MustCompile(`problem\("([a-z-]+)", `).FindAllStringSubmatch(string(source), -1) {
		if table[m[1]] == "" {
			t.Errorf("problem %q of the code is not in docs/api.md", m[1])
		}
	}
	if info, _ := description(t)["info"].(map[string]any); strings.Contains(info["description"].(string), "`/problems/not-found`") {
		described["not-found"] = "404" // of every address that no path describes
	}
	if d := cmp.Diff(table, described); d != "" {
		t.Errorf("docs/api.md and the description: %s", d)
	}
	if len(table) < 12 {
		t.Errorf("docs/api.md names %d problems", len(table))
	}
}

// TestDescriptionServed: the description is what the gate serves, and every API
// route is in it.
func TestDescriptionServed(t *testing.T) {
	w := newWorld(t)
	a := w.get(gate.PathOpenAPI)
	want, _ := os.ReadFile("openapi.json")
	if a.status != 200 || a.body != string(want) {
		t.Errorf("GET %s: %d, %d bytes, want %d", gate.PathOpenAPI, a.status, len(a.body), len(want))
	}
	paths := description(t)["paths"].(map[string]any)
	for _, r := range w.gate.Routes() {
		if strings.HasPrefix(r.Pattern, "/api/") && r.Method != "HEAD" && r.Pattern != "/api/*" { // what is nothing has no path
			if item, ok := paths[r.Pattern].(map[string]any); !ok || item[strings.ToLower(r.Method)] == nil {
				t.Errorf("%s %s is served and not described", r.Method, r.Pattern)
			}
		}
	}
	// Every reference leads somewhere.
	for _, m := range regexp.MustCompile(`"\$ref": *"#/([^"]+)"`).FindAllStringSubmatch(string(want), -1) {
		if resolve(description(t), m[1]) == nil {
			t.Errorf("the reference %s leads nowhere", m[1])
		}
	}
}

func description(t testing.TB) map[string]any {
	t.Helper()
	b, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var d map[string]any
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatalf("read openapi.json: %v", err)
	}
	if d["openapi"] != "3.1.0" {
		t.Fatalf("openapi.json is of version %v", d["openapi"])
	}
	return d
}

func resolve(d map[string]any, path string) map[string]any {
	for _, name := range strings.Split(path, "/") {
		d, _ = d[name].(map[string]any)
	}
	return d
}

// checkDescribed holds an answer to the description: its status, media type,
// the header fields named there, and every member of its body.
func checkDescribed(t testing.TB, method, path string, a answer) {
	t.Helper()
	d := description(t)
	item, _ := resolve(d, "paths")[path].(map[string]any)
	op, _ := item[strings.ToLower(method)].(map[string]any)
	all, _ := op["responses"].(map[string]any)
	r, ok := all[fmt.Sprint(a.status)].(map[string]any)
	if !ok {
		t.Errorf("%s %s answers %d, which is not described\n%.300s", method, path, a.status, a.body)
		return
	}
	kind := a.header.Get("Content-Type")
	content, _ := r["content"].(map[string]any)
	media, ok := content[kind].(map[string]any)
	if !ok {
		t.Errorf("%s %s answers %d with %q, which is not described", method, path, a.status, kind)
		return
	}
	headers, _ := r["headers"].(map[string]any)
	if headers["Allow"] != nil && a.header.Get("Allow") != "POST" {
		t.Errorf("%s %s: Allow is %q", method, path, a.header.Get("Allow"))
	}
	if kind == "application/octet-stream" {
		return
	}
	var body any
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		t.Errorf("%s %s: the answer is no JSON: %v", method, path, err)
		return
	}
	for _, fault := range validate(d, media["schema"].(map[string]any), body, "answer") {
		t.Errorf("%s %s, %d: %s\n%.300s", method, path, a.status, fault, a.body)
	}
}

// validate knows the part of JSON Schema that openapi.json uses.
func validate(d, schema map[string]any, v any, at string) (faults []string) {
	bad := func(format string, args ...any) { faults = append(faults, at+": "+fmt.Sprintf(format, args...)) }
	for keyword, rule := range schema {
		switch keyword {
		case "$ref":
			faults = append(faults, validate(d, resolve(d, strings.TrimPrefix(rule.(string), "#/")), v, at)...)
		case "allOf":
			for _, s := range rule.([]any) {
				faults = append(faults, validate(d, s.(map[string]any), v, at)...)
			}
		case "type":
			if got := typeOf(v); got != rule && !(rule == "number" && got == "integer") {
				bad("is %s, want %s", got, rule)
			}
		case "enum":
			if !slices.Contains(rule.([]any), v) {
				bad("is %v, want one of %v", v, rule)
			}
		case "const":
			if v != rule {
				bad("is %v, want %v", v, rule)
			}
		case "pattern":
			if s, ok := v.(string); ok && !regexp.MustCompile(rule.(string)).MatchString(s) {
				bad("%q does not match %s", s, rule)
			}
		case "required":
			m, _ := v.(map[string]any)
			for _, name := range rule.([]any) {
				if _, ok := m[name.(string)]; !ok {
					bad("lacks %s", name)
				}
			}
		case "properties":
			m, _ := v.(map[string]any)
			for name, s := range rule.(map[string]any) {
				if x, ok := m[name]; ok {
					faults = append(faults, validate(d, s.(map[string]any), x, at+"."+name)...)
				}
			}
		case "additionalProperties":
			known, _ := schema["properties"].(map[string]any)
			m, _ := v.(map[string]any)
			for name := range m {
				if known[name] == nil && rule == false {
					bad("has %s, which is not described", name)
				}
			}
		case "items":
			list, _ := v.([]any)
			for i, x := range list {
				faults = append(faults, validate(d, rule.(map[string]any), x, fmt.Sprintf("%s[%d]", at, i))...)
			}
		case "minLength", "format", "contentEncoding", "description":
		default:
			bad("the keyword %s is not known to this test", keyword)
		}
	}
	return faults
}

func typeOf(v any) string {
	switch x := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if x == float64(int64(x)) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

// TestValidate: the test's own validator fails what does not fit.
func TestValidate(t *testing.T) {
	d := description(t)
	s := map[string]any{"$ref": "#/components/schemas/Receipt"}
	for body, want := range map[string]bool{
		`{"code":"a b c d e f g h","mailbox":"x","sha256":"` + strings.Repeat("0", 64) + `","received_at":"x"}`:           true,
		`{"code":"a b","mailbox":"x","sha256":"` + strings.Repeat("0", 64) + `","received_at":"x"}`:                       false,
		`{"code":"a b c d e f g h","mailbox":"x","sha256":"` + strings.Repeat("0", 64) + `"}`:                             false,
		`{"code":"a b c d e f g h","mailbox":"x","sha256":"` + strings.Repeat("0", 64) + `","received_at":"x","extra":1}`: false,
		`[]`: false,
	} {
		var v any
		_ = json.Unmarshal([]byte(body), &v)
		if got := len(validate(d, s, v, "receipt")) == 0; got != want {
			t.Errorf("validate(%s) = %t, want %t", body, got, want)
		}
	}
}
