package work

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"postern/internal/disclosure"
)

// parseShort is what is read of a report whose long strings stay where they lie.
func parseShort(b []byte) (*disclosure.ReportJSON, error) {
	short, err := shorten(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	r, err := disclosure.ParseReportJSON(short.text)
	if err != nil {
		return nil, err
	}
	text := func(s string) string {
		if c, ok := short.cutOf([]byte(s)); ok {
			whole, _ := io.ReadAll(c.reader(bytes.NewReader(b)))
			return string(whole)
		}
		return s
	}
	for _, p := range []*string{&r.Description, &r.Title, &r.Versions, &r.Reproduce, &r.Impact, &r.Name, &r.Address, &r.Language, &r.Key, &r.CreditText} {
		*p = text(*p)
	}
	if r.Answers != nil {
		answers := map[string]string{}
		for ask, s := range r.Answers {
			answers[text(ask)] = text(s)
		}
		r.Answers = answers
	}
	for i := range r.Files {
		f := &r.Files[i]
		f.Name, f.Type = text(f.Name), text(f.Type)
		if c, ok := short.cutOf(f.Data); ok {
			f.Data, _ = io.ReadAll(c.dataReader(bytes.NewReader(b)))
		}
	}
	return r, nil
}

// readsWhatTheGateTook: what the gate takes is read here, and is the same.
func readsWhatTheGateTook(t interface{ Fatalf(string, ...any) }, b []byte) {
	if _, err := disclosure.ReadReportJSON(bytes.NewReader(b)); err != nil {
		return
	}
	want, err := disclosure.ParseReportJSON(b)
	if err != nil {
		return // the data of a file may be longer than one who holds it all takes
	}
	got, err := parseShort(b)
	if err != nil {
		t.Fatalf("the gate takes %d bytes %.200q, and here they are no report: %v", len(b), b, err)
		return
	}
	if !reflect.DeepEqual(want, got) {
		t.Fatalf("%.200q is not what the gate took: %.2000s", b, cmp.Diff(want, got))
	}
}

// TestShortIsWhatTheGateTook: many files of a size that is neither small nor
// large, text full of quotes, and long lines.
func TestShortIsWhatTheGateTook(t *testing.T) {
	files := func(n, size int) (list []disclosure.FileJSON) {
		for i := range n {
			list = append(list, disclosure.FileJSON{Name: fmt.Sprintf("%d.log", i), Data: bytes.Repeat([]byte{byte(i), 'x'}, size/2)})
		}
		return list
	}
	for name, r := range map[string]disclosure.ReportJSON{
		"logs":        {Description: "See the logs.", Files: files(45, 20<<10)},
		"quotes":      {Description: strings.Repeat(`he said "no" `, 200_000)},
		"tiny files":  {Description: "See the files.", Files: files(20_000, 48)},
		"many files":  {Description: "See the files.", Files: files(6_000, 200)},
		"long fields": {Description: "x", Title: strings.Repeat("é", 100), Name: strings.Repeat("n", 80), Answers: map[string]string{strings.Repeat("ask", 40): "yes"}, Files: []disclosure.FileJSON{{Name: strings.Repeat("a", 90), Data: []byte("x")}}},
	} {
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := disclosure.ReadReportJSON(bytes.NewReader(b)); err != nil {
			t.Fatalf("%s: the gate refuses it: %v", name, err)
		}
		got, err := parseShort(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !reflect.DeepEqual(r, *got) { // of so many, go-cmp would take long
			t.Errorf("%s: not what was sent: %.1000v", name, *got)
		}
	}
}

// TestShortIsWhatTheGateTookOfAny does the same with whatever is a report.
func TestShortIsWhatTheGateTookOfAny(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Custom(func(t *rapid.T) string {
			return strings.Repeat(rapid.SampledFrom([]string{`"`, `\`, "é", "\n", "\u2028", "😀", "a", "/+"}).Draw(t, "of"), rapid.IntRange(20, 300).Draw(t, "times"))
		}))
		r := disclosure.ReportJSON{Description: "x" + text.Draw(t, "description"), Versions: text.Draw(t, "versions"), Key: text.Draw(t, "key"),
			Answers: rapid.MapOfN(text, text, 0, 3).Draw(t, "answers")}
		for range rapid.IntRange(0, 4).Draw(t, "files") {
			r.Files = append(r.Files, disclosure.FileJSON{Name: text.Draw(t, "name"), Type: text.Draw(t, "type"), Data: []byte(text.Draw(t, "data"))})
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		readsWhatTheGateTook(t, b)
	})
}

// FuzzShortJSON: whatever the gate takes is read here as the same report.
func FuzzShortJSON(f *testing.F) {
	long := strings.Repeat(`\"a\u00e9\ud83d\ude00`, 20)
	for _, s := range []string{
		`{"description":"x"}`, `{"description":"` + long + `"}`, `{"description":"x","title":"` + strings.Repeat("t", 100) + `"}`,
		`{"description":"x","files":[{"name":"a","data":"` + strings.Repeat(`YWJj\n`, 30) + `"}]}`,
		`{"description":"x","files":[{"name":"a","data":"` + strings.Repeat(`Pz8\/`, 30) + `YQ=="}]}`,
		`{"description":"\ud800` + strings.Repeat("y", 90) + `\udc00\ud800\u0041"}`, `{"description":"x","answers":{"` + strings.Repeat("k", 80) + `":"v"}}`,
		`{"description":"` + strings.Repeat("x", 90), `{"description":"x"}"`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { readsWhatTheGateTook(t, b) })
}
